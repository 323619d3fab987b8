//! `kinfra logs`

use std::ffi::OsString;
use std::time::Duration;

use anyhow::Result;

use super::output::say;
use super::slot_of::needed;
use crate::cli::LogsArgs;
use crate::fault::{Exit, Fault};
use crate::host::fs::Umask;
use crate::host::invocation::Invocation;
use crate::host::lock::LockPolicy;
use crate::stack::compose_args::ComposeArgs;
use crate::stack::derive::become_compose_by_name;
use crate::stack::failing::failing;

/// How long it waits for the lock, which it takes only to give an old registry an id.
const PATIENCE: Duration = Duration::from_secs(10);

/// Returns only if Compose could not be started, or no service fails.
pub(super) fn run(args: &LogsArgs, umask: Umask, invocation: &Invocation) -> Result<Exit> {
    let held = needed(&args.pool, &args.slot, invocation)?;
    let mut services = args.services.clone();
    if args.failing {
        let policy =
            LockPolicy { patience: PATIENCE, command: "kinfra logs", network: false, interrupt: None };
        services = failing(&held, &policy)?.into_iter().collect();
        if services.is_empty() {
            say(&format!("No service of slot {} fails\n", held.slot))?;
            return Ok(Exit::Done);
        }
    }
    let mut words = vec!["logs".to_owned()];
    words.extend(args.follow.then(|| "--follow".to_owned()));
    words.extend(args.since.iter().map(|since| format!("--since={since}")));
    words.extend(args.tail.iter().map(|tail| format!("--tail={tail}")));
    words.extend(services);
    let compose = ComposeArgs::read(words.into_iter().map(OsString::from).collect())?;
    let error = become_compose_by_name(&held, &compose, umask);
    Err(Fault::docker(format!("`docker` cannot be started: {error}")).into())
}
