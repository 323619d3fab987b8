//! Ending what is left of a worktree that is not there: its slot, its empty directory, and its branch.

use anyhow::Result;

use super::output::say;
use crate::checkout::done::{BranchEnd, Remnant, give_back};
use crate::checkout::within;
use crate::cli::DoneArgs;
use crate::fault::Exit;
use crate::host;
use crate::host::invocation::Invocation;
use crate::report::{checkout, clean};
use crate::which::by_worktree::Search;

/// Ends what is left of a worktree, after its slot is released and clean.
pub(super) fn end(args: &DoneArgs, remnant: Remnant, invocation: &Invocation) -> Result<Exit> {
    let (path, branch, is_listed) = (remnant.path.clone(), remnant.branch.clone(), remnant.is_listed);
    let there = within(&path, invocation);
    let mut pool = Search { choice: &args.pool.choice(), invocation: &there }.of(&path)?;
    let (released, cleaned) = give_back(&path, &mut pool, &args.lock.policy("kinfra done"))?;
    say(&checkout::given_back(&released, &path));
    say(&cleaned.iter().map(|one| clean::cleaned(one, host::clock::now())).collect::<String>());
    let had_slot = released.claim.is_some() || !cleaned.is_empty();
    released.not_clean.map_or(Ok(()), Err)?;
    let (was_listed, end) = remnant.end()?;
    if let BranchEnd::Removed(_) = end {
        say(&checkout::branch(&end));
    } else if !had_slot && !was_listed {
        return Err(checkout::nothing_left(&path, branch.as_ref(), is_listed).into());
    }
    Ok(Exit::Done)
}
