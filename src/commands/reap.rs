//! `kinfra reap`

use anyhow::Result;

use super::approve;
use super::output::{print, say};
use crate::claims::reap::look;
use crate::cli::ReapArgs;
use crate::fault::Exit;
use crate::host;
use crate::host::invocation::Invocation;
use crate::report;
use crate::which::by_worktree::Search;

pub(super) fn run(args: &ReapArgs, invocation: &Invocation) -> Result<Exit> {
    let now = host::clock::now();
    let search = Search { choice: &args.pool.choice(), invocation };
    let proposal = look(&mut search.here()?)?;
    let has_work = !proposal.reaping.is_empty();
    print(&report::reap::plan(&proposal.reaping, now))?;
    // A run that takes the lock cleans up after a run that was cut short.
    if args.dry_run || (!has_work && !proposal.is_untidy()?) {
        return proposal.end().map(|()| Exit::Done);
    }
    if has_work {
        approve::ask("Do you want to perform these actions?", args.auto_approve)?;
    }
    let reaped = proposal.carry_out(&args.lock.policy("kinfra reap"))?;
    if has_work {
        say(&report::reap::done(&reaped, now))?;
    }
    let failures = reaped.kept.into_values().chain(reaped.not_clean.into_values());
    report::fault::all_of(failures).map_or_else(|| proposal.end().map(|()| Exit::Done), Err)
}
