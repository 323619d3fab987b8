//! The worktree that an agent has kinfra make.

use anyhow::Result;

use super::output::{print, say};
use super::typed::typed;
use super::worktree_of_branch::worktree;
use crate::checkout::repository::Repository;
use crate::cli::Verb;
use crate::fault::{Exit, Fault, exit_of};
use crate::hooks::place::place_of_agent;
use crate::hooks::worktree::without_slot;
use crate::host::fs::Umask;
use crate::host::invocation::Invocation;
use crate::host::signals::Interrupt;
use crate::report::hook::excuse;

/// Makes a worktree with a slot, or without one where none is free, and prints its path.
pub(super) fn create(name: Option<&str>, umask: Umask, run: &Invocation) -> Result<Exit> {
    let repository = Repository::of(&run.here, umask)?;
    let (branch, path) = place_of_agent(name, repository.main())?;
    let Verb::Start(args) = typed(&["start", branch.as_str(), "--path", path.as_str(), "--no-up"])? else {
        return Err(Fault::usage("no start").into());
    };
    let interrupt = Interrupt::listen()?;
    let policy = args.lock.policy("kinfra hook");
    let made = match worktree(&args, umask, (&policy, &interrupt), run) {
        Ok((path, ..)) => path,
        Err(error) if exit_of(&error) == Exit::Interrupted => return Err(error),
        Err(error) => {
            // An agent can work without a slot, and not without a worktree.
            let path = without_slot((&branch, &path), umask, run, &interrupt)?;
            say(&excuse(&error));
            path
        }
    };
    print(&format!("{made}\n"))?;
    Ok(Exit::Done)
}
