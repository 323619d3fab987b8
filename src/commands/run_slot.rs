//! The slot of a `run`: the one that is held already, and its release.

use std::time::Duration;

use anyhow::Result;

use super::output::say;
use crate::claims::held::{self, Held};
use crate::claims::refusal::holds_none;
use crate::claims::release::{ReleaseRequest, release};
use crate::claims::whereabouts::worktree_of;
use crate::cli::RunArgs;
use crate::host::invocation::Invocation;
use crate::host::lock::LockPolicy;
use crate::registry::ClaimId;
use crate::report;
use crate::stack::up::request::Means;
use crate::which::by_worktree::Search;

/// How long the release waits for the lock at least.
const PATIENT: Duration = Duration::from_mins(1);

/// The slot that the worktree, or the owner in it, holds.
///
/// # Errors
/// When the pool cannot be found or read.
pub(super) fn find(args: &RunArgs, invocation: &Invocation) -> Result<Option<Held>> {
    let search = Search { choice: &args.choice(), invocation };
    Ok(held::find(&worktree_of(&invocation.here)?, &search)?.held)
}

/// The same with its lease renewed, where it is held.
pub(super) fn held(args: &RunArgs, means: &Means<'_>) -> Result<Held> {
    let worktree = worktree_of(&means.invocation.here)?;
    let none = || holds_none(&worktree);
    let slot = find(args, means.invocation)?.ok_or_else(none)?.trusted()?;
    Ok(slot.renew(&means.policy)?.ok_or_else(none)?)
}

/// Releases the slot with its data, whatever signals say.
///
/// # Errors
/// When the claim ended meanwhile, or the slot is not clean.
pub(super) fn give_back(args: &RunArgs, claim: Option<ClaimId>, invocation: &Invocation) -> Result<()> {
    let search = Search { choice: &args.choice(), invocation };
    let worktree = worktree_of(&invocation.here)?;
    let mut pool = search.with_claim(claim, &worktree)?;
    let owner = invocation.owner.clone();
    let request = ReleaseRequest { worktree, owner, slot: None, claim_id: claim, force: false, wipe: true };
    let policy = args.lock.policy("kinfra run");
    let policy = LockPolicy { patience: policy.patience.max(PATIENT), ..policy };
    let released = release(&request, &mut pool, &policy)?;
    say(&report::claim::release_remarks(&released));
    say(&report::claim::released(&released, request.slot, &request.worktree));
    released.not_clean.map_or(Ok(()), Err)
}
