//! What there is to know of git without running it.

use camino::Utf8Path;

use super::fs::exists;

/// The top of the repository or worktree that a directory is in: the nearest parent that holds `.git`, be it a
/// directory or, in a linked worktree, a file.
pub fn top_of(dir: &Utf8Path) -> Option<&Utf8Path> {
    dir.ancestors().find(|parent| exists(&parent.join(".git")))
}
