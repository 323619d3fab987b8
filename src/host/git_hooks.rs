//! Where git's hooks are, and which worktree is a new one.

use anyhow::Result;
use camino::{Utf8Path, Utf8PathBuf};

use super::fs::{exists, read_named};
use super::git::{confirmed_git_dir, top_of};
use super::git_program::Git;

/// The most that is read of a reflog, in bytes.
const LIMIT: u64 = 1 << 20;

/// The directories of a repository: its git directory, and that of its hooks. All its worktrees share them,
/// but for a relative `core.hooksPath`.
///
/// # Errors
/// When git does not say.
pub fn hooks_of(dir: &Utf8Path) -> Result<(Utf8PathBuf, Utf8PathBuf)> {
    let ask = |what: &[&str]| {
        let absolute = ["rev-parse", "--path-format=absolute"];
        let answer = Git::reading(dir).needed(&[&absolute, what].concat())?;
        anyhow::Ok(Utf8PathBuf::from(answer.strip_suffix('\n').unwrap_or(&answer)))
    };
    Ok((ask(&["--git-common-dir"])?, ask(&["--git-path", "hooks"])?))
}

/// Whether a directory is in a linked worktree that git has just made: it is on its first commit, and nothing
/// was checked out in it before.
///
/// # Errors
/// When git's files cannot be read.
pub fn is_new_worktree(dir: &Utf8Path) -> Result<bool> {
    let Some(top) = top_of(dir)? else { return Ok(false) };
    let Some(git_dir) = confirmed_git_dir(top)? else { return Ok(false) };
    // git makes a worktree with `reset`. On a branch without a commit, there was nothing to reset.
    if !exists(&git_dir.join("ORIG_HEAD"))? {
        return Ok(false);
    }
    let log = read_named(&git_dir.join("logs/HEAD"), LIMIT)?.unwrap_or_default();
    Ok(!String::from_utf8_lossy(&log).contains("\tcheckout: "))
}
