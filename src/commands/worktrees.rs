//! `kinfra worktrees`

use anyhow::Result;

use super::output::{print, say, show_as_laid_out};
use crate::checkout::listing::rows;
use crate::checkout::repository::Repository;
use crate::cli::WorktreesArgs;
use crate::fault::Exit;
use crate::host;
use crate::host::invocation::Invocation;
use crate::host::terminal::columns_of_stdout;
use crate::report;
use crate::report::worktrees::Worktrees;
use crate::shown::Paths;
use crate::stack::observe::stacks::Looked;
use crate::which::by_worktree::Search;

pub(super) fn run(args: &WorktreesArgs, invocation: &Invocation) -> Result<Exit> {
    let rows = rows(&Repository::seen_from(&invocation.here)?)?;
    let mut pool = Search { choice: &args.pool.choice(), invocation }.here()?;
    say(&report::claim::passed_over(pool.silent()));
    let looked = Looked::of(&mut pool)?;
    let worktrees = Worktrees { rows: &rows, looked: &looked };
    say(&pool.doubt_of(!looked.slots.is_empty()).unwrap_or_default());
    if args.json {
        print(&worktrees.json(pool.seen_at()))?;
        return Ok(Exit::Done);
    }
    let paths = Paths { home: invocation.home.as_deref() };
    show_as_laid_out(&worktrees.text(host::clock::now(), paths, columns_of_stdout()))?;
    Ok(Exit::Done)
}
