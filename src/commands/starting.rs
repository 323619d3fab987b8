//! What `up` and `reset` share: a start, with what it shows.

use anyhow::Result;

use super::live::Live;
use super::output::{hint, pass_on, print, say};
use crate::claims::held::Held;
use crate::fault::Exit;
use crate::report;
use crate::stack::up::request::{Means, Progress, UpRequest};
use crate::stack::up::{Up, up};

/// Starts the stack of a slot, and shows how.
///
/// # Errors
/// As [`up`].
pub(super) fn start(held: Held, request: &UpRequest, json: bool, means: &Means<'_>) -> Result<Exit> {
    let done = show(held, request, means)?;
    if json {
        print(&report::up::json(&done))?;
    } else if done.exit() == Exit::Done {
        print(&report::up::text(&done))?;
        hint(report::up::next())?;
    }
    Ok(done.exit())
}

/// Starts the stack of a slot, and shows on stderr how that goes.
///
/// # Errors
/// As [`up`].
pub(super) fn show(held: Held, request: &UpRequest, means: &Means<'_>) -> Result<Up> {
    let (slot, mut live, mut has_told) = (held.slot, Live::new(), false);
    let done = up(held, request, means, &mut |progress| match progress {
        Progress::Waiting(other) => Ok(say(&report::up::waiting(other))?),
        Progress::NoMemory(_) if has_told => Ok(()),
        Progress::NoMemory(why) => {
            has_told = true;
            Ok(say(&report::up::waiting_for_memory(why))?)
        }
        Progress::Elsewhere(elsewhere) => Ok(say(&report::up::elsewhere(slot, elsewhere))?),
        Progress::Removing(services) => Ok(say(&report::up::removing(slot, services.iter()))?),
        Progress::Starting(services, notes) => {
            let starting = report::up::starting(slot, services.iter());
            Ok(say(&(report::stack::remarks(notes) + &starting))?)
        }
        Progress::Started => {
            live.go_on_below();
            Ok(())
        }
        Progress::Looked(judged) => live.show(judged),
        Progress::Verifying(words) => Ok(say(&report::up::verifying(words))?),
    })?;
    pass_on(&report::up::failure(&done))?;
    say(&if done.exit() == Exit::Done { report::up::done(&done) } else { String::new() })?;
    Ok(done)
}
