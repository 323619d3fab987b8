//! `kinfra slots`

use anyhow::Result;

use super::output::{print, say, show_as_laid_out};
use super::watch::{text, watch};
use crate::cli::SlotsArgs;
use crate::fault::Exit;
use crate::host::invocation::Invocation;
use crate::report;
use crate::report::other_hosts::{of_other_hosts, with_other_hosts};
use crate::report::slots::json;
use crate::shown::Paths;
use crate::stack::observe::stacks::Looked;
use crate::which::by_worktree::Search;

pub(super) fn run(args: &SlotsArgs, invocation: &Invocation) -> Result<Exit> {
    let mut pool = Search { choice: &args.pool.choice(), invocation }.here()?;
    let paths = Paths { home: invocation.home.as_deref() };
    if args.watch {
        return watch(&mut pool, paths, args.json);
    }
    if let Some(used) = pool.of_repository() {
        say(&format!("Using {used}\n"));
    }
    say(&report::claim::passed_over(pool.silent()));
    let looked = Looked::of(&mut pool)?;
    say(&pool.doubt_of(!looked.slots.is_empty()).unwrap_or_default());
    let others = pool.ledger().other_hosts()?;
    if args.json {
        print(&report::document(&with_other_hosts(json(&looked), &others, pool.seen_at())))?;
    } else if looked.slots.is_empty() {
        say(&text(&looked, &pool, paths));
        show_as_laid_out(&of_other_hosts(&others))?;
    } else {
        show_as_laid_out(&(text(&looked, &pool, paths) + &of_other_hosts(&others)))?;
        say(&report::stack_state::remarks(&looked));
    }
    Ok(Exit::Done)
}
