//! `kinfra up --all`: after a reboot, every slot that was up.

use anyhow::Result;

use super::failure::after;
use super::output::{print, say, show_as_laid_out};
use super::starting::show;
use crate::claims::held;
use crate::claims::listing::Listed;
use crate::claims::refusal::is_held_by_none;
use crate::cli::UpArgs;
use crate::fault::{Exit, exit_of};
use crate::report;
use crate::shown::count;
use crate::stack::observe::stacks::Looked;
use crate::stack::up::named_last;
use crate::stack::up::request::{Means, UpRequest};
use crate::which::by_worktree::Search;

/// Starts them one after the other, each for its holder. A failure does not stop the others; the worst exit
/// code is that of all.
///
/// # Errors
/// When the pool cannot be read.
pub(super) fn up_all(args: &UpArgs, means: &Means<'_>) -> Result<Exit> {
    let search = Search { choice: &args.slot.pool.choice(), invocation: means.invocation };
    let looked = Looked::of(&mut search.here()?.known()?)?;
    say(&report::up::unknown(&looked));
    let mut exits = Vec::new();
    for listed in looked.were_up() {
        let exit = bring_back(listed, args, &search, means).unwrap_or_else(|error| {
            say(&report::fault::text(&error));
            exit_of(&error)
        });
        exits.push((listed, exit));
        if means.interrupt.is_requested() {
            break;
        }
    }
    let printed = if args.json {
        print(&report::up::all_json(&exits))
    } else {
        show_as_laid_out(&report::up::all(&exits))
    };
    let brought = exits.len();
    let silent = looked.unknown().next().map(|_| Exit::Docker);
    let worst = exits.into_iter().map(|(_, exit)| exit).chain(silent).max_by_key(|exit| exit.code());
    let worst = worst.unwrap_or(Exit::Done);
    if worst == Exit::Done {
        if brought == 0 { printed? } else { after(format!("started {}", count(brought, "stack")), printed)? }
    }
    Ok(worst)
}

fn bring_back(listed: &Listed, args: &UpArgs, search: &Search<'_>, means: &Means<'_>) -> Result<Exit> {
    let held = held::find_slot(listed.slot, search)?.needed(|| is_held_by_none(listed.slot))?;
    let held = held.renew(&means.policy)?.ok_or_else(|| is_held_by_none(listed.slot))?;
    let request = UpRequest { services: named_last(&held), ..args.request() };
    Ok(show(held, &request, means)?.exit())
}
