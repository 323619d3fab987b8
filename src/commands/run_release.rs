//! Releasing the slot of a `run`.

use std::time::Duration;

use anyhow::Result;

use super::output::say;
use crate::claims::release::{ReleaseRequest, release};
use crate::claims::whereabouts::worktree_of;
use crate::cli::RunArgs;
use crate::host::invocation::Invocation;
use crate::host::lock::LockPolicy;
use crate::host::signals::Relay;
use crate::registry::ClaimId;
use crate::report;
use crate::slot::SlotId;
use crate::which::by_worktree::Search;

/// How long the release waits for the lock at least.
const PATIENT: Duration = Duration::from_mins(1);

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
