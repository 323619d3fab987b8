//! What there is to know of git without running it.

use anyhow::{Context as _, Result};
use camino::Utf8Path;

use super::fs::exists;

/// The top of the repository or worktree that a directory is in: the nearest parent that holds `.git`, be it a
/// directory or, in a linked worktree, a file.
pub fn top_of(dir: &Utf8Path) -> Result<Option<&Utf8Path>> {
    for parent in dir.ancestors() {
        let path = parent.join(".git");
        if exists(&path).with_context(|| format!("could not examine `{path}`"))? {
            return Ok(Some(parent));
        }
    }
    Ok(None)
}
