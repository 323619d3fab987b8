//! `kinfra reap`

use anyhow::Result;

use super::approve;
use super::output::{say, show};
use crate::claims::reap::look;
use crate::cli::ReapArgs;
use crate::fault::Exit;
use crate::host;
use crate::host::invocation::Invocation;
use crate::report;
use crate::stack::idle;
use crate::which::by_worktree::Search;
use crate::which::stack_as_applied::AppliedStack;

pub(super) fn run(args: &ReapArgs, invocation: &Invocation) -> Result<Exit> {
    let now = host::clock::now();
    let search = Search { choice: &args.pool.choice(), invocation };
    let mut pool = search.here()?.known()?;
    let AppliedStack { spec: applied, note } = search.stack_as_applied(&pool);
    say(&report::up::stack_note(note.as_deref()));
    let (proposal, idle) = (look(&mut pool, &applied)?, idle::look(&mut pool, &applied)?);
    let has_work = !proposal.reaping.is_empty() || !idle.stacks.is_empty();
    show(&report::reap::plan(&proposal.reaping, &idle, now))?;
    // A run that takes the lock cleans up after a run that was cut short.
    if args.dry_run || (!has_work && !proposal.is_untidy()?) {
        return proposal.end().and_then(|()| idle.end()).map(|()| Exit::Done);
    }
    if has_work {
        approve::ask("Do you want to perform these actions?", args.auto_approve)?;
    }
    let policy = args.lock.policy("kinfra reap");
    let (reaped, stopped) = (proposal.carry_out(&policy)?, idle.stop(&policy));
    if has_work {
        say(&report::reap::done(&reaped, &stopped, now));
    }
    let failures = reaped.kept.into_values().chain(reaped.not_clean.into_values());
    let failures = failures.chain(stopped.failed.into_values());
    let end = || proposal.end().and_then(|()| idle.end()).map(|()| Exit::Done);
    report::fault::all_of(failures).map_or_else(end, Err)
}
