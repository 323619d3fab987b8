//! Holding a slot, and for how long: granting, renewing, releasing, expiry. Pure: the registry before and
//! after, or why not.

use std::time::Duration;

use super::held_by::{Directory, held_by, with_id};
use super::pick::Grant;
use crate::registry::{Claim, ClaimId, Lease, Left, Mark, Registry, Remains};
use crate::slot::SlotId;
use crate::time::{Span, Time};

#[cfg(test)]
#[path = "lease_tests.rs"]
mod tests;

/// A lease is renewed when this part of it is over.
const PART: u32 = 3;

/// The shortest time between two renewals.
const SHORTEST: Duration = Duration::from_millis(100);

/// Why a claim is neither released nor renewed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotYours {
    /// The pool has no such slot.
    NoSuchSlot(SlotId),
    /// Another worktree holds it.
    HeldBy(SlotId),
    /// The claim with this id is over. The slot, if one was named, is free or held under another id.
    Over(ClaimId, Option<SlotId>),
}

/// Records a grant: a new claim, or the renewal of the present one.
///
/// The claim and its lease begin now, whatever `claim` says. `length` is the lease's; a renewal without one
/// keeps what it has.
pub fn grant(registry: &mut Registry, grant: Grant, claim: Claim, length: Option<Span>, now: Time) {
    let Some(entry) = registry.slot_mut(grant.slot()) else { return };
    match &mut entry.claim {
        Some(held) => {
            // The lease of a run ends with the run.
            held.lease = held.lease.filter(|_| !takes_over(held, &claim));
            refresh(held, claim);
            renew_lease(held, length, now);
        }
        free @ None => {
            let lease = length.map(|length| Lease::starting(now, length));
            *free = Some(Claim { claimed_at: Some(now.to_string()), lease, ..claim });
            // Only the worktree whose data is kept is given a slot that has some.
            entry.started.iter_mut().for_each(|started| started.left = None);
        }
    }
}

/// Whether a claim begins with a grant: it is new, or the directory makes what a run has its own.
pub fn begins(registry: &Registry, grant: Grant, claim: &Claim) -> bool {
    let held = registry.slots.get(&grant.slot()).and_then(|entry| entry.claim.as_ref());
    held.is_none_or(|held| takes_over(held, claim))
}

fn takes_over(held: &Claim, again: &Claim) -> bool {
    held.is_of_run && !again.is_of_run
}

/// Whether the lease of a claim has run out. A claim without a lease never does.
pub fn has_expired(claim: &Claim, now: Time) -> bool {
    claim.lease.is_some_and(|lease| lease.until <= now)
}

/// Brings a claim up to date whose holder claims again, and adds missing fields. An old tool's claim gets an
/// id.
fn refresh(held: &mut Claim, again: Claim) {
    let Claim {
        claimed_by: _,
        claim_owner: _,
        is_of_run,
        in_run,
        claimed_at: _,
        claim_id,
        lease: _,
        note,
        claimed_host,
        claimed_user,
        claimed_gitdir,
        claimed_mount,
        mark,
        files: _,
    } = again;
    held.claim_id = held.claim_id.or(claim_id);
    // A directory that claims for itself what a run left, or has, keeps it.
    held.is_of_run &= is_of_run;
    held.in_run = held.in_run.filter(|run| in_run == Some(*run));
    // The machine may have a new name, and a backup may have been put back elsewhere on the disk.
    held.claimed_host = claimed_host;
    held.claimed_user = claimed_user;
    held.claimed_gitdir = claimed_gitdir;
    held.claimed_mount = claimed_mount;
    held.mark = Mark { token: mark.token.or(held.mark.token), ..mark };
    held.note = note.or_else(|| held.note.take());
}

/// Renews the lease of a claim, with a new `length` if one is given. A claim without a lease stays without
/// one.
fn renew_lease(claim: &mut Claim, length: Option<Span>, now: Time) {
    let length = length.or(claim.lease.map(|lease| lease.length));
    claim.lease = length.map(|length| Lease::starting(now, length));
}

/// Renews the claim of a slot. The new lease has the length `length`, or the old length. An expired claim
/// that was not reaped is renewed, too. `mark` is for a claim of an older kinfra, which has none.
pub fn renew(registry: &mut Registry, slot: SlotId, length: Option<Span>, mark: Option<Mark>, now: Time) {
    if let Some(claim) = registry.slot_mut(slot).and_then(|entry| entry.claim.as_mut()) {
        renew_lease(claim, length, now);
        if let Some(mark) = mark.filter(|_| claim.mark.is_empty()) {
            claim.mark = mark;
        }
    }
}

/// The slot whose claim has this id, or without an id the one that `directory` holds. `None` if there is no
/// claim.
///
/// # Errors
/// [`NotYours`] when the claim with the id is over.
pub fn to_renew(
    registry: &Registry,
    directory: &Directory,
    id: Option<ClaimId>,
) -> Result<Option<SlotId>, NotYours> {
    match id {
        Some(id) => with_id(registry, id).map(Some).ok_or(NotYours::Over(id, None)),
        None => Ok(held_by(registry, directory)),
    }
}

/// Releases `slot`, or the slot whose claim has this id, or the slot that `directory` holds. `None` if there
/// is no claim.
///
/// # Errors
/// [`NotYours`] when another worktree holds it and `force` is not given, or when the claim with the id is
/// over. The registry is then unchanged.
pub fn release(
    registry: &mut Registry,
    directory: &Directory,
    slot: Option<SlotId>,
    id: Option<ClaimId>,
    force: bool,
) -> Result<Option<(SlotId, Claim)>, NotYours> {
    let slot = to_release(registry, directory, slot, id, force)?;
    let entry = slot.and_then(|slot| Some((slot, registry.slot_mut(slot)?)));
    Ok(entry.and_then(|(slot, entry)| entry.claim.take().map(|claim| (slot, claim))))
}

/// The slot that [`release`] would take back.
///
/// # Errors
/// As [`release`].
pub fn to_release(
    registry: &Registry,
    directory: &Directory,
    slot: Option<SlotId>,
    id: Option<ClaimId>,
    force: bool,
) -> Result<Option<SlotId>, NotYours> {
    let slot = match (slot, id) {
        (Some(slot), _) => slot,
        (None, Some(id)) => with_id(registry, id).ok_or(NotYours::Over(id, None))?,
        (None, None) => match held_by(registry, directory) {
            Some(slot) => slot,
            None => return Ok(None),
        },
    };
    let entry = registry.slots.get(&slot).ok_or(NotYours::NoSuchSlot(slot))?;
    let Some(claim) = &entry.claim else { return Ok(None) };
    match id {
        Some(id) if claim.claim_id != Some(id) => return Err(NotYours::Over(id, Some(slot))),
        None if !directory.holds(claim) && !force => return Err(NotYours::HeldBy(slot)),
        Some(_) | None => {}
    }
    Ok(Some(slot))
}

/// Notes what the stack of a slot may have left, whose claim just ended. From now on the slot is clean only
/// after Docker has shown it. A stack that was never started leaves nothing. No data is kept of an owner
/// or of a run: their directory would get it.
pub fn leave(registry: &mut Registry, slot: SlotId, claim: &Claim, remains: Remains, now: Time) {
    let is_kept = claim.claim_owner.is_none() && !claim.is_of_run;
    let remains = if is_kept { remains } else { Remains::Everything };
    let started = registry.slot_mut(slot).and_then(|entry| entry.started.as_mut());
    if let Some(started) = started {
        started.left = Some(Left::new(claim, now, remains));
    }
}

/// How often a lease is renewed by what uses the slot.
pub fn renewed_every(lease: Lease) -> Duration {
    (lease.length.duration() / PART).max(SHORTEST)
}

/// Frees a slot.
pub fn end(registry: &mut Registry, slot: SlotId) {
    if let Some(entry) = registry.slot_mut(slot) {
        entry.claim = None;
    }
}
