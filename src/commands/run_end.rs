//! The end of a `run`: its slot is released with its data.

use std::time::Duration;

use anyhow::{Error, Result};

use super::output::say;
use super::run_slot::find;
use crate::claims::release::{ReleaseRequest, release};
use crate::claims::whereabouts::worktree_of;
use crate::cli::RunArgs;
use crate::fault::{Exit, Fault, exit_of};
use crate::host::invocation::Invocation;
use crate::host::lock::LockPolicy;
use crate::host::signals::{Interrupt, Relay};
use crate::registry::{Claim, ClaimId};
use crate::report;
use crate::slot::SlotId;
use crate::which::by_worktree::Search;

/// How long the release waits for the lock at least.
const PATIENT: Duration = Duration::from_mins(1);

/// Releases the slot that a run claimed, or that its command claimed anew, unless the worktree made it its own.
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

/// Releases the slot with its data, whatever signals say.
///
/// # Errors
/// When the claim ended meanwhile, or the slot is not clean.
pub(super) fn give_back(
    args: &RunArgs,
    (slot, claim): (SlotId, Option<ClaimId>),
    relay: &Relay,
    invocation: &Invocation,
) -> Result<()> {
    let search = Search { choice: &args.choice(), invocation };
    let worktree = worktree_of(&invocation.here)?;
    let mut pool = search.with_claim(claim, &worktree)?;
    let owner = invocation.owner.clone();
    let request = ReleaseRequest { worktree, owner, slot: None, claim_id: claim, force: false, wipe: true };
    let policy = args.lock.policy("kinfra run");
    let policy = LockPolicy { patience: policy.patience.max(PATIENT), ..policy };
    let tell = || say(&report::run::releasing(slot));
    let released = relay.outlasted(tell, || release(&request, &mut pool, &policy))?;
    say(&report::claim::release_remarks(&released));
    let whose = (request.worktree.as_path(), request.owner.as_ref());
    say(&report::claim::released(&released, request.slot, whose));
    released.not_clean.map_or(Ok(()), Err)
}

/// Why a run came to no command. A program that Ctrl-C ended did not fail by itself.
pub(super) fn stopped(error: Error, stop: &Interrupt) -> Error {
    if !stop.is_requested() || exit_of(&error) == Exit::Interrupted {
        return error;
    }
    error.context(Fault::interrupted("stopped before the command was started"))
}
