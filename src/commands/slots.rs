//! `kinfra slots`

use anyhow::Result;

use super::output::{print, say, show_as_laid_out};
use super::watch::{text, watch};
use crate::cli::SlotsArgs;
use crate::fault::Exit;
use crate::host::invocation::Invocation;
use crate::report;
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
    if !looked.slots.is_empty() {
        say(&pool.doubt().unwrap_or_default());
    }
    if args.json {
        print(&report::document(&json(&looked)))?;
    } else if looked.slots.is_empty() {
        say(&text(&looked, &pool, paths));
    } else {
        show_as_laid_out(&text(&looked, &pool, paths))?;
        say(&report::stack_state::remarks(&looked));
    }
    Ok(Exit::Done)
}
