//! The slots of a pool, looked at once or until Ctrl-C.

use std::time::Duration;

use anyhow::Result;

use super::output::print;
use crate::claims::listing::{Listed, list};
use crate::claims::whereabouts::Following;
use crate::fault::Exit;
use crate::host;
use crate::host::clock::{Stopwatch, pause};
use crate::host::signals::Interrupt;
use crate::host::terminal::Screen;
use crate::report::slots;
use crate::shown::Paths;
use crate::which::by_worktree::FoundPool;

/// How often a watched pool is looked at.
const EVERY: Duration = Duration::from_secs(1);
/// How soon Ctrl-C is heard.
const HEARD: Duration = Duration::from_millis(50);

/// The slots, and how they are shown.
pub(super) fn look(pool: &mut FoundPool, paths: Paths<'_>) -> Result<(Vec<Listed>, String)> {
    let now = host::clock::now();
    let slots = pool.look(Following::EveryHolder)?.map_or_else(Vec::new, |snapshot| list(&snapshot, now));
    let text = match slots.first() {
        None => slots::none(&pool.root, &pool.origin, paths),
        Some(_) => slots::text(&slots, pool.primary_port(), now, paths),
    };
    Ok((slots, text))
}

/// Shows the pool until Ctrl-C: on a terminal in place, elsewhere each time that it has changed.
pub(super) fn watch(pool: &mut FoundPool, paths: Paths<'_>, json: bool) -> Result<Exit> {
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
