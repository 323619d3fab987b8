//! `kinfra run`

use anyhow::Result;

use super::live::of_compose;
use super::output::say;
use super::run_claim::claimed;
use super::run_end::{end, stopped};
use super::within::within;
use crate::cli::RunArgs;
use crate::fault::Exit;
use crate::host::fs::Umask;
use crate::host::invocation::Invocation;
use crate::host::lock::LockPolicy;
use crate::host::signals::Relay;
use crate::report;
use crate::stack::up::request::Means;

pub(super) fn run(args: &RunArgs, umask: Umask, invocation: &Invocation) -> Result<Exit> {
    let relay = Relay::listen()?;
    let invocation = &args.owned(invocation);
    let policy = LockPolicy { interrupt: Some(relay.stop()), ..args.lock.policy("kinfra run") };
    let means = Means { policy, invocation, interrupt: relay.stop(), umask, output: of_compose() };
    let is_stopped = |error| stopped(error, relay.stop());
    let claim = claimed(args, &relay, &means).map_err(is_stopped)?;
    let ran = within(args, &relay, &means).map_err(is_stopped);
    let Some(claim) = claim else { return ran };
    match (ran, end(args, claim, &relay)) {
        (ran, Ok(())) => ran,
        (Ok(Exit::Done), Err(error)) => Err(error),
        // Why the command failed says more than that its slot is not clean.
        (ran, Err(error)) => {
            say(&report::fault::text(&error));
            ran
        }
    }
}
