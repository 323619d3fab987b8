//! What `run` says.

use crate::slot::SlotId;

/// That the worktree holds a slot already, which the run uses and leaves.
pub fn held(slot: SlotId) -> String {
    format!("Slot {slot} is held by this worktree already: it is used, and stays held\n")
}
