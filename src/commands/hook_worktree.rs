//! The worktree that an agent has kinfra make.

use std::time::Duration;

use anyhow::{Error, Result};

use super::output::{print, say};
use super::typed::{BRIEFLY, typed};
use super::worktree_of_branch::worktree;
use crate::checkout::{goes_on, repository::Repository};
use crate::cli::Verb;
use crate::fault::{Exit, Fault, exit_of};
use crate::hooks::place::{EXCLUDED, home_of_agents, place_of_agent};
use crate::hooks::worktree::without_slot;
use crate::host::clock::{Stopwatch, pause};
use crate::host::fs::Umask;
use crate::host::invocation::Invocation;
use crate::host::signals::Interrupt;
use crate::host::worktree_file::exclude_from_git;
use crate::report::hook::excuse;

/// How long it waits for another kinfra that makes the same worktree.
const PATIENCE: Duration = Duration::from_mins(1);

/// How long it waits between two looks.
const PAUSE: Duration = Duration::from_millis(200);

/// Makes a worktree with a slot, or without one where none is free, and prints its path.
pub(super) fn create(name: Option<&str>, umask: Umask, run: &Invocation) -> Result<Exit> {
    let repository = Repository::of(&run.here, umask)?;
    let (branch, path) = place_of_agent(name, home_of_agents(&repository, &run.here)?)?;
    let words = ["start", branch.as_str(), "--path", path.as_str(), "--no-up"];
    let Verb::Start(args) = typed(&[&words[..], &BRIEFLY].concat())? else {
        return Err(Fault::usage("no start").into());
    };
    let (interrupt, waiting) = (Interrupt::listen()?, Stopwatch::start());
    let policy = args.lock.policy("kinfra hook");
    let is_exit = |error: &Error, exit: Exit| exit_of(error) == exit;
    let made = loop {
        let why = match worktree(&args, umask, (&policy, &interrupt), run) {
            Ok((path, ..)) => break path,
            Err(error) if is_exit(&error, Exit::Interrupted) => return Err(error),
            Err(error) => error,
        };
        // An agent can work without a slot, and not without a worktree.
        match without_slot((&branch, &path), umask, run, &interrupt) {
            Err(error) if is_exit(&error, Exit::Locked) && waiting.elapsed() < PATIENCE => {
                goes_on(&interrupt)?;
                pause(PAUSE);
            }
            made => {
                say(&excuse(&why));
                break made?;
            }
        }
    };
    exclude_from_git(&made, &[EXCLUDED]).unwrap_or_else(|error| say(&excuse(&error)));
    print(&format!("{made}\n"))?;
    Ok(Exit::Done)
}
