//! Files that containers wrote into worktrees as another user, so that git cannot remove them.

use camino::Utf8Path;

use super::finding::Findings;
use crate::desired::Pool;
use crate::registry::Registry;
use crate::shown::printable;
use crate::stack::written::of_another_user;

/// The most files and directories that a finding names.
const MOST_NAMED: usize = 3;

/// Warns of worktrees that hold a slot and have files of another user in what their containers write to.
pub(super) fn check_worktrees(registry: Option<&Registry>, pool: &Pool, findings: &mut Findings) {
    for (slot, entry) in registry.into_iter().flat_map(|registry| &registry.slots) {
        let holder = entry.claim.as_ref().and_then(|claim| claim.claimed_by.directory());
        let Some(worktree) = holder else { continue };
        let others = of_another_user(&pool.root.join(slot.directory()), worktree);
        if others.is_empty() {
            continue;
        }
        let below = |path: &Utf8Path| printable(path.strip_prefix(worktree).unwrap_or(path).as_str());
        let named: Vec<String> = others.iter().take(MOST_NAMED).map(|path| below(path)).collect();
        let more = if others.len() > MOST_NAMED { ", …" } else { "" };
        let worktree = printable(worktree.as_str());
        let found =
            format!("containers wrote files of another user into `{worktree}`: {}{more}", named.join(", "));
        let advice = format!("`sudo chown -R --reference={worktree} {worktree}` makes them yours");
        findings.warning("worktrees", found, advice);
    }
}
