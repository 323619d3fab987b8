//! Renewing a lease.

use anyhow::Result;
use camino::Utf8Path;

use super::lease;
use super::refusal::{holds_none, not_yours};
use super::whereabouts::{Following, noted_path};
use crate::host;
use crate::host::lock::LockPolicy;
use crate::registry::{Claim, ClaimId};
use crate::slot::SlotId;
use crate::time::Span;
use crate::which::by_worktree::FoundPool;

/// Renews the claim with this id, or without an id the claim of the worktree. Returns the renewed claim.
/// `length` is a new length for its lease. Writes nothing if nothing changes.
///
/// # Errors
/// [`Fault`](crate::fault::Fault) when there is no pool or no claim, the claim with the id is over, or the
/// lock is not obtained.
pub fn renew(
    pool: &mut FoundPool,
    worktree: &Utf8Path,
    id: Option<ClaimId>,
    length: Option<Span>,
    policy: &LockPolicy<'_>,
) -> Result<(SlotId, Claim)> {
    let seen = pool.applied(Following::Of(worktree))?;
    pool.trusted()?;
    let path = noted_path(&seen.registry, worktree);
    pool.ledger().transact(&seen, policy, |transaction| {
        let registry = transaction.registry_mut();
        let renewed = lease::renew(registry, &path, id, length, host::clock::now());
        let slot = renewed.map_err(|why| not_yours(&why, registry))?;
        let claim = slot.and_then(|slot| Some((slot, registry.slots.get(&slot)?.claim.clone()?)));
        Ok(claim.ok_or_else(|| holds_none(worktree))?)
    })
}
