//! Which worktree may hold a slot, and for how long. Pure: changes a registry value, or says why not.

use std::collections::BTreeSet;
use std::fmt;

use camino::Utf8Path;

use crate::identifier::ProfileName;
use crate::registry::{Claim, ClaimId, Entry, Lease, Registry};
use crate::slot::SlotId;
use crate::time::{Span, Time};

#[cfg(test)]
#[path = "lease_tests.rs"]
mod tests;

/// Which slots satisfy a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// Any.
    Any,
    /// Those of a profile, and larger ones.
    AtLeast(ProfileName),
    /// This one.
    Slot(SlotId),
}

impl Wanted {
    /// Reads the request in a ticket. A request that this kinfra does not understand may want any slot.
    pub fn parse(text: &str) -> Self {
        let profile = text.strip_prefix("profile ").and_then(|name| ProfileName::new(name).ok());
        let slot = text.strip_prefix("slot ").and_then(|id| id.parse().ok()).and_then(SlotId::new);
        profile.map(Self::AtLeast).or(slot.map(Self::Slot)).unwrap_or(Self::Any)
    }

    /// Whether a slot satisfies the request.
    fn accepts(&self, profiles: &ProfileOrder, slot: SlotId, entry: &Entry) -> bool {
        match self {
            Self::Any => true,
            Self::AtLeast(profile) => profiles.suffices(&entry.provisioned.profile, profile),
            Self::Slot(wanted) => *wanted == slot,
        }
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::AtLeast(profile) => write!(f, "profile {profile}"),
            Self::Slot(slot) => write!(f, "slot {slot}"),
        }
    }
}

/// The profiles of a pool, smallest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProfileOrder(pub Vec<ProfileName>);

impl ProfileOrder {
    /// The place of a profile. One that the pool no longer declares comes last.
    fn rank(&self, profile: &ProfileName) -> usize {
        self.0.iter().position(|known| known == profile).unwrap_or(self.0.len())
    }

    /// Whether the offered profile is the wanted one, or known to be larger.
    fn suffices(&self, offered: &ProfileName, wanted: &ProfileName) -> bool {
        let is_known = self.0.contains(offered) && self.0.contains(wanted);
        offered == wanted || (is_known && self.rank(offered) >= self.rank(wanted))
    }
}

/// A request for a slot, with everything that decides it.
#[derive(Debug)]
pub struct Application<'a> {
    /// The path that the slot would be held under.
    pub directory: &'a Utf8Path,
    /// Which slots satisfy it.
    pub wanted: &'a Wanted,
    /// The profiles of the pool.
    pub profiles: &'a ProfileOrder,
    /// The requests of the waiters ahead, in order.
    pub ahead: &'a [Wanted],
}

/// How a holder came by a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grant {
    /// It was free.
    New(SlotId),
    /// The holder held it already.
    Held(SlotId),
}

impl Grant {
    /// The slot.
    pub fn slot(self) -> SlotId {
        match self {
            Self::New(slot) | Self::Held(slot) => slot,
        }
    }
}

/// Why a request gets no slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Denied {
    /// No slot that satisfies it is free.
    Full,
    /// The free slots are for the waiters ahead.
    Queued,
    /// The pool has no such slot.
    NoSuchSlot(SlotId),
    /// The pool has no slot of this profile, and no larger one.
    NoSuchProfile(ProfileName),
    /// Another worktree holds the slot.
    Taken(SlotId),
    /// The worktree holds another slot, or one that does not satisfy the request.
    HoldsAnother(SlotId),
    /// The slot is not fit for use.
    Unfit(SlotId),
}

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

/// The slot that a request gets: the one that its directory holds already, or else the smallest free slot
/// that satisfies it and is not for a waiter ahead. `is_fit` says whether a slot is fit for use.
///
/// # Errors
/// [`Denied`].
pub fn would_get(
    registry: &Registry,
    application: &Application<'_>,
    is_fit: impl Fn(SlotId) -> bool,
) -> Result<Grant, Denied> {
    let Application { directory, wanted, profiles, ahead } = application;
    if let Some(slot) = held_by(registry, directory)
        && let Some(entry) = registry.slots.get(&slot)
    {
        let accepts = wanted.accepts(profiles, slot, entry);
        return if accepts { Ok(Grant::Held(slot)) } else { Err(Denied::HoldsAnother(slot)) };
    }
    free_slot(registry, wanted, profiles, ahead, is_fit).map(Grant::New)
}

/// Records a grant: a new claim, or the renewal of the present one.
pub fn grant(registry: &mut Registry, grant: Grant, claim: Claim, now: Time) {
    let Some(entry) = registry.slots.get_mut(&grant.slot()) else { return };
    match &mut entry.claim {
        Some(held) => refresh(held, claim, now),
        free @ None => *free = Some(claim),
    }
}

/// The free slot that a request gets.
fn free_slot(
    registry: &Registry,
    wanted: &Wanted,
    profiles: &ProfileOrder,
    ahead: &[Wanted],
    is_fit: impl Fn(SlotId) -> bool,
) -> Result<SlotId, Denied> {
    match wanted {
        Wanted::Any => {}
        Wanted::AtLeast(profile) => {
            let mut entries = registry.slots.iter();
            if !entries.any(|(slot, entry)| wanted.accepts(profiles, *slot, entry)) {
                return Err(Denied::NoSuchProfile(profile.clone()));
            }
        }
        Wanted::Slot(slot) => {
            let entry = registry.slots.get(slot).ok_or(Denied::NoSuchSlot(*slot))?;
            if entry.claim.is_some() {
                return Err(Denied::Taken(*slot));
            }
            if !is_fit(*slot) {
                return Err(Denied::Unfit(*slot));
            }
        }
    }
    choose(registry, wanted, profiles, ahead, is_fit)
}

/// The slot for a request, after the waiters ahead have got theirs.
///
/// # Errors
/// [`Denied`] when no slot is free, or none is left.
pub fn choose(
    registry: &Registry,
    wanted: &Wanted,
    profiles: &ProfileOrder,
    ahead: &[Wanted],
    is_fit: impl Fn(SlotId) -> bool,
) -> Result<SlotId, Denied> {
    let mut free: Vec<(SlotId, &Entry)> = registry
        .slots
        .iter()
        .filter(|(_, entry)| entry.claim.is_none())
        .map(|(slot, entry)| (*slot, entry))
        .collect();
    free.sort_by_key(|(slot, entry)| (profiles.rank(&entry.provisioned.profile), *slot));
    let first = |wanted: &Wanted, taken: &BTreeSet<SlotId>| {
        let mut left = free.iter().filter(|(slot, _)| !taken.contains(slot));
        left.find(|(slot, entry)| wanted.accepts(profiles, *slot, entry) && is_fit(*slot))
            .map(|(slot, _)| *slot)
    };
    let mut taken = BTreeSet::new();
    for before in ahead {
        taken.extend(first(before, &taken));
    }
    first(wanted, &taken).ok_or_else(|| match first(wanted, &BTreeSet::new()) {
        Some(_) => Denied::Queued,
        None => Denied::Full,
    })
}

/// Renews a claim whose holder claims again, and adds missing fields. An old tool's claim gets an id.
fn refresh(held: &mut Claim, again: Claim, now: Time) {
    let Claim {
        claimed_by: _,
        claimed_at: _,
        claim_id,
        lease,
        note,
        claimed_host,
        claimed_user,
        claimed_gitdir,
        claimed_mount,
        files: _,
    } = again;
    held.claim_id = held.claim_id.or(claim_id);
    // The machine may have a new name, and the worktree may be a new one at the same path.
    held.claimed_host = claimed_host;
    held.claimed_user = claimed_user;
    held.claimed_gitdir = claimed_gitdir;
    held.claimed_mount = claimed_mount;
    held.note = note.or_else(|| held.note.take());
    renew_lease(held, lease.map(|lease| lease.length), now);
}

/// Renews the lease of a claim, with a new `length` if one is given. A claim without a lease stays without
/// one.
fn renew_lease(claim: &mut Claim, length: Option<Span>, now: Time) {
    let length = length.or(claim.lease.map(|lease| lease.length));
    claim.lease = length.map(|length| Lease::starting(now, length));
}

/// Renews the claim with this id, or without an id the claim of `directory`. The new lease has the length
/// `length`, or the old length. An expired claim that was not reaped is renewed, too. `None` if there is no
/// claim.
///
/// # Errors
/// [`NotYours`]; the registry is then unchanged.
pub fn renew(
    registry: &mut Registry,
    directory: &Utf8Path,
    id: Option<ClaimId>,
    length: Option<Span>,
    now: Time,
) -> Result<Option<SlotId>, NotYours> {
    let slot = match id {
        Some(id) => Some(with_id(registry, id).ok_or(NotYours::Over(id, None))?),
        None => held_by(registry, directory),
    };
    let claim = slot.and_then(|slot| registry.slots.get_mut(&slot)).and_then(|entry| entry.claim.as_mut());
    if let Some(claim) = claim {
        renew_lease(claim, length, now);
    }
    Ok(slot)
}

/// Releases `slot`, or the slot whose claim has this id, or the slot that `directory` holds. `None` if there
/// is no claim.
///
/// # Errors
/// [`NotYours`] when another worktree holds it and `force` is not given, or when the claim with the id is
/// over. The registry is then unchanged.
pub fn release(
    registry: &mut Registry,
    directory: &Utf8Path,
    slot: Option<SlotId>,
    id: Option<ClaimId>,
    force: bool,
) -> Result<Option<(SlotId, Claim)>, NotYours> {
    let slot = match (slot, id) {
        (Some(slot), _) => slot,
        (None, Some(id)) => with_id(registry, id).ok_or(NotYours::Over(id, None))?,
        (None, None) => match held_by(registry, directory) {
            Some(slot) => slot,
            None => return Ok(None),
        },
    };
    let entry = registry.slots.get_mut(&slot).ok_or(NotYours::NoSuchSlot(slot))?;
    let Some(claim) = &entry.claim else { return Ok(None) };
    match id {
        Some(id) if claim.claim_id != Some(id) => return Err(NotYours::Over(id, Some(slot))),
        None if !claim.claimed_by.is(directory) && !force => return Err(NotYours::HeldBy(slot)),
        Some(_) | None => {}
    }
    Ok(entry.claim.take().map(|claim| (slot, claim)))
}

/// Frees a slot.
pub fn end(registry: &mut Registry, slot: SlotId) {
    if let Some(entry) = registry.slots.get_mut(&slot) {
        entry.claim = None;
    }
}

/// The slot that a directory holds, under the path it claimed with.
pub fn held_by(registry: &Registry, directory: &Utf8Path) -> Option<SlotId> {
    find(registry, |claim| claim.claimed_by.is(directory))
}

/// The slot whose claim has this id.
pub fn with_id(registry: &Registry, id: ClaimId) -> Option<SlotId> {
    find(registry, |claim| claim.claim_id == Some(id))
}

fn find(registry: &Registry, is_it: impl Fn(&Claim) -> bool) -> Option<SlotId> {
    registry.slots.iter().find(|(_, entry)| entry.claim.as_ref().is_some_and(&is_it)).map(|(slot, _)| *slot)
}
