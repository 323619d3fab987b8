//! Finding a claim in a registry. Pure.

use camino::Utf8Path;

use crate::registry::{Claim, ClaimId, Registry};
use crate::slot::SlotId;

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
