//! `kinfra status`

use anyhow::Result;

use super::output::{print, say, show};
use super::there::{none, there};
use crate::claims::held::{self, SoughtSlot};
use crate::claims::whereabouts::worktree_of;
use crate::cli::StatusArgs;
use crate::fault::Exit;
use crate::host;
use crate::host::clock::local;
use crate::host::invocation::{Invocation, is_plain};
use crate::ledger::Age;
use crate::report::slots::StatusView;
use crate::report::{self, Paths};
use crate::stack::observe::examine::examine;
use crate::which::by_worktree::Search;

pub(super) fn run(args: &StatusArgs, invocation: &Invocation) -> Result<Exit> {
    let invocation = &there(&args.of, invocation)?;
    let search = Search { choice: &args.pool.choice(), invocation };
    let (now, paths) = (host::clock::now(), Paths { home: invocation.home.as_deref() });
    let worktree = worktree_of(&invocation.here)?;
    let SoughtSlot { held, silent, age } = held::find(&worktree, &search)?;
    if held.is_none() && args.of.holder.is_some() && !host::fs::exists(&worktree).unwrap_or(true) {
        return Err(none(&args.of, &worktree).into());
    }
    let doubt = held.as_ref().map_or_else(|| age.as_ref().map(Age::warning), |held| held.pool().doubt());
    let rivals = held.as_ref().map(|held| report::claim::rivals(held.pool()));
    let judged_at = held.as_ref().map_or(now, |held| held.seen().now());
    let listed = held.map(|held| {
        let listed = held.listed();
        let examined = examine(&held, &listed);
        (listed, examined)
    });
    say(&report::claim::passed_over(&silent));
    say(&(doubt.unwrap_or_default() + &rivals.unwrap_or_default()));
    match &listed {
        _ if args.json => print(&report::slots::status_json(listed.as_ref(), age.map(|age| age.at))),
        Some((listed, examined)) => {
            let (shows_id, is_worst_first) = (args.verbose, is_plain());
            let view = StatusView { now, judged_at, paths, local, shows_id, is_worst_first };
            show(&report::slots::status_text(listed, examined, view))
        }
        None => show(&report::slots::status_none(&worktree, invocation.owner.as_ref(), paths)),
    }?;
    Ok(Exit::Done)
}
