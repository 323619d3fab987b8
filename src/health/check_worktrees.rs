//! Files that containers wrote into worktrees as another user, so that git cannot remove them.

use super::finding::Findings;
use crate::desired::Pool;
use crate::registry::Registry;
use crate::stack::written::Writable;

/// Warns of worktrees that hold a slot and have files of another user in what their containers write to.
pub(super) fn check_worktrees(registry: Option<&Registry>, pool: &Pool, findings: &mut Findings) {
    for (slot, entry) in registry.into_iter().flat_map(|registry| &registry.slots) {
        let holder = entry.claim.as_ref().and_then(|claim| claim.claimed_by.directory());
        let Some(worktree) = holder else { continue };
        let writable = Writable::of(&pool.root.join(slot.directory()), worktree);
        if let Some(others) = writable.of_another_user() {
            findings.warning("worktrees", others.told(), others.advice());
        }
    }
}
