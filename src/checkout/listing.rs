//! The worktrees of a repository: the branch of each, how old it is, and what of it is nowhere else.

use camino::Utf8PathBuf;

use super::repository::{Repository, Trunk};
use crate::host::fs::real;
use crate::host::git::{confirmed_git_dir, made};
use crate::host::git_program::Git;
use crate::host::git_unfinished::{is_leaving, is_unfinished};
use crate::host::git_work::{Glimpse, glimpse};
use crate::host::git_worktrees::GitWorktree;
use crate::host::side_by_side::side_by_side;
use crate::identifier::Branch;
use crate::time::Time;

/// A worktree of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its canonical path.
    pub path: Utf8PathBuf,
    /// The branch that is checked out.
    pub branch: Option<Branch>,
    /// Whether it is the main worktree.
    pub is_main: bool,
    /// Whether its files are all there.
    pub presence: Presence,
    /// When git made it. `None` for the main worktree.
    pub made: Option<Time>,
    /// What of it is nowhere else. `None` if git does not say.
    pub work: Option<Glimpse>,
}

/// What is there of a worktree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// All of it.
    Whole,
    /// Its directory is gone.
    Gone,
    /// Git was stopped while it made the worktree, or makes it just now.
    Unfinished,
    /// kinfra was stopped while it removed the worktree, or removes it just now.
    Leaving,
}

/// What a look at one worktree takes.
type Place = (Git, GitWorktree, Vec<String>);

/// The worktrees of a repository, the main one first. Git is asked about all at the same time.
///
/// # Errors
/// When git does not say what counts as merged.
pub fn rows(repository: &Repository) -> anyhow::Result<Vec<Row>> {
    let Trunk { commits, branches: _ } = repository.trunk()?;
    let with_files = repository.worktrees.iter().filter(|worktree| !worktree.is_bare);
    let place = |worktree: &GitWorktree| -> Place {
        (repository.git.at(&worktree.path), worktree.clone(), commits.clone())
    };
    let main = repository.worktrees.first().map(|worktree| worktree.path.clone());
    let seen = side_by_side(with_files.map(place).collect(), look).into_iter();
    let row = |((_, worktree, _), seen): (Place, Option<Seen>)| {
        let presence = match &worktree {
            one if is_leaving(one) => Presence::Leaving,
            one if one.is_gone => Presence::Gone,
            one if is_unfinished(one) => Presence::Unfinished,
            _ => Presence::Whole,
        };
        let is_main = main.as_ref() == Some(&worktree.path);
        let Seen { path, made, work } = seen.unwrap_or_else(|| Seen::unseen(&worktree));
        Row { path, branch: worktree.branch, is_main, presence, made, work }
    };
    Ok(seen.map(row).collect())
}

/// What one look says.
struct Seen {
    path: Utf8PathBuf,
    made: Option<Time>,
    work: Option<Glimpse>,
}

impl Seen {
    fn unseen(worktree: &GitWorktree) -> Self {
        Self { path: worktree.path.clone(), made: None, work: None }
    }
}

fn look((git, worktree, commits): &Place) -> Seen {
    if worktree.is_gone {
        return Seen { path: real(&worktree.path), ..Seen::unseen(worktree) };
    }
    let own = confirmed_git_dir(&worktree.path).ok().flatten();
    Seen {
        path: real(&worktree.path),
        made: own.and_then(|own| made(&own).ok().flatten()),
        work: glimpse(git, worktree.head.is_some(), worktree.branch.is_some(), commits).ok(),
    }
}
