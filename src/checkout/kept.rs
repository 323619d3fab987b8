//! Where the work of a worktree that goes is kept, and the branch that brings it back.

use anyhow::Result;

use crate::fault::Fault;
use crate::host::git_program::Git;
use crate::host::git_worktrees::{commit_of, make_reference};
use crate::identifier::Branch;
use crate::time::Time;

/// Where work is kept.
const KEPT: &str = "refs/kinfra/discarded";

/// What stands there for the name of a branch, where there is none.
const DETACHED: &str = "detached";

/// How many references and branches may have names that differ only by a number.
const MOST: usize = 99;

/// Work that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Its reference.
    pub reference: String,
    /// The name of a branch that can be made of it.
    pub branch: String,
    commit: String,
}

/// Gives a commit a reference that keeps it, named by the branch that it is of and a time.
///
/// # Errors
/// When git cannot make it.
pub(super) fn refer(git: &Git, of: Option<&Branch>, commit: String, at: Time) -> Result<Kept> {
    let time: String = at.to_string().chars().filter(char::is_ascii_alphanumeric).take(21).collect();
    let first = format!("{KEPT}/{}/{time}", of.map_or(DETACHED, Branch::as_str));
    let branch = free_branch(git, of)?;
    // A second look at the same run may find more.
    for reference in numbered(&first) {
        let is_its = match commit_of(git, &reference)? {
            Some(there) => there == commit,
            None => make_reference(git, &reference, &commit).map(|()| true)?,
        };
        if is_its {
            return Ok(Kept { reference, branch, commit });
        }
    }
    Err(Fault::failed(format!("`{first}` and {} more names are taken", MOST - 1)).into())
}

/// A name that no branch has: work of the same branch may have come back before.
fn free_branch(git: &Git, of: Option<&Branch>) -> Result<String> {
    let first = of.map_or("kept".to_owned(), |branch| format!("{branch}-kept"));
    for name in numbered(&first) {
        if commit_of(git, &format!("refs/heads/{name}"))?.is_none() {
            return Ok(name);
        }
    }
    Ok(first)
}

fn numbered(first: &str) -> impl Iterator<Item = String> {
    std::iter::once(first.to_owned()).chain((2..=MOST).map(move |number| format!("{first}-{number}")))
}
