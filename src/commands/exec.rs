//! `kinfra exec`

use std::ffi::OsString;

use anyhow::{Context as _, Result};

use super::output::say;
use super::say_not_recorded;
use super::there::{none, there};
use crate::claims::environment::Change;
use crate::claims::held::{self, Held};
use crate::claims::whereabouts::worktree_of;
use crate::cli::ExecArgs;
use crate::fault::{Exit, Fault};
use crate::host::fs::Umask;
use crate::host::invocation::{self, Invocation};
use crate::host::program::become_program;
use crate::report;
use crate::stack::compose_files::variables::of_slot;
use crate::which::by_worktree::Search;

/// Returns only if the command could not be started.
pub(super) fn run(args: &ExecArgs, umask: Umask, invocation: &Invocation) -> Result<Exit> {
    let there = there(&args.of, invocation)?;
    let search = Search { choice: &args.pool.choice(), invocation: &there };
    let worktree = worktree_of(&there.here)?;
    let policy = args.lock.policy("kinfra exec");
    let held = held::find(&worktree, &search)?.held.map(Held::trusted).transpose()?;
    let held = held.map_or(Ok(None), |held| held.renew(&policy))?;
    let held = held.ok_or_else(|| none(&args.of, &worktree))?;
    let change = Change::to_slot(of_slot(&held, &policy, &there)?, &invocation::environment());
    say(&(report::claim::rivals(held.pool()) + &report::env::dropped(&change)));
    let (program, arguments) = args.command.words.split_first().context("no command was given")?;
    let unset = change.unset.iter().map(String::as_str);
    let set = change.set.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    say_not_recorded();
    let error = become_program(program, arguments.iter().map(OsString::as_os_str), unset, set, umask);
    Err(Fault::command(program, &error).into())
}
