//! `kinfra slots`

use anyhow::Result;

use super::output::{print, say};
use super::watch::{look, watch};
use crate::cli::SlotsArgs;
use crate::fault::Exit;
use crate::host::invocation::Invocation;
use crate::report;
use crate::report::slots::json;
use crate::shown::Paths;
use crate::which::by_worktree::Search;

pub(super) fn run(args: &SlotsArgs, invocation: &Invocation) -> Result<Exit> {
    let mut pool = Search { choice: &args.pool.choice(), invocation }.here()?;
    let paths = Paths { home: invocation.home.as_deref() };
    if args.watch {
        return watch(&mut pool, paths, args.json);
    }
    if let Some(used) = pool.of_repository() {
        say(&format!("Using {used}\n"))?;
    }
    let (slots, text) = look(&mut pool, paths)?;
    if args.json {
        print(&report::document(&json(&slots)))?;
    } else if slots.is_empty() {
        say(&text)?;
    } else {
        print(&text)?;
    }
    Ok(Exit::Done)
}
