//! The slot that a hook finds, and gives back.

use anyhow::Result;

use super::typed::claim_args;
use crate::claims::held::{self, Held};
use crate::claims::release::{ReleaseRequest, release};
use crate::claims::whereabouts::worktree_of;
use crate::cli::ClaimArgs;
use crate::fault::Exit;
use crate::host::invocation::Invocation;
use crate::which::by_worktree::Search;

/// The slot of the worktree here.
pub(super) fn find(args: &ClaimArgs, run: &Invocation) -> Result<Option<Held>> {
    let search = Search { choice: &args.pool.choice(), invocation: run };
    Ok(held::find(&worktree_of(&run.here)?, &search)?.held)
}

/// Gives the slot of the worktree here back, if it is one to give back.
pub(super) fn release_if(run: &Invocation, is_one: impl Fn(&Held) -> bool) -> Result<Exit> {
    let args = claim_args()?;
    let Some(held) = find(&args, run)?.filter(is_one) else { return Ok(Exit::Done) };
    let worktree = held.worktree().to_owned();
    let claim_id = held.entry.claim.as_ref().and_then(|claim| claim.claim_id);
    let mut pool = Search { choice: &args.pool.choice(), invocation: run }.of(&worktree)?;
    let request = ReleaseRequest { worktree, owner: None, slot: None, claim_id, force: false, wipe: false };
    let released = release(&request, &mut pool, &args.lock.policy("kinfra hook"))?;
    released.not_clean.map_or(Ok(Exit::Done), Err)
}
