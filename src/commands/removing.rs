//! Removing a worktree that is there: what `done` says and asks of each step.

use anyhow::Result;
use camino::Utf8Path;

use super::failure::after;
use super::output::{say, show};
use crate::checkout::done::{Leaving, Removal, give_back, runs};
use crate::checkout::within;
use crate::cli::DoneArgs;
use crate::fault::Exit;
use crate::file::RelPath;
use crate::host;
use crate::host::fs::left_at;
use crate::host::invocation::Invocation;
use crate::report::{checkout, clean};
use crate::which::by_worktree::Search;

/// Removes a worktree, after its slot is released and clean.
pub(super) fn remove(
    args: &DoneArgs,
    leaving: &Leaving,
    copied: (&[RelPath], &Utf8Path),
    invocation: &Invocation,
) -> Result<Exit> {
    let (path, now) = (&leaving.worktree.path, host::clock::now());
    let mut kept = None;
    // What is made while its stack stops counts, too.
    let mut needs_no_more = || {
        let work = leaving.work(copied)?;
        if !work.is_none() && (!args.discard || !work.can_be_kept()) {
            return Err(checkout::has_work(path, &work, args.discard).into());
        }
        let keeps = if work.is_none() { None } else { leaving.keep(now)? };
        if let Some(keeps) = keeps.filter(|keeps| kept.replace(keeps.clone()).as_ref() != Some(keeps)) {
            say(&checkout::kept(&keeps));
        }
        anyhow::Ok(())
    };
    needs_no_more()?;
    let there = within(path, invocation);
    let mut pool = Search { choice: &args.pool.choice(), invocation: &there }.of(path)?;
    checkout::has_runs(path, &runs(path, &pool)?).map_or(Ok(()), Err)?;
    let (released, cleaned) = give_back(path, &mut pool, &args.lock.policy("kinfra done"))?;
    say(&checkout::given_back(&released, path));
    say(&cleaned.iter().map(|one| clean::cleaned(one, now)).collect::<String>());
    released.not_clean.map_or(Ok(()), Err)?;
    needs_no_more()?;
    let (removal, end) = (leaving.remove()?, leaving.remove_branch()?);
    if let Removal::FilesLeft(_) = removal {
        say(&checkout::branch(&end));
        return Err(checkout::files_left(path, &left_at(path)).into());
    }
    let shown = show(&(checkout::removed(path) + &checkout::branch(&end)));
    let is_in_it = invocation.here.starts_with(path);
    say(&if is_in_it { checkout::leave(leaving.repository.main()) } else { String::new() });
    after(format!("removed the worktree `{path}`"), shown)?;
    Ok(Exit::Done)
}
