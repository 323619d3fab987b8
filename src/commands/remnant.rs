//! Ending what is left of a worktree that is not there: its slot, its empty directory, and its branch.

use anyhow::Result;

use super::output::say;
use crate::checkout::done::{BranchEnd, Remnant, give_back};
use crate::checkout::within;
use crate::cli::DoneArgs;
use crate::fault::{Exit, Fault};
use crate::host;
use crate::host::invocation::Invocation;
use crate::report::checkout::{branch, given_back};
use crate::report::clean;
use crate::which::by_worktree::Search;

/// Ends what is left of a worktree, after its slot is released and clean.
pub(super) fn end(args: &DoneArgs, remnant: Remnant, invocation: &Invocation) -> Result<Exit> {
    let path = remnant.path.clone();
    let there = within(&path, invocation);
    let mut pool = Search { choice: &args.pool.choice(), invocation: &there }.of(&path)?;
    let (released, cleaned) = give_back(&path, &mut pool, &args.lock.policy("kinfra done"))?;
    say(&given_back(&released, &path));
    say(&cleaned.iter().map(|one| clean::cleaned(one, host::clock::now())).collect::<String>());
    let had_slot = released.claim.is_some() || !cleaned.is_empty();
    released.not_clean.map_or(Ok(()), Err)?;
    let (was_listed, end) = remnant.end()?;
    if let BranchEnd::Removed(_) = end {
        say(&branch(&end));
    } else if !had_slot && !was_listed {
        let what = format!("the worktree `{path}` is gone, and holds no slot");
        return Err(Fault::refused(what).advise("`git worktree prune` forgets it").into());
    }
    Ok(Exit::Done)
}
