//! Who may hold a slot, for how long, and when nobody does any more. Pure: the registry before and after, or why not.

use std::collections::BTreeSet;
use std::fmt;

use crate::identifier::ProfileName;
use crate::registry::{Claim, ClaimId, Entry, Lease, Registry};
use crate::slot::SlotId;
use crate::time::{Span, Time};

#[cfg(test)]
#[path = "lease_tests.rs"]
mod tests;

/// Which slots would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// Any.
    Any,
    /// Those of a profile, and larger ones.
    AtLeast(ProfileName),
    /// This one.
    Slot(SlotId),
}

impl Wish {
    /// Reads what it is shown as. What is not understood may be a wish for anything.
    pub fn parse(text: &str) -> Self {
        let profile = text.strip_prefix("profile ").and_then(|name| ProfileName::new(name).ok());
        let slot = text.strip_prefix("slot ").and_then(|id| id.parse().ok()).and_then(SlotId::new);
        profile.map(Self::AtLeast).or(slot.map(Self::Slot)).unwrap_or(Self::Any)
    }
}

impl fmt::Display for Wish {
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
pub struct Sizes(pub Vec<ProfileName>);

impl Sizes {
    /// The place of a profile. What the pool no longer declares comes last.
    fn rank(&self, profile: &ProfileName) -> usize {
        self.0.iter().position(|known| known == profile).unwrap_or(self.0.len())
    }

    /// Whether a profile is another one, or known to be larger.
    fn suffices(&self, offered: &ProfileName, wanted: &ProfileName) -> bool {
        let is_known = self.0.contains(offered) && self.0.contains(wanted);
        offered == wanted || (is_known && self.rank(offered) >= self.rank(wanted))
    }
}

/// What somebody asks for.
#[derive(Debug)]
pub struct Application<'a> {
    /// The claim as it would be.
    pub claim: Claim,
    /// Which slots would do.
    pub wish: &'a Wish,
    /// The profiles of the pool.
    pub sizes: &'a Sizes,
    /// What those wish who waited before, in their order.
    pub ahead: &'a [Wish],
    /// How late it is.
    pub now: Time,
}

/// How an owner came by a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grant {
    /// It was free.
    New(SlotId),
    /// The owner held it already.
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

/// Why a slot is not claimed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Denied {
    /// No slot that would do is free.
    Full,
    /// What is free is for those who waited before.
    Queued,
    /// The pool has no such slot.
    NoSuchSlot(SlotId),
    /// The pool has no slot of this profile, and no larger one.
    NoSuchSize(ProfileName),
    /// Somebody else holds the slot.
    Taken(SlotId),
    /// The owner holds another slot, or one that would not do.
    HoldsAnother(SlotId),
    /// The slot is not fit for use.
    Unfit(SlotId),
}

/// Why a slot is neither released nor renewed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    /// The pool has no such slot.
    NoSuchSlot(SlotId),
    /// Somebody else holds it.
    HeldBy(SlotId),
    /// The claim with this id is over, and the slot, if one was named, is held by another.
    Late(ClaimId, Option<SlotId>),
}

/// Gives an owner the slot it holds already, with its lease renewed, else the smallest free one that would do and is not
/// for those who waited before, who choose first. `fit` says whether a slot is fit for use.
///
/// # Errors
/// [`Denied`]; the registry is then unchanged.
pub fn claim(
    registry: &mut Registry,
    application: Application<'_>,
    fit: impl Fn(SlotId) -> bool,
) -> Result<Grant, Denied> {
    let Application { claim, wish, sizes, ahead, now } = application;
    if let Some(slot) = held_by(registry, &claim.claimed_by)
        && let Some(entry) = registry.slots.get_mut(&slot)
    {
        if !would_do(wish, sizes, slot, entry) {
            return Err(Denied::HoldsAnother(slot));
        }
        if let Some(held) = &mut entry.claim {
            hold_on(held, claim, now);
        }
        return Ok(Grant::Held(slot));
    }
    match wish {
        Wish::Any => {}
        Wish::AtLeast(profile) => {
            let mut entries = registry.slots.iter();
            if !entries.any(|(slot, entry)| would_do(wish, sizes, *slot, entry)) {
                return Err(Denied::NoSuchSize(profile.clone()));
            }
        }
        Wish::Slot(slot) => {
            let entry = registry.slots.get(slot).ok_or(Denied::NoSuchSlot(*slot))?;
            if entry.claim.is_some() {
                return Err(Denied::Taken(*slot));
            }
            if !fit(*slot) {
                return Err(Denied::Unfit(*slot));
            }
        }
    }
    let slot = choose(registry, wish, sizes, ahead, fit)?;
    if let Some(entry) = registry.slots.get_mut(&slot) {
        entry.claim = Some(claim);
    }
    Ok(Grant::New(slot))
}

/// The slot for a wish, after those who waited before have chosen theirs.
///
/// # Errors
/// [`Denied`] when none is free, or none is left.
pub fn choose(
    registry: &Registry,
    wish: &Wish,
    sizes: &Sizes,
    ahead: &[Wish],
    fit: impl Fn(SlotId) -> bool,
) -> Result<SlotId, Denied> {
    let mut free: Vec<(SlotId, &Entry)> = registry
        .slots
        .iter()
        .filter(|(_, entry)| entry.claim.is_none())
        .map(|(slot, entry)| (*slot, entry))
        .collect();
    free.sort_by_key(|(slot, entry)| (sizes.rank(&entry.provisioned.profile), *slot));
    let first = |wish: &Wish, taken: &BTreeSet<SlotId>| {
        let mut left = free.iter().filter(|(slot, _)| !taken.contains(slot));
        left.find(|(slot, entry)| would_do(wish, sizes, *slot, entry) && fit(*slot)).map(|(slot, _)| *slot)
    };
    let mut taken = BTreeSet::new();
    for before in ahead {
        taken.extend(first(before, &taken));
    }
    first(wish, &taken).ok_or_else(|| match first(wish, &BTreeSet::new()) {
        Some(_) => Denied::Queued,
        None => Denied::Full,
    })
}

/// Whether a slot is one that somebody wishes for.
fn would_do(wish: &Wish, sizes: &Sizes, slot: SlotId, entry: &Entry) -> bool {
    match wish {
        Wish::Any => true,
        Wish::AtLeast(profile) => sizes.suffices(&entry.provisioned.profile, profile),
        Wish::Slot(wanted) => *wanted == slot,
    }
}

/// What becomes of a claim when its owner claims again: it is renewed, and has what it did not have. An old tool's claim
/// thereby gets an id.
fn hold_on(held: &mut Claim, again: Claim, now: Time) {
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
    // Machines are renamed, and worktrees made anew where others were.
    held.claimed_host = claimed_host;
    held.claimed_user = claimed_user;
    held.claimed_gitdir = claimed_gitdir;
    held.claimed_mount = claimed_mount;
    held.note = note.or_else(|| held.note.take());
    prolong(held, lease.map(|lease| lease.length), now);
}

/// Lets a claim hold for its lease's length from now on, or for `length`. One without a lease stays without.
fn prolong(claim: &mut Claim, length: Option<Span>, now: Time) {
    let length = length.or(claim.lease.map(|lease| lease.length));
    claim.lease = length.map(|length| Lease::starting(now, length));
}

/// Renews the claim with this id, else the one of `owner`: by its lease's length, or from now on by `length`. One that has
/// run out is renewed too, as long as nobody has reaped it. `None` when there is nothing to renew.
///
/// # Errors
/// [`Kept`]; the registry is then unchanged.
pub fn renew(
    registry: &mut Registry,
    owner: &str,
    id: Option<ClaimId>,
    length: Option<Span>,
    now: Time,
) -> Result<Option<SlotId>, Kept> {
    let slot = match id {
        Some(id) => Some(with_id(registry, id).ok_or(Kept::Late(id, None))?),
        None => held_by(registry, owner),
    };
    let claim = slot.and_then(|slot| registry.slots.get_mut(&slot)).and_then(|entry| entry.claim.as_mut());
    if let Some(claim) = claim {
        prolong(claim, length, now);
    }
    Ok(slot)
}

/// Takes back `slot`, or the one whose claim has this id, or the one that `owner` holds. `None` when there is nothing to
/// take back.
///
/// # Errors
/// [`Kept`] when somebody else holds it and `force` is not given, or when the id is an old one; the registry is then
/// unchanged.
pub fn release(
    registry: &mut Registry,
    owner: &str,
    slot: Option<SlotId>,
    id: Option<ClaimId>,
    force: bool,
) -> Result<Option<(SlotId, Claim)>, Kept> {
    let slot = match (slot, id) {
        (Some(slot), _) => slot,
        (None, Some(id)) => with_id(registry, id).ok_or(Kept::Late(id, None))?,
        (None, None) => match held_by(registry, owner) {
            Some(slot) => slot,
            None => return Ok(None),
        },
    };
    let entry = registry.slots.get_mut(&slot).ok_or(Kept::NoSuchSlot(slot))?;
    let Some(claim) = &entry.claim else { return Ok(None) };
    match id {
        Some(id) if claim.claim_id != Some(id) => return Err(Kept::Late(id, Some(slot))),
        None if claim.claimed_by != owner && !force => return Err(Kept::HeldBy(slot)),
        Some(_) | None => {}
    }
    Ok(entry.claim.take().map(|claim| (slot, claim)))
}

/// The slot that an owner holds, by the name it claimed with.
pub fn held_by(registry: &Registry, owner: &str) -> Option<SlotId> {
    find(registry, |claim| claim.claimed_by == owner)
}

/// The slot whose claim has this id.
pub fn with_id(registry: &Registry, id: ClaimId) -> Option<SlotId> {
    find(registry, |claim| claim.claim_id == Some(id))
}

fn find(registry: &Registry, is_it: impl Fn(&Claim) -> bool) -> Option<SlotId> {
    registry.slots.iter().find(|(_, entry)| entry.claim.as_ref().is_some_and(&is_it)).map(|(slot, _)| *slot)
}
