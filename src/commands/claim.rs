//! `kinfra claim`

use std::cell::RefCell;
use std::io::ErrorKind;

use anyhow::{Context as _, Result};
use camino::{Utf8Path, Utf8PathBuf};

use super::pool::Declared;
use super::worktree::{PoolOf, holder, pool_of, this_worktree};
use super::{pool, print};
use crate::cli::ClaimArgs;
use crate::fault::{Exit, Fault};
use crate::host;
use crate::host::root::Root;
use crate::invocation::Invocation;
use crate::lease::{self, Application, Denied, Sizes, Wish};
use crate::observe::{Unfit, registry, unfit};
use crate::registry::{Claim, ClaimFiles, ClaimId, Registry, Time};
use crate::report::{self, Paths};

pub(super) fn run(args: &ClaimArgs, invocation: &Invocation) -> Result<Exit> {
    let owner = owner(args, invocation)?;
    let PoolOf { root: path, declared, .. } = pool_of(&owner, &args.pool, invocation)?;
    let sizes = sizes(declared.as_ref());
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
    let application = Application {
        claim: new_claim(&registry, &owner, now, invocation)?,
        wish: args.slot.map_or(Wish::Any, Wish::Slot),
        sizes: &sizes,
        ahead: &[],
        now,
    };
    let grant = lease::claim(&mut claimed, application, fit);
    if let Some(error) = trouble.take() {
        return Err(error);
    }
    let grant = match grant {
        Ok(grant) => grant,
        Err(Denied::Full) if registry.slots.is_empty() => return Err(no_pool(&path).into()),
        Err(denied) => {
            let message = report::claim::denied(&denied, &owner, &registry, unfit);
            return Err(match denied {
                Denied::Full | Denied::Queued(_) | Denied::NoSuchSlot(_) | Denied::NoSuchSize(_) => {
                    Fault::no_slot(message)
                }
                Denied::Taken(_) | Denied::HoldsAnother(_) | Denied::Unfit(_) => Fault::refused(message),
            }
            .into());
        }
    };
    if claimed != registry {
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

/// The claim as it would be.
fn new_claim(registry: &Registry, owner: &Utf8Path, now: Time, invocation: &Invocation) -> Result<Claim> {
    let bits = host::identity::random_bits().context("no random id can be had from /dev/urandom")?;
    Ok(Claim {
        claimed_by: holder(registry, owner).to_owned(),
        claimed_at: Some(now.to_string()),
        claim_id: Some(ClaimId::from_random(bits)),
        lease: None,
        note: None,
        claimed_host: Some(host::identity::host_name()),
        claimed_user: Some(invocation.user.clone()),
        claimed_repo: host::git::repo_of(owner).map(Utf8PathBuf::into_string),
        claimed_mount: host::fs::mount_of(owner).map(Utf8Path::to_string),
        files: ClaimFiles::default(),
    })
}

/// The profiles of a pool, as far as its spec is known.
fn sizes(declared: Option<&Declared>) -> Sizes {
    let profiles = declared.into_iter().flat_map(|declared| &declared.spec.profiles);
    Sizes(profiles.map(|profile| profile.name.clone()).collect())
}

/// The directory that is to hold the slot, by its canonical path.
fn owner(args: &ClaimArgs, invocation: &Invocation) -> Result<Utf8PathBuf> {
    let Some(named) = &args.owner else { return this_worktree(invocation) };
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
