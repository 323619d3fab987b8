//! What `run` says.

use crate::registry::Claim;
use crate::slot::SlotId;

/// That a slot is held already, which the run uses and leaves.
pub fn held(slot: SlotId, claim: &Claim) -> String {
    let by = if claim.is_of_run { "the run around this one" } else { "this worktree" };
    format!("Slot {slot} is held by {by} already: it is used, and stays held\n")
}
