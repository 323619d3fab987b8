//! What `run` says.

use crate::registry::Claim;
use crate::slot::SlotId;

/// That a slot is held already, which the run uses and leaves.
pub fn held(slot: SlotId, claim: &Claim) -> String {
    let by = if claim.is_of_run { "the run around this one" } else { "this worktree" };
    format!("Slot {slot} is held by {by} already: it is used as it is, and stays held\n")
}

/// That the claim of a run ended before its command did.
pub const OVER: &str = "warning: the slot was released while the command ran\n";

/// That the worktree claimed the slot for itself while a run had it.
pub fn taken_over(slot: SlotId) -> String {
    format!("Slot {slot} stays held: this worktree claimed it while the command ran\n")
}
