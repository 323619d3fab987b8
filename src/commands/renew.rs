//! `kinfra renew`

use anyhow::Result;
use camino::Utf8Path;

use super::print;
use super::release::kept_fault;
use crate::claims::lease;
use crate::cli::RenewArgs;
use crate::fault::{Exit, Fault};
use crate::host;
use crate::host::invocation::Invocation;
use crate::host::lock::LockPolicy;
use crate::registry::{Claim, ClaimId};
use crate::report;
use crate::slot::SlotId;
use crate::time::Span;
use crate::which::by_worktree::{PoolOf, claims, holder, pool_with, this_worktree};
use crate::which::spec_file::lock_policy;

pub(crate) fn run(args: &RenewArgs, invocation: &Invocation) -> Result<Exit> {
    let owner = this_worktree(invocation)?;
    let pool = pool_with(args.claim_id, &owner, &args.pool, invocation)?;
    let policy = lock_policy(&args.lock, "kinfra renew");
    let Some((slot, claim)) = renew(&pool, &owner, args.claim_id, args.lease, &policy)? else {
        return Err(Fault::no_slot(report::claim::holds_none(&owner)).into());
    };
    print(&report::claim::renewed(slot, &claim))?;
    Ok(Exit::Done)
}

/// Renews the claim with this id, else the one that `owner` holds in the pool, and says how it is then. Nothing is written
/// where nothing changes. `None` when the owner holds no slot.
///
/// # Errors
/// [`Fault`] when there is no pool, the id is an old one, or the lock is not obtained.
pub(crate) fn renew(
    pool: &PoolOf,
    owner: &Utf8Path,
    id: Option<ClaimId>,
    length: Option<Span>,
    policy: &LockPolicy<'_>,
) -> Result<Option<(SlotId, Claim)>> {
    let locked = pool.applied()?.ok_or_else(|| pool.missing())?.lock(policy)?;
    let (mut registry, text) = claims(locked.root())?;
    let before = registry.clone();
    let holder = holder(&before, owner);
    let renewed = lease::renew(&mut registry, holder, id, length, host::clock::now());
    let renewed = renewed.map_err(|kept| kept_fault(&kept, &before))?;
    if registry != before {
        locked.save_registry(text.as_deref(), &registry.to_text()?)?;
    }
    let entry = renewed.and_then(|slot| Some((slot, registry.slots.remove(&slot)?)));
    Ok(entry.and_then(|(slot, entry)| Some((slot, entry.claim?))))
}
