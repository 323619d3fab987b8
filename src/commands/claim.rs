//! `kinfra claim`

use std::cell::RefCell;
use std::io::ErrorKind;

use anyhow::{Context as _, Result};
use camino::{Utf8Path, Utf8PathBuf};

use super::{pool, print};
use crate::cli::ClaimArgs;
use crate::fault::{Exit, Fault};
use crate::host;
use crate::host::root::Root;
use crate::invocation::Invocation;
use crate::lease::{self, Denied, Grant};
use crate::observe::{Unfit, registry, unfit};
use crate::report::{self, Paths};

pub(super) fn run(args: &ClaimArgs, invocation: &Invocation) -> Result<Exit> {
    let declared = pool::declared(&args.pool, invocation)?;
    let owner = owner(args, invocation)?;
    let path = declared.root(&args.pool, invocation)?;
    let root = applied(&path)?.ok_or_else(|| no_pool(&path))?;
    let locked = root.lock(&pool::lock_policy(&args.lock, "kinfra claim"))?;
    let (mut registry, text) = registry(locked.root())?;
    let trouble = RefCell::new(None);
    let unfit = |slot| {
        let unfit = registry.slots.get(&slot).map_or(Ok(None), |entry| unfit(locked.root(), slot, entry));
        unfit.unwrap_or_else(|error| trouble.replace(Some(error)).and(None))
    };
    // Whoever names a slot may have edited it.
    let fit = |slot| match unfit(slot) {
        None => true,
        Some(Unfit::Edited(_)) => args.slot.is_some(),
        Some(Unfit::Unfinished | Unfit::Foreign | Unfit::Lacks(_)) => false,
    };
    let mut claimed = registry.clone();
    let now = host::clock::now();
    let holder = pool::holder(&registry, &owner);
    let grant = lease::claim(&mut claimed, holder, &now, args.slot, fit);
    if let Some(error) = trouble.take() {
        return Err(error);
    }
    let grant = match grant {
        Ok(grant) => grant,
        Err(Denied::Full) if registry.slots.is_empty() => return Err(no_pool(&path).into()),
        Err(denied @ (Denied::Full | Denied::NoSuchSlot(_))) => {
            return Err(Fault::no_slot(report::claim::denied(&denied, &owner, &registry, unfit)).into());
        }
        Err(denied) => {
            return Err(Fault::refused(report::claim::denied(&denied, &owner, &registry, unfit)).into());
        }
    };
    if let Grant::New(_) = grant {
        locked.save_registry(text.as_deref(), &claimed.to_text()?)?;
        registry = claimed;
    }
    let slot = grant.slot();
    let entry = registry.slots.get_mut(&slot).context("the claimed slot is not in the registry")?;
    // The root may have moved since the entry was written.
    entry.provisioned.infrastructure_path = path.join(slot.directory()).into_string();
    print(&if args.json {
        report::claim::json(grant, entry)
    } else {
        report::claim::text(grant, entry, Paths { home: invocation.home.as_deref() })
    })?;
    Ok(Exit::Done)
}

/// The directory that is to hold the slot, by its canonical path.
fn owner(args: &ClaimArgs, invocation: &Invocation) -> Result<Utf8PathBuf> {
    let Some(named) = &args.owner else { return pool::this_worktree(invocation) };
    let refuse = |why: &str| Fault::usage(format!("`{named}`, from --for, cannot hold a slot: {why}"));
    if named.as_str().is_empty() {
        return Err(refuse("it names no directory").into());
    }
    let path = host::fs::canonical(&invocation.here.join(named)).map_err(|error| {
        let missing = error.kind() == ErrorKind::NotFound;
        if missing { refuse("it does not exist") } else { refuse(&error.to_string()) }
    })?;
    if host::fs::is_directory(&path) { Ok(path) } else { Err(refuse("it is not a directory").into()) }
}

/// The root of a pool that was applied. In any other directory there is nothing to claim, and nothing is written.
pub(super) fn applied(path: &Utf8Path) -> Result<Option<Root>> {
    let Some(root) = Root::open(path)? else { return Ok(None) };
    Ok(root.registry()?.is_some().then_some(root))
}

pub(super) fn no_pool(root: &Utf8Path) -> Fault {
    Fault::no_slot(format!("there is no pool in `{root}` yet: `kinfra apply` creates it"))
}
