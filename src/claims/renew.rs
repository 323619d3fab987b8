//! Renewing a lease.

use anyhow::Result;
use camino::Utf8Path;

use super::held_by::held_by;
use super::lease;
use super::refusal::{holds_none, not_yours};
use super::whereabouts::{Following, look_at, mark_for, noted};
use crate::host::lock::LockPolicy;
use crate::identifier::Owner;
use crate::registry::{Claim, ClaimId};
use crate::slot::SlotId;
use crate::time::Span;
use crate::which::by_worktree::FoundPool;

/// Renews the claim with this id, or without an id the claim of the worktree, or of an owner in it. Returns
/// the renewed claim. `length` is a new length for its lease. Writes nothing if nothing changes.
///
/// # Errors
/// [`Fault`](crate::fault::Fault) when there is no pool or no claim, the claim with the id is over, or the
/// lock is not obtained.
pub fn renew(
    pool: &mut FoundPool,
    (worktree, owner): (&Utf8Path, Option<&Owner>),
    id: Option<ClaimId>,
    length: Option<Span>,
    policy: &LockPolicy<'_>,
) -> Result<(SlotId, Claim)> {
    let seen = pool.applied(Following::Of(worktree))?;
    pool.trusted()?;
    let directory = noted(&seen.registry, &look_at(worktree)?.owned_by(owner.cloned()));
    let own = held_by(&seen.registry, &directory);
    let mark = own.and_then(|slot| mark_for(seen.registry.slots.get(&slot)?.claim.as_ref()?));
    pool.ledger().transact(&seen, policy, |transaction| {
        let now = transaction.now();
        let registry = transaction.registry_mut();
        let slot = lease::to_renew(registry, &directory, id).map_err(|why| not_yours(&why, registry))?;
        let slot = slot.ok_or_else(|| holds_none(worktree))?;
        let mark = mark.filter(|_| held_by(registry, &directory) == Some(slot));
        lease::renew(registry, slot, length, mark, now);
        let claim = registry.slots.get(&slot).and_then(|entry| entry.claim.clone());
        Ok(claim.map(|claim| (slot, claim)).ok_or_else(|| holds_none(worktree))?)
    })
}
