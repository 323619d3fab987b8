//! The slots of a pool, looked at once or until Ctrl-C.

use std::time::Duration;

use anyhow::Result;

use super::output::{print, say, show_as_laid_out};
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
    let (judged_at, is_worst_first) = (pool.now(), is_plain());
    slots::text(looked, SlotsView { primary, now, judged_at, paths, columns, is_worst_first })
}

/// Shows the pool until Ctrl-C, or until nothing reads it any more: on a terminal in place, elsewhere each
/// time that it has changed.
pub(super) fn watch(pool: &mut FoundPool, paths: Paths<'_>, json: bool) -> Result<Exit> {
    let interrupt = Interrupt::listen()?;
    let (mut screen, mut followed) = (if json { None } else { Screen::open()? }, Followed::default());
    let mut last = None::<(Looked, _)>;
    while !interrupt.is_requested() {
        if !has_reader() {
            return Ok(Exit::Done);
        }
        let looked = followed.look(pool)?;
        let (text, seen_at) = (text(&looked, pool, paths), pool.seen_at());
        let doubt = pool.doubt_of(!looked.slots.is_empty()).unwrap_or_default();
        if let Some(screen) = &mut screen {
            screen.draw(&(doubt + &text))?;
        } else if !last.as_ref().is_some_and(|(last, at)| last.is_as(&looked) && *at == seen_at) {
            say(&doubt);
            let (space, line) = (if last.is_some() { "\n" } else { "" }, slots::json_line(&looked, seen_at));
            if json { print(&line)? } else { show_as_laid_out(&format!("{space}{text}"))? }
        }
        last = Some((looked, seen_at));
        let waited = Stopwatch::start();
        while waited.elapsed() < EVERY && !interrupt.is_requested() {
            pause(HEARD);
        }
    }
    Ok(Exit::Interrupted)
}
