//! `kinfra reap`

use anyhow::Result;

use super::approve;
use super::output::{print, say};
use crate::claims::reap::look;
use crate::cli::ReapArgs;
use crate::fault::Exit;
use crate::host::invocation::Invocation;
use crate::report;
use crate::which::by_worktree::Search;

pub(super) fn run(args: &ReapArgs, invocation: &Invocation) -> Result<Exit> {
    let search = Search { choice: &args.pool.choice(), invocation };
    let proposal = look(&mut search.here()?)?;
    let has_ends = !proposal.reaping.ends.is_empty();
    print(&report::reap::plan(&proposal.reaping))?;
    // A run that takes the lock cleans up after a run that was cut short.
    if args.dry_run || (!has_ends && !proposal.is_untidy()?) {
        return proposal.end().map(|()| Exit::Done);
    }
    if has_ends {
        approve::ask("Do you want to release these slots?", args.auto_approve)?;
    }
    let reaped = proposal.carry_out(&args.lock.policy("kinfra reap"))?;
    if has_ends {
        say(&report::reap::done(&reaped))?;
    }
    if !reaped.kept.is_empty() {
        return Err(report::fault::failed_by(reaped.kept.values()).into());
    }
    proposal.end().map(|()| Exit::Done)
}
