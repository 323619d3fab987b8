//! The end of a `run`: its slot is released with its data.

use anyhow::{Error, Result};

use super::output::say;
use super::run_release::give_back;
use super::run_slot::find;
use crate::cli::RunArgs;
use crate::fault::{Exit, Fault, exit_of};
use crate::host::invocation::Invocation;
use crate::host::signals::{Interrupt, Relay};
use crate::registry::Claim;
use crate::report;

/// Releases the slot that a run claimed, or that its command claimed anew, unless the worktree made it its
/// own.
///
/// # Errors
/// When the slot is not clean.
pub(super) fn end(args: &RunArgs, claim: &Claim, relay: &Relay, invocation: &Invocation) -> Result<()> {
    let now = find(args, invocation)?.and_then(|held| Some((held.slot, held.entry.claim?)));
    match now {
        Some((slot, now)) if now.is_ended_by(claim) => {
            if relay.stop().is_requested() {
                say(&report::run::releasing(slot));
            }
            return give_back(args, (slot, now.claim_id), relay, invocation);
        }
        Some((slot, now)) if now.claim_id == claim.claim_id => say(&report::run::taken_over(slot)),
        Some(_) | None => say(report::run::OVER),
    }
    Ok(())
}

/// Why a run came to no command. A program that Ctrl-C ended did not fail by itself.
pub(super) fn stopped(error: Error, stop: &Interrupt) -> Error {
    if !stop.is_requested() || exit_of(&error) == Exit::Interrupted {
        return error;
    }
    error.context(Fault::interrupted("stopped before the command was started"))
}
