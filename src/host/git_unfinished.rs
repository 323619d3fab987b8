//! A worktree that git had begun to make when it was killed: git locks it until it is made.
#![expect(clippy::disallowed_methods, reason = "this is where kinfra removes a lock that git left behind")]

use std::fs;
use std::io::ErrorKind;

use anyhow::{Context as _, Result};
use camino::Utf8Path;

use super::git::confirmed_git_dir;
use super::git_program::Git;
use super::git_worktrees::GitWorktree;
use super::plot::Plot;
use super::signals::Interrupt;
use crate::identifier::Branch;

/// Why git has locked a worktree that it makes just now, or that it was killed over.
const BEGUN: &str = "initializing";

/// Whether git had begun to make a worktree and did not end.
pub fn is_unfinished(worktree: &GitWorktree) -> bool {
    worktree.locked.as_deref() == Some(BEGUN)
}

/// Ends what git had begun: the worktree has its branch, and all files of it. Nothing else was in it.
///
/// # Errors
/// [`Fault`](crate::fault::Fault) says what git said.
pub fn finish(git: &Git, plot: &Plot, branch: &Branch, interrupt: &Interrupt) -> Result<()> {
    // The file `.git` may be missing. Whether this mends it is seen at once.
    let _ = git.ask(&["worktree", "repair"])?;
    let own = confirmed_git_dir(plot.path())?.context("git does not know what it had begun")?;
    remove_if_there(&own.join("index.lock"))?;
    let there = git.at(plot.path());
    there.change(&["symbolic-ref", "HEAD", &branch.reference()])?;
    there.run(&["reset", "--hard", "--quiet", "--no-recurse-submodules"], Some(plot), interrupt)?;
    git.change(&["worktree", "unlock", "--", plot.path().as_str()]).map(drop)
}

fn remove_if_there(path: &Utf8Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("could not remove `{path}`"))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}
