//! What `up` and `reset` share: a start, with what it shows.

use anyhow::Result;

use super::live::Live;
use super::output::{hint, print, say};
use crate::claims::held::Held;
use crate::fault::Exit;
use crate::host::child::Destination;
use crate::host::terminal::size_of_stderr;
use crate::report;
use crate::stack::up::request::{Means, Progress, UpRequest};
use crate::stack::up::up;

/// Starts the stack of a slot, and shows how.
///
/// # Errors
/// As [`up`].
pub(super) fn start(held: Held, request: &UpRequest, json: bool, means: &Means<'_>) -> Result<Exit> {
    let (slot, mut live) = (held.slot, Live::new());
    let done = up(held, request, means, &mut |progress| match progress {
        Progress::Waiting(other) => Ok(say(&report::up::waiting(other))?),
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
    let exit = done.exit();
    say(&report::up::failure(&done))?;
    say(&if exit == Exit::Done { report::up::done(&done) } else { String::new() })?;
    if json {
        print(&report::up::json(&done))?;
    } else if exit == Exit::Done {
        print(&report::up::text(&done))?;
        hint(report::up::next())?;
    }
    Ok(exit)
}

/// The columns that Compose needs. On fewer it draws over and over, and never in place.
const COMPOSES: usize = 80;

/// Where Compose's output goes: on a terminal, it shows what it builds and pulls.
pub(super) fn output() -> Destination {
    match size_of_stderr() {
        Some((_, columns)) if columns >= COMPOSES => Destination::Stderr,
        Some(_) | None => Destination::LastLines,
    }
}
