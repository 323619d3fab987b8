//! What `up` and `reset` share: a start, with what it shows.

use anyhow::Result;

use super::failure::after;
use super::live::Live;
use super::output::{hint, pass_on, print, say, show_as_laid_out};
use crate::claims::held::Held;
use crate::fault::{Exit, Fault};
use crate::stack::up::request::{Means, Progress, UpRequest};
use crate::stack::up::{Up, up};
use crate::{host::invocation, report};

/// Starts the stack of a slot, and shows how.
pub(super) fn start(held: Held, request: &UpRequest, json: bool, means: &Means<'_>) -> Result<Exit> {
    let done = show(held, request, means)?;
    if json {
        end(&done, print(&report::up::json(&done)))
    } else if done.exit() == Exit::Done {
        let shown = end(&done, show_as_laid_out(&report::up::text(&done)))?;
        hint(report::up::next(invocation::is_plain()));
        Ok(shown)
    } else {
        Ok(done.exit())
    }
}

/// The exit code of a start that was printed. Why a stack does not run says more than that it was not.
fn end(done: &Up, printed: Result<(), Fault>) -> Result<Exit> {
    if done.exit() == Exit::Done {
        after(format!("started the stack of slot {}", done.slot), printed)?;
    }
    Ok(done.exit())
}

/// Starts the stack of a slot, and shows on stderr how that goes.
pub(super) fn show(held: Held, request: &UpRequest, means: &Means<'_>) -> Result<Up> {
    let (slot, mut live, mut has_told) = (held.slot, Live::new(), false);
    say(&report::up::stack_note(held.stack_note()));
    let done = up(held, request, means, &mut |progress| match progress {
        Progress::Waiting(other) => say(&report::up::waiting(other)),
        Progress::NoMemory(_) if has_told => {}
        Progress::NoMemory(why) => {
            has_told = true;
            say(&report::up::waiting_for_memory(why));
        }
        Progress::Elsewhere(elsewhere) => say(&report::up::elsewhere(slot, elsewhere)),
        Progress::Removing(services) => say(&report::up::removing(slot, services.iter())),
        Progress::Starting(services, notes) => {
            let starting = report::up::starting(slot, services.iter());
            say(&(report::stack::remarks(notes) + &starting));
        }
        Progress::Started => live.go_on_below(),
        Progress::Looked(judged) => live.show(judged),
        Progress::Verifying(words) => say(&report::up::verifying(words)),
    })?;
    pass_on(&report::up::failure(&done));
    say(&if done.exit() == Exit::Done { report::up::done(&done) } else { String::new() });
    Ok(done)
}
