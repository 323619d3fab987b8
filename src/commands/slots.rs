//! `kinfra slots`

use std::time::Duration;

use anyhow::Result;

use super::output::{print, say};
use crate::claims::listing::{Listed, list};
use crate::claims::whereabouts::Following;
use crate::cli::SlotsArgs;
use crate::fault::Exit;
use crate::host;
use crate::host::clock::{Stopwatch, pause};
use crate::host::invocation::Invocation;
use crate::host::signals::Interrupt;
use crate::host::terminal::Screen;
use crate::report::{self, Paths, slots};
use crate::which::by_worktree::{FoundPool, Search};

/// How often a watched pool is looked at.
const EVERY: Duration = Duration::from_secs(1);
/// How soon Ctrl-C is heard.
const HEARD: Duration = Duration::from_millis(50);

pub(super) fn run(args: &SlotsArgs, invocation: &Invocation) -> Result<Exit> {
    let mut pool = Search { choice: &args.pool.choice(), invocation }.here()?;
    let paths = Paths { home: invocation.home.as_deref() };
    if args.watch {
        return watch(&mut pool, paths, args.json);
    }
    let (slots, text) = look(&mut pool, paths)?;
    if args.json {
        print(&report::document(&slots::json(&slots)))?;
    } else if slots.is_empty() {
        say(&text)?;
    } else {
        print(&text)?;
    }
    Ok(Exit::Done)
}

/// The slots, and how they are shown.
fn look(pool: &mut FoundPool, paths: Paths<'_>) -> Result<(Vec<Listed>, String)> {
    let now = host::clock::now();
    let slots = pool.look(Following::Everyone)?.map_or_else(Vec::new, |snapshot| list(snapshot, now));
    let text = match slots.first() {
        None => slots::none(&pool.root, &pool.origin, paths),
        Some(_) => slots::text(&slots, pool.primary_port(), now, paths),
    };
    Ok((slots, text))
}

/// Shows the pool until Ctrl-C: on a terminal in place, elsewhere each time that it has changed.
fn watch(pool: &mut FoundPool, paths: Paths<'_>, json: bool) -> Result<Exit> {
    let interrupt = Interrupt::listen()?;
    let mut screen = if json { None } else { Screen::open()? };
    let mut last = None;
    while !interrupt.is_requested() {
        let (slots, text) = look(pool, paths)?;
        if let Some(screen) = &mut screen {
            screen.draw(&text)?;
        } else if last.as_ref() != Some(&slots) {
            print(&match (json, &last) {
                (true, _) => format!("{}\n", slots::json(&slots)),
                (false, None) => text,
                (false, Some(_)) => format!("\n{text}"),
            })?;
        }
        last = Some(slots);
        let waited = Stopwatch::start();
        while waited.elapsed() < EVERY && !interrupt.is_requested() {
            pause(HEARD);
        }
    }
    Ok(Exit::Interrupted)
}
