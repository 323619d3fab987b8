//! `kinfra clean`

use std::collections::BTreeSet;

use anyhow::Result;

use super::approve;
use super::output::{print, say};
use crate::claims::clean_slots::look;
use crate::cli::CleanArgs;
use crate::fault::Exit;
use crate::host;
use crate::host::invocation::Invocation;
use crate::report;
use crate::which::by_worktree::Search;

pub(super) fn run(args: &CleanArgs, invocation: &Invocation) -> Result<Exit> {
    let search = Search { choice: &args.pool.choice(), invocation };
    let slots: BTreeSet<_> = args.slots.iter().copied().collect();
    let proposal = look(&slots, &mut search.here()?)?;
    let now = host::clock::now();
    print(&report::clean::plan(&proposal, now))?;
    if proposal.slots.is_empty() {
        return Ok(Exit::Done);
    }
    approve::ask("Do you want to remove what is in these slots?", args.auto_approve)?;
    let tidied = proposal.carry_out(&args.lock.policy("kinfra clean"));
    say(&report::clean::done(&tidied, now))?;
    report::fault::all_of(tidied.not_clean.into_values()).map_or(Ok(Exit::Done), Err)
}
