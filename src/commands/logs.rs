//! `kinfra logs`

use std::collections::BTreeSet;
use std::ffi::OsString;

use anyhow::Result;

use super::output::say;
use super::say_not_recorded;
use super::slot_of::needed;
use crate::claims::held::Held;
use crate::cli::LogsArgs;
use crate::fault::{Exit, Fault};
use crate::host::fs::Umask;
use crate::host::invocation::Invocation;
use crate::report;
use crate::stack::compose_files::compose_args::ComposeArgs;
use crate::stack::compose_files::derive::become_compose_by_name;
use crate::stack::gate::state::{Judged, Prospect};
use crate::stack::observe::examine::examine;
use crate::stack::observe::sight::Sight;

/// Returns only if Compose could not be started, or no service fails.
pub(super) fn run(args: &LogsArgs, umask: Umask, invocation: &Invocation) -> Result<Exit> {
    let held = needed(&args.slot, invocation)?;
    let mut services = args.services.clone();
    if args.failing {
        services = failing(&held)?.into_iter().collect();
        if services.is_empty() {
            say(&format!("No service of slot {} fails\n", held.slot));
            return Ok(Exit::Done);
        }
    }
    let mut words = vec!["logs".to_owned()];
    words.extend(args.follow.then(|| "--follow".to_owned()));
    words.extend(args.since.iter().map(|since| format!("--since={since}")));
    words.extend(args.tail.iter().map(|tail| format!("--tail={tail}")));
    words.extend(services);
    let compose = ComposeArgs::read(words.into_iter().map(OsString::from).collect())?;
    say_not_recorded();
    Err(become_compose_by_name(&held, &compose, umask).into())
}

/// The services that have a log and do not run as they should.
fn failing(held: &Held) -> Result<BTreeSet<String>> {
    let examined = examine(held, &held.listed());
    if let Sight::Unknown(why) = &examined.sight {
        return Err(
            Fault::docker(format!("Docker cannot say what fails in slot {}: {why}", held.slot)).into()
        );
    }
    say(&report::stack_state::failing(&examined));
    // One that was just started may become ready, and nothing is said against it.
    let is_new = |judged: &Judged| judged.prospect == Prospect::OnItsWay && judged.note.is_none();
    let is_bad = |judged: &Judged| !judged.is_ready() && !is_new(judged) && judged.container.is_some();
    let bad = examined.services.into_iter().filter(is_bad);
    Ok(bad.map(|judged| judged.service).collect())
}
