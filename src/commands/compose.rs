//! `kinfra compose`

use anyhow::Result;

use super::output::say;
use crate::claims::held::{self, Held};
use crate::claims::refusal::{holds_none, is_held_by_none};
use crate::claims::whereabouts::worktree_of;
use crate::cli::ComposeArgs;
use crate::fault::{Exit, Fault};
use crate::host::fs::Umask;
use crate::host::invocation::Invocation;
use crate::report;
use crate::stack::compose_args;
use crate::stack::prepare::prepare;
use crate::which::by_worktree::Search;
use crate::which::choice::absolute;

/// Returns only if Compose could not be started.
pub(super) fn run(args: &ComposeArgs, umask: Umask, invocation: &Invocation) -> Result<Exit> {
    let compose = compose_args::ComposeArgs::read(args.arguments.clone())?;
    let policy = args.lock.policy("kinfra compose");
    let held = find(args, invocation)?;
    let worktree = held.worktree().to_owned();
    let held = held.renew(&policy)?.ok_or_else(|| holds_none(&worktree))?;
    let prepared = prepare(&held, &compose, &policy, invocation)?;
    say(&report::stack::prepared(&prepared))?;
    let error = prepared.become_compose(&compose, umask);
    Err(Fault::docker(format!("`docker` cannot be started: {error}")).into())
}

fn find(args: &ComposeArgs, invocation: &Invocation) -> Result<Held> {
    let there = match &args.slot.holder {
        Some(path) => &Invocation { here: absolute(path, invocation)?, ..invocation.clone() },
        None => invocation,
    };
    let search = Search { choice: &args.pool.choice(), invocation: there };
    if let Some(slot) = args.slot.slot {
        return held::find_slot(slot, &search)?.ok_or_else(|| is_held_by_none(slot).into());
    }
    let worktree = worktree_of(&there.here)?;
    held::find(&worktree, &search)?.ok_or_else(|| holds_none(&worktree).into())
}
