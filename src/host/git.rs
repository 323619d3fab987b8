//! What there is to know of git without running it.

use anyhow::{Context as _, Result};
use camino::Utf8Path;

use super::fs::{exists, is_directory, read_named};

/// The most that git writes into the files that are read here, in bytes.
const LIMIT: u64 = 64 << 10;

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

/// The branch that is checked out where a directory is, if one is and git's files tell.
pub fn branch_of(dir: &Utf8Path) -> Option<String> {
    let top = top_of(dir).ok()??;
    let git = top.join(".git");
    // In a linked worktree `.git` is a file that says where its own directory is.
    let git = if is_directory(&git) { git } else { top.join(line(&git)?.strip_prefix("gitdir: ")?) };
    Some(line(&git.join("HEAD"))?.strip_prefix("ref: refs/heads/")?.to_owned())
}

fn line(path: &Utf8Path) -> Option<String> {
    let text = String::from_utf8(read_named(path, LIMIT).ok()??).ok()?;
    Some(text.trim_end().to_owned())
}
