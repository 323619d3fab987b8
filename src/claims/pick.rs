//! Picking a slot for a request: the one that is held already, else the smallest free one, after the waiters
//! ahead. Pure.

use std::collections::BTreeMap;
use std::fmt;

use super::held_by::{Directory, held_by, with_id};
use crate::identifier::ProfileName;
use crate::registry::{ClaimId, Condition, Entry, Registry};
use crate::slot::SlotId;

#[cfg(test)]
#[path = "pick_tests.rs"]
pub(super) mod tests;

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
    /// The slots of a profile or one slot, as far as either was named.
    pub fn of(profile: Option<ProfileName>, slot: Option<SlotId>) -> Self {
        profile.map(Self::AtLeast).or(slot.map(Self::Slot)).unwrap_or(Self::Any)
    }

    /// Reads what a ticket says. What this kinfra does not understand may stand for any slot.
    pub fn parse(text: &str) -> Self {
        let profile = text.strip_prefix("profile ").and_then(|name| ProfileName::new(name).ok());
        let slot = text.strip_prefix("slot ").and_then(|id| id.parse().ok()).and_then(SlotId::new);
        Self::of(profile, slot)
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
    pub fn suffices(&self, offered: &ProfileName, wanted: &ProfileName) -> bool {
        let is_known = self.0.contains(offered) && self.0.contains(wanted);
        offered == wanted || (is_known && self.rank(offered) >= self.rank(wanted))
    }
}

/// A request for a slot, with all that decides it.
#[derive(Debug)]
pub struct Application<'a> {
    /// The directory that would hold the slot.
    pub directory: &'a Directory,
    /// Which slots satisfy it.
    pub wanted: &'a Wanted,
    /// The profiles of the pool.
    pub profiles: &'a ProfileOrder,
    /// What the waiters ahead want, in their order.
    pub ahead: &'a [Wanted],
    /// The free slot that keeps the data of this very worktree, if one does.
    pub kept: Option<SlotId>,
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
    /// What is free is for the waiters ahead.
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

/// Whether a free slot is fit for use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fitness {
    /// It is.
    Fit,
    /// It is not.
    Unfit,
    /// It was not looked at.
    Unknown,
}

/// This slot must be looked at first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LookAt(pub SlotId);

impl From<LookAt> for NotPicked {
    fn from(LookAt(slot): LookAt) -> Self {
        Self::LookAt(slot)
    }
}

/// Why no slot is picked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotPicked {
    /// The request gets none.
    Denied(Denied),
    /// This slot must be looked at first.
    LookAt(SlotId),
}

impl From<Denied> for NotPicked {
    fn from(denied: Denied) -> Self {
        Self::Denied(denied)
    }
}

/// The slot that a request gets: the one that its directory holds already, else the smallest free slot that
/// satisfies it and is not for a waiter ahead. `fitness` says whether a slot is fit for use.
///
/// # Errors
/// [`NotPicked`].
pub fn would_get(
    registry: &Registry,
    application: &Application<'_>,
    fitness: impl Fn(SlotId) -> Fitness,
) -> Result<Grant, NotPicked> {
    let Application { directory, wanted, profiles, ahead: _, kept: _ } = application;
    if let Some(slot) = held_by(registry, directory)
        && let Some(entry) = registry.slots.get(&slot)
    {
        let accepts = wanted.accepts(profiles, slot, entry);
        return if accepts { Ok(Grant::Held(slot)) } else { Err(Denied::HoldsAnother(slot).into()) };
    }
    match wanted {
        Wanted::Any => {}
        Wanted::AtLeast(profile) => {
            let mut entries = registry.slots.iter();
            if !entries.any(|(slot, entry)| wanted.accepts(profiles, *slot, entry)) {
                return Err(Denied::NoSuchProfile(profile.clone()).into());
            }
        }
        Wanted::Slot(slot) => {
            let entry = registry.slots.get(slot).ok_or(Denied::NoSuchSlot(*slot))?;
            if entry.claim.is_some() {
                return Err(Denied::Taken(*slot).into());
            }
            match fitness(*slot) {
                Fitness::Fit => {}
                Fitness::Unfit => return Err(Denied::Unfit(*slot).into()),
                Fitness::Unknown => return Err(NotPicked::LookAt(*slot)),
            }
        }
    }
    choose(registry, application, fitness).map(Grant::New)
}

/// Whether a slot that satisfies a request may become free. One that is quarantined waits for a person.
pub fn may_come(registry: &Registry, wanted: &Wanted, profiles: &ProfileOrder) -> bool {
    let is_quarantined = |entry: &Entry| matches!(entry.condition(), Condition::Quarantined(_));
    registry
        .slots
        .iter()
        .any(|(slot, entry)| wanted.accepts(profiles, *slot, entry) && !is_quarantined(entry))
}

/// Whether the runs around a request hold each slot that satisfies it. None comes free while it waits.
pub fn are_all_around(registry: &Registry, wanted: &Wanted, profiles: &ProfileOrder, run: ClaimId) -> bool {
    let mut around = BTreeMap::new();
    let mut next = Some(run);
    while let Some(id) = next.take() {
        let Some(slot) = with_id(registry, id) else { break };
        let claim = registry.slots.get(&slot).and_then(|entry| entry.claim.as_ref());
        if around.insert(slot, id).is_none() {
            next = claim.and_then(|claim| claim.in_run);
        }
    }
    let mut slots = registry.slots.iter().filter(|(slot, entry)| wanted.accepts(profiles, **slot, entry));
    slots.all(|(slot, _)| around.contains_key(slot)) && !around.is_empty()
}

/// The order in which free slots are given. What another worktree may come back for is given last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Clean,
    ToBeCleaned,
    KeepsData,
}

impl Rank {
    fn of(entry: &Entry) -> Self {
        match entry.condition() {
            Condition::Held | Condition::Clean => Self::Clean,
            Condition::Dirty(_) | Condition::Quarantined(_) => Self::ToBeCleaned,
            Condition::KeepsData(_) => Self::KeepsData,
        }
    }
}

/// The free slots that are left, in the order in which they are given, while one request after the other
/// takes its own. `fitness` says whether a slot is fit for use.
#[derive(Debug)]
pub struct FreeSlots<'a, F> {
    free: BTreeMap<(Rank, usize, SlotId), &'a Entry>,
    profiles: &'a ProfileOrder,
    fitness: F,
}

impl<'a, F: Fn(SlotId) -> Fitness> FreeSlots<'a, F> {
    /// All free slots of a registry.
    pub fn new(registry: &'a Registry, profiles: &'a ProfileOrder, fitness: F) -> Self {
        let free = registry.slots.iter().filter(|(_, entry)| entry.claim.is_none());
        let place =
            |slot: SlotId, entry: &Entry| (Rank::of(entry), profiles.rank(&entry.provisioned.profile), slot);
        let free = free.map(|(slot, entry)| (place(*slot, entry), &**entry)).collect();
        Self { free, profiles, fitness }
    }

    /// The slot that a request gets. `kept` is the one that keeps the data of its worktree.
    ///
    /// # Errors
    /// A slot that must be looked at first.
    pub fn first(&self, wanted: &Wanted, kept: Option<SlotId>) -> Result<Option<SlotId>, LookAt> {
        Ok(self.place(wanted, kept)?.map(|(_, _, slot)| slot))
    }

    /// Takes the slot that a request gets. Returns whether it gets one.
    ///
    /// # Errors
    /// A slot that must be looked at first.
    pub fn take(&mut self, wanted: &Wanted) -> Result<bool, LookAt> {
        let place = self.place(wanted, None)?;
        Ok(place.is_some_and(|place| self.free.remove(&place).is_some()))
    }

    fn place(&self, wanted: &Wanted, kept: Option<SlotId>) -> Result<Option<(Rank, usize, SlotId)>, LookAt> {
        let own = self.free.iter().filter(|((_, _, slot), _)| kept.is_some() && kept == Some(*slot));
        for (place, entry) in own.chain(&self.free) {
            let (_, _, slot) = *place;
            if !wanted.accepts(self.profiles, slot, entry) {
                continue;
            }
            match (self.fitness)(slot) {
                Fitness::Fit => return Ok(Some(*place)),
                Fitness::Unfit => {}
                Fitness::Unknown => return Err(LookAt(slot)),
            }
        }
        Ok(None)
    }
}

/// The free slot for a request, after the waiters ahead have chosen theirs.
///
/// # Errors
/// [`NotPicked`] when none is free, or none is left.
pub fn choose(
    registry: &Registry,
    application: &Application<'_>,
    fitness: impl Fn(SlotId) -> Fitness,
) -> Result<SlotId, NotPicked> {
    let Application { directory: _, wanted, profiles, ahead, kept } = application;
    let mut left = FreeSlots::new(registry, profiles, fitness);
    let is_free = |left: &FreeSlots<'_, _>| left.first(wanted, *kept);
    if ahead.is_empty() {
        return is_free(&left)?.ok_or_else(|| Denied::Full.into());
    }
    let was_free = is_free(&left)?.is_some();
    for before in *ahead {
        left.take(before)?;
    }
    is_free(&left)?.ok_or_else(|| if was_free { Denied::Queued } else { Denied::Full }.into())
}
