//! `kinfra clean`

use std::collections::BTreeSet;

use anyhow::{Error, Result};

use super::approve;
use super::output::{say, show};
use crate::claims::clean_slots;
use crate::claims::whereabouts::Following;
use crate::cli::CleanArgs;
use crate::fault::Exit;
use crate::host;
use crate::host::invocation::Invocation;
use crate::report;
use crate::stack::leftovers::{Place, clear, look};
use crate::which::by_worktree::Search;

pub(super) fn run(args: &CleanArgs, invocation: &Invocation) -> Result<Exit> {
    if args.all { all(args, invocation) } else { of_slots(args, invocation) }
}

fn of_slots(args: &CleanArgs, invocation: &Invocation) -> Result<Exit> {
    let search = Search { choice: &args.pool.choice(), invocation };
    let slots: BTreeSet<_> = args.slots.iter().copied().collect();
    let proposal = clean_slots::look(&slots, &mut search.here()?.known()?)?;
    let now = host::clock::now();
    show(&report::clean::plan(&proposal, now))?;
    if args.dry_run || proposal.slots.is_empty() {
        return Ok(Exit::Done);
    }
    approve::ask("Do you want to remove what is in these slots?", args.auto_approve)?;
    let tidied = proposal.carry_out(&args.lock.policy("kinfra clean"));
    say(&report::clean::done(&tidied, now));
    end(tidied.not_clean.into_values())
}

fn all(args: &CleanArgs, invocation: &Invocation) -> Result<Exit> {
    let mut pool = Search { choice: &args.pool.choice(), invocation }.here()?.known()?;
    let seen = pool.look(Following::NoHolder)?;
    let place = Place { root: &pool.root, pool: &pool.name, state: invocation.state.as_deref() };
    let leftovers = look(place, seen.as_ref().map(|seen| &*seen.registry))?;
    show(&report::leftovers::plan(&leftovers, host::clock::now()))?;
    if args.dry_run || leftovers.is_clean() {
        return end(leftovers.unanswered().map(Error::from).into_iter());
    }
    approve::ask("Do you want to remove what no worktree holds?", args.auto_approve)?;
    let cleared = clear(&pool.ledger(), place, &leftovers, &args.lock.policy("kinfra clean --all"))?;
    say(&report::leftovers::done(&cleared));
    let unanswered = cleared.gone.unanswered().map(Error::from);
    let is_whole = cleared.stays.is_empty();
    let exit = end(cleared.errors.into_iter().chain(unanswered))?;
    Ok(if is_whole { exit } else { Exit::Failed })
}

fn end(errors: impl Iterator<Item = Error>) -> Result<Exit> {
    report::fault::all_of(errors).map_or(Ok(Exit::Done), Err)
}
