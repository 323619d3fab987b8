//! What `up` and `reset` share: a start, with what it shows.

use std::io::{self, IsTerminal as _};

use anyhow::Result;

use super::live::Live;
use super::output::{print, say};
use crate::claims::held::Held;
use crate::cli::StartArgs;
use crate::fault::Exit;
use crate::host::child::Destination;
use crate::host::fs::Umask;
use crate::host::invocation::Invocation;
use crate::host::lock::LockPolicy;
use crate::host::signals::Interrupt;
use crate::report;
use crate::stack::patience::Patience;
use crate::stack::up::up;
use crate::stack::up_request::{Means, Progress, UpRequest};

/// A start, as it was typed.
pub(super) struct Starting<'a> {
    pub(super) start: &'a StartArgs,
    pub(super) services: &'a [String],
    pub(super) json: bool,
    pub(super) policy: LockPolicy<'a>,
    pub(super) interrupt: &'a Interrupt,
    pub(super) umask: Umask,
}

/// Starts the stack of a slot, and shows how.
///
/// # Errors
/// As [`up`].
pub(super) fn start(held: Held, starting: &Starting<'_>, invocation: &Invocation) -> Result<Exit> {
    let Starting { start, services, json, policy, interrupt, umask } = starting;
    let request = UpRequest {
        services: services.iter().cloned().collect(),
        profiles: (!start.compose_profile.is_empty()).then(|| start.compose_profile.clone()),
        builds: !start.no_build,
        patience: Patience { timeout: start.timeout.duration(), settle: start.settle.duration() },
        is_gated: !start.no_gate,
    };
    // On a terminal, Compose shows what it builds and pulls.
    let output = if io::stderr().is_terminal() { Destination::Stderr } else { Destination::LastLines };
    let means = Means { policy: *policy, invocation, interrupt, umask: *umask, output };
    let (slot, mut live) = (held.slot, Live::new());
    let done = up(held, &request, &means, &mut |progress| match progress {
        Progress::Waiting(other) => Ok(say(&report::up::waiting(other))?),
        Progress::Starting(services, notes) => {
            Ok(say(&(report::stack::remarks(notes) + &report::up::starting(slot, services.iter())))?)
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
    if *json {
        print(&report::up::json(&done))?;
    } else if exit == Exit::Done {
        print(&report::up::text(&done))?;
    }
    Ok(exit)
}
