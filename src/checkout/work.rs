//! What would be lost with a worktree.

use anyhow::Result;
use camino::Utf8Path;

use super::repository::{Repository, Trunk};
use crate::file::RelPath;
use crate::host::git_hidden::left_behind;
use crate::host::git_keep::is_same_file;
use crate::host::git_program::Git;
use crate::host::git_work::{Changes, commits, in_progress};
use crate::host::git_worktrees::GitWorktree;

/// The work of a worktree that may be nowhere else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Work {
    /// What is not committed.
    pub changes: Changes,
    /// How many commits are on no remote, and not merged.
    pub commits: usize,
    /// Commits that only the worktree's own references have.
    pub left_behind: usize,
    /// What git is in the middle of.
    pub in_progress: Option<&'static str>,
}

impl Work {
    /// Looks at a worktree. Files of `copied` that are as in the main worktree, `below` its top, are no work.
    ///
    /// # Errors
    /// When git does not answer.
    pub fn of(
        repository: &Repository,
        worktree: &GitWorktree,
        trunk: &Trunk,
        (copied, below): (&[RelPath], &Utf8Path),
    ) -> Result<Self> {
        let git = repository.git.at(&worktree.path);
        let mut changes = Changes::of(&git)?;
        let copied: Vec<_> = copied.iter().map(|path| below.join(path.as_path())).collect();
        let is_copy = |path: &Utf8Path| {
            copied.iter().any(|copy| copy == path) && is_same_file(repository.main(), &worktree.path, path)
        };
        changes.untracked.retain(|path| !is_copy(path));
        let left = if worktree.head.is_some() { left_behind(&git)? } else { Vec::new() };
        Ok(Self {
            changes,
            commits: own_commits(&git, worktree, trunk)?,
            left_behind: left.len(),
            in_progress: in_progress(&worktree.path)?,
        })
    }

    /// Whether there is none.
    pub fn is_none(&self) -> bool {
        let Self { changes, commits, left_behind, in_progress } = self;
        changes.is_none() && *commits == 0 && *left_behind == 0 && in_progress.is_none()
    }

    /// Whether a commit can keep all of it: not what is in other repositories, or what git does not see.
    pub fn can_be_kept(&self) -> bool {
        let Changes { changed: _, untracked: _, repositories, ignored, unreadable, submodules, unseen } =
            &self.changes;
        [repositories, ignored, unreadable, submodules, unseen].iter().all(|list| list.is_empty())
    }
}

/// How many commits are on no remote, and not merged.
fn own_commits(git: &Git, worktree: &GitWorktree, trunk: &Trunk) -> Result<usize> {
    match &worktree.head {
        Some(_) => commits(git, worktree.branch.is_some(), &trunk.commits),
        None => Ok(0),
    }
}
