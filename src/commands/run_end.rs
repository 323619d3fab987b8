//! The end of a `run`: its slot is released with its data.

use anyhow::{Error, Result};

use super::output::say;
use super::run_release::give_back;
use crate::claims::held_by::of_run;
use crate::claims::whereabouts::Following;
use crate::cli::RunArgs;
use crate::fault::{Exit, Fault, exit_of};
use crate::host::signals::{Interrupt, Relay};
use crate::registry::Claim;
use crate::report;
use crate::slot::SlotId;
use crate::which::by_worktree::FoundPool;

/// What a run claimed. Its end looks for that, whatever became of its directory.
pub(super) struct Own {
    pub(super) claim: Claim,
    pub(super) pool: FoundPool,
}

/// Releases the slot that a run claimed, or that its command claimed anew, unless the worktree made it its
/// own. Its directory may be gone by now, moved, or another.
///
/// # Errors
/// When the slot is not clean.
pub(super) fn end(args: &RunArgs, own: Own, relay: &Relay) -> Result<()> {
    let Own { claim, mut pool } = own;
    match now(&claim, &mut pool)? {
        Some((slot, now)) if now.is_ended_by(&claim) => {
            if relay.stop().is_requested() {
                say(&report::run::releasing(slot));
            }
            return give_back(args, (slot, now), pool, relay);
        }
        Some((slot, _)) => say(&report::run::taken_over(slot)),
        None => say(report::run::OVER),
    }
    Ok(())
}

/// What became of the claim of a run.
fn now(claim: &Claim, pool: &mut FoundPool) -> Result<Option<(SlotId, Claim)>> {
    let Some(worktree) = claim.claimed_by.directory() else { return Ok(None) };
    let following = Following::Named { worktree, slot: None, id: claim.claim_id };
    let Some(seen) = pool.look(following)? else { return Ok(None) };
    let slot = of_run(&seen.registry, claim);
    Ok(slot.and_then(|slot| Some((slot, seen.registry.slots.get(&slot)?.claim.clone()?))))
}

/// Why a run came to no command. A program that Ctrl-C ended did not fail by itself.
pub(super) fn stopped(error: Error, stop: &Interrupt) -> Error {
    if !stop.is_requested() || exit_of(&error) == Exit::Interrupted {
        return error;
    }
    error.context(Fault::interrupted("stopped before the command was started"))
}
