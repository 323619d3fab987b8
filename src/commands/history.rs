//! `kinfra history`

use std::num::NonZeroUsize;

use anyhow::Result;

use super::output::{print, say, show_as_laid_out};
use crate::claims::refusal::no_such_slot;
use crate::claims::whereabouts::Following;
use crate::cli::HistoryArgs;
use crate::fault::Exit;
use crate::history::History;
use crate::host::identity::host_name;
use crate::host::invocation::{Invocation, is_plain};
use crate::host::terminal::columns_of_stdout;
use crate::report;
use crate::shown::Paths;
use crate::which::by_worktree::Search;

/// How many events an agent reads that did not say how many.
const FEW: usize = 40;

pub(super) fn run(args: &HistoryArgs, invocation: &Invocation) -> Result<Exit> {
    let mut pool = Search { choice: &args.pool.choice(), invocation }.here()?;
    if let Some(used) = pool.of_repository() {
        say(&format!("Using {used}\n"));
    }
    say(&report::claim::passed_over(pool.silent()));
    let seen = pool.applied(Following::NoHolder)?;
    let mut history = pool.ledger().history()?;
    let is_empty = history.changes.is_empty();
    if let Some(slot) = args.slot {
        history = history.of_slot(slot);
        if history.changes.is_empty() && !seen.registry.slots.contains_key(&slot) {
            return Err(no_such_slot(slot).into());
        }
    }
    if let Some(most) = args.last.map(NonZeroUsize::get) {
        history = History { earlier: 0, ..history.last(most) };
    } else if is_plain() && !args.json {
        // For agents, what is newest.
        history = history.last(FEW);
    }
    if args.json {
        print(&report::history::json(&history, &pool.root))?;
        return Ok(Exit::Done);
    }
    say(&pool.doubt().unwrap_or_default());
    say(&report::history::remarks(&history));
    let slot = args.slot.filter(|_| !is_empty);
    if !history.changes.is_empty() {
        let (paths, host) = (Paths { home: invocation.home.as_deref() }, host_name());
        show_as_laid_out(&report::history::text(&history, paths, &host, columns_of_stdout()))?;
    } else if slot.is_some() || history.not_read.is_empty() {
        say(&report::history::none(slot));
    }
    Ok(Exit::Done)
}
