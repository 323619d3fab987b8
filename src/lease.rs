//! Who may hold a slot. Pure: the registry before, the registry after, or why not.
//!
//! Whether the stack of a slot still runs is not asked here; [`release`] is where that will be checked.

use crate::registry::{Claim, Registry};
use crate::slot::SlotId;

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
    /// No slot is free.
    Full,
    /// The pool has no such slot.
    NoSuchSlot(SlotId),
    /// Somebody else holds the slot.
    Taken {
        /// The slot.
        slot: SlotId,
        /// Who holds it.
        claim: Claim,
    },
    /// The owner holds another slot.
    HoldsAnother(SlotId),
    /// The slot's files are not fit for use.
    Unfit(SlotId),
}

/// Why a slot is not released.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    /// The pool has no such slot.
    NoSuchSlot(SlotId),
    /// Somebody else holds it.
    HeldBy(SlotId, Claim),
}

/// Gives `owner` the slot it holds already, else `wanted`, else the lowest free one. `fit` says whether the files of a
/// slot are fit for use.
///
/// # Errors
/// [`Denied`]; the registry is then unchanged.
pub fn claim(
    registry: &mut Registry,
    owner: &str,
    now: &str,
    wanted: Option<SlotId>,
    fit: impl Fn(SlotId) -> bool,
) -> Result<Grant, Denied> {
    if let Some(held) = held_by(registry, owner) {
        return match wanted {
            Some(wanted) if wanted != held => Err(Denied::HoldsAnother(held)),
            _ => Ok(Grant::Held(held)),
        };
    }
    let slot = if let Some(slot) = wanted {
        let entry = registry.slots.get(&slot).ok_or(Denied::NoSuchSlot(slot))?;
        if let Some(claim) = entry.claim.clone() {
            return Err(Denied::Taken { slot, claim });
        }
        if !fit(slot) {
            return Err(Denied::Unfit(slot));
        }
        slot
    } else {
        let mut free = registry.slots.iter().filter(|(_, entry)| entry.claim.is_none());
        free.find(|(slot, _)| fit(**slot)).map(|(slot, _)| *slot).ok_or(Denied::Full)?
    };
    if let Some(entry) = registry.slots.get_mut(&slot) {
        entry.claim = Some(Claim { claimed_by: owner.to_owned(), claimed_at: Some(now.to_owned()) });
    }
    Ok(Grant::New(slot))
}

/// Takes back `slot`, or the slot that `owner` holds. `None` when there is nothing to take back.
///
/// # Errors
/// [`Kept`] when somebody else holds it and `force` is not given; the registry is then unchanged.
pub fn release(
    registry: &mut Registry,
    owner: &str,
    slot: Option<SlotId>,
    force: bool,
) -> Result<Option<(SlotId, Claim)>, Kept> {
    let Some(slot) = slot.or_else(|| held_by(registry, owner)) else { return Ok(None) };
    let entry = registry.slots.get_mut(&slot).ok_or(Kept::NoSuchSlot(slot))?;
    match entry.claim.take() {
        Some(claim) if claim.claimed_by != owner && !force => {
            entry.claim = Some(claim.clone());
            Err(Kept::HeldBy(slot, claim))
        }
        claim => Ok(claim.map(|claim| (slot, claim))),
    }
}

fn held_by(registry: &Registry, owner: &str) -> Option<SlotId> {
    let holds = |claim: &Claim| claim.claimed_by == owner;
    registry.slots.iter().find(|(_, entry)| entry.claim.as_ref().is_some_and(holds)).map(|(slot, _)| *slot)
}
