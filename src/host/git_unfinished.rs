//! A worktree that git had begun to make or to remove when it was killed. It is locked until that has ended.
#![expect(clippy::disallowed_methods, reason = "this is where kinfra removes a lock that git left behind")]

use std::fs;
use std::io::ErrorKind;

use anyhow::{Context as _, Result};
use camino::{Utf8Path, Utf8PathBuf};

use super::fs::exists;
use super::git::confirmed_git_dir;
use super::git_program::Git;
use super::git_worktrees::{GitWorktree, unlock};
use super::plot::Plot;
use super::signals::Interrupt;
use crate::identifier::Branch;

/// Why git has locked a worktree that it makes just now, or that it was killed over.
const BEGUN: &str = "initializing";

/// Whether git had begun to make a worktree and did not end.
pub fn is_unfinished(worktree: &GitWorktree) -> bool {
    worktree.locked.as_deref() == Some(BEGUN)
}

/// Why kinfra has locked a worktree that it removes.
pub const LEAVING: &str = "kinfra done was stopped while it removed this worktree";

/// Whether kinfra had begun to remove a worktree and did not end.
pub fn is_leaving(worktree: &GitWorktree) -> bool {
    worktree.locked.as_deref() == Some(LEAVING)
}

/// Ends what git had begun: the worktree has its branch, and all files of it. Nothing else was in it, unless
/// git had written its index, which comes last: then it is whole, and may have work.
///
/// # Errors
/// [`Fault`](crate::fault::Fault) says what git said.
pub fn finish(git: &Git, plot: &Plot, branch: &Branch, interrupt: &Interrupt) -> Result<()> {
    link(git, plot.path())?;
    let own = confirmed_git_dir(plot.path())?.context("git does not know what it had begun")?;
    if !exists(&own.join("index"))? {
        remove_if_there(&own.join("index.lock"))?;
        let there = git.at(plot.path());
        there.change(&["symbolic-ref", "HEAD", &branch.reference()])?;
        there.run(&["reset", "--hard", "--quiet", "--no-recurse-submodules"], Some(plot), interrupt)?;
    }
    unlock(git, plot.path())
}

/// Writes the file `.git` of a worktree if it is missing, from what git has of the worktree. `git worktree
/// repair` would write those of other worktrees, too, whosever they are by now.
///
/// # Errors
/// When git's directory cannot be read, or the file cannot be written.
pub fn link(git: &Git, worktree: &Utf8Path) -> Result<()> {
    let file = worktree.join(".git");
    if exists(&file)? {
        return Ok(());
    }
    let common = git.needed(&["rev-parse", "--path-format=absolute", "--git-common-dir"])?;
    let all = Utf8PathBuf::from(common.trim_end_matches('\n')).join("worktrees");
    for own in all.read_dir_utf8().with_context(|| format!("could not read `{all}`"))? {
        let own = own?;
        let place = fs::read_to_string(own.path().join("gitdir")).unwrap_or_default();
        if place.trim_end_matches('\n') == file.as_str() {
            return fs::write(&file, format!("gitdir: {}\n", own.path()))
                .with_context(|| format!("could not write `{file}`"));
        }
    }
    Ok(())
}

fn remove_if_there(path: &Utf8Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("could not remove `{path}`"))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}
