//! `kinfra claim`

use anyhow::{Context as _, Result};
use camino::Utf8PathBuf;

use super::{pool, print};
use crate::cli::ClaimArgs;
use crate::fault::{Exit, Fault};
use crate::host;
use crate::host::root::{LockedRoot, Root};
use crate::invocation::Invocation;
use crate::lease::{self, Denied, Grant};
use crate::observe::{is_usable, registry};
use crate::registry::Registry;
use crate::report::{self, Paths};
use crate::slot::SlotId;

pub(super) fn run(args: &ClaimArgs, invocation: &Invocation) -> Result<Exit> {
    let declared = pool::declared(&args.pool, invocation)?;
    let owner = owner(args, invocation)?;
    let path = declared.root(&args.pool, invocation)?;
    let root = Root::open(&path)?.ok_or_else(|| no_pool(&path))?;
    let locked = root.lock(&pool::lock_policy(&args.lock, "kinfra claim"))?;
    let (mut registry, text) = registry(locked.root())?;
    let usable =
        |slot: SlotId| registry.slots.get(&slot).is_some_and(|entry| is_usable(locked.root(), slot, entry));
    let mut claimed = registry.clone();
    let now = host::clock::now();
    let grant = lease::claim(&mut claimed, owner.as_str(), &now, args.slot, usable)
        .map_err(|denied| refusal(&denied, &registry, &locked))?;
    if let Grant::New(_) = grant {
        locked.save_registry(text.as_deref(), &claimed.to_text()?)?;
        registry = claimed;
    }
    let paths = Paths { home: invocation.home.as_deref() };
    let entry = registry.slots.get(&grant.slot()).context("the claimed slot is not in the registry")?;
    print(&if args.json {
        report::claim::json(grant, entry)
    } else {
        report::claim::text(grant, entry, paths)
    })?;
    Ok(Exit::Done)
}

/// The directory that is to hold the slot, by its canonical path.
fn owner(args: &ClaimArgs, invocation: &Invocation) -> Result<Utf8PathBuf> {
    let Some(named) = &args.owner else { return pool::this_worktree(invocation) };
    let path = host::fs::canonical(&invocation.here.join(named))
        .map_err(|error| Fault::usage(format!("`{named}` cannot hold a slot: {error}")))?;
    if !host::fs::is_directory(&path) {
        return Err(Fault::usage(format!("`{named}` cannot hold a slot: it is not a directory")).into());
    }
    Ok(path)
}

pub(super) fn no_pool(root: &camino::Utf8Path) -> Fault {
    Fault::no_slot(format!("there is no pool in `{root}` yet: `kinfra apply` creates it"))
}

fn refusal(denied: &Denied, registry: &Registry, locked: &LockedRoot) -> Fault {
    match denied {
        Denied::Full if registry.slots.is_empty() => no_pool(locked.root().path()),
        Denied::Full => Fault::no_slot(format!("no slot is free\n{}", report::claim::holders(registry))),
        Denied::NoSuchSlot(slot) => {
            Fault::no_slot(format!("the pool has no slot {slot}: `kinfra slots` lists them"))
        }
        Denied::Taken { slot, claim } => {
            Fault::refused(format!("slot {slot} is {}", report::claim::held(claim)))
        }
        Denied::HoldsAnother(slot) => {
            Fault::refused(format!("this worktree holds slot {slot} already: `kinfra release` it first"))
        }
        Denied::Unusable(slot) => {
            Fault::refused(format!("the files of slot {slot} are not those kinfra writes: see `kinfra plan`"))
        }
    }
}
