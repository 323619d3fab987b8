//! The slots of a pool, looked at once or until Ctrl-C.

use std::time::Duration;

use anyhow::Result;

use super::output::{print, show_as_laid_out};
use crate::fault::Exit;
use crate::host::clock::{Stopwatch, now, pause};
use crate::host::terminal::{Screen, columns_of_stdout, has_reader};
use crate::host::{invocation::is_plain, signals::Interrupt};
use crate::report::slots::{self, SlotsView};
use crate::shown::Paths;
use crate::stack::observe::following::Followed;
use crate::stack::observe::stacks::Looked;
use crate::which::by_worktree::FoundPool;

/// How often a watched pool is looked at.
const EVERY: Duration = Duration::from_secs(1);
/// How soon Ctrl-C is heard.
const HEARD: Duration = Duration::from_millis(50);

/// How slots are shown.
pub(super) fn text(looked: &Looked, pool: &FoundPool, paths: Paths<'_>) -> String {
    if looked.slots.is_empty() {
        return slots::none(&pool.root, &pool.origin, paths);
    }
    let (primary, now, columns) = (pool.primary_port(), now(), columns_of_stdout());
    slots::text(looked, SlotsView { primary, now, paths, columns, is_worst_first: is_plain() })
}

/// Shows the pool until Ctrl-C, or until nothing reads it any more: on a terminal in place, elsewhere each
/// time that it has changed.
pub(super) fn watch(pool: &mut FoundPool, paths: Paths<'_>, json: bool) -> Result<Exit> {
    let interrupt = Interrupt::listen()?;
    let (mut screen, mut followed) = (if json { None } else { Screen::open()? }, Followed::default());
    let mut last: Option<Looked> = None;
    while !interrupt.is_requested() {
        if !has_reader() {
            return Ok(Exit::Done);
        }
        let looked = followed.look(pool)?;
        let text = text(&looked, pool, paths);
        if let Some(screen) = &mut screen {
            screen.draw(&text)?;
        } else if !last.as_ref().is_some_and(|last| last.is_as(&looked)) {
            match (json, &last) {
                (true, _) => print(&slots::json_line(&looked)),
                (false, None) => show_as_laid_out(&text),
                (false, Some(_)) => show_as_laid_out(&format!("\n{text}")),
            }?;
        }
        last = Some(looked);
        let waited = Stopwatch::start();
        while waited.elapsed() < EVERY && !interrupt.is_requested() {
            pause(HEARD);
        }
    }
    Ok(Exit::Interrupted)
}
