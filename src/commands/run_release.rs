//! Releasing the slot of a `run`.

use std::time::Duration;

use anyhow::{Context as _, Result};

use super::output::say;
use crate::claims::release::{ReleaseRequest, release};
use crate::cli::RunArgs;
use crate::host::lock::LockPolicy;
use crate::host::signals::Relay;
use crate::registry::Claim;
use crate::report;
use crate::slot::SlotId;
use crate::which::by_worktree::FoundPool;

/// How long the release waits for the lock at least.
const PATIENT: Duration = Duration::from_mins(1);

/// Releases the slot with its data, whatever signals say.
///
/// # Errors
/// When the claim ended meanwhile, or the slot is not clean.
pub(super) fn give_back(
    args: &RunArgs,
    (slot, claim): (SlotId, Claim),
    mut pool: FoundPool,
    relay: &Relay,
) -> Result<()> {
    let Claim { claimed_by, claim_id, claim_owner: owner, .. } = claim;
    let worktree = claimed_by.directory().context("a run has a directory")?.to_owned();
    let request = ReleaseRequest { worktree, owner, slot: None, claim_id, force: false, wipe: true };
    let policy = args.lock.policy("kinfra run");
    let policy = LockPolicy { patience: policy.patience.max(PATIENT), ..policy };
    let tell = || say(&report::run::releasing(slot));
    let released = relay.outlasted(tell, || release(&request, &mut pool, &policy))?;
    say(&report::claim::release_remarks(&released));
    let whose = (request.worktree.as_path(), request.owner.as_ref());
    say(&report::claim::released(&released, request.slot, whose));
    released.not_clean.map_or(Ok(()), Err)
}
