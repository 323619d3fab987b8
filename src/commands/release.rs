//! `kinfra release`

use anyhow::Result;

use super::failure::after;
use super::output::{say, show};
use super::there::there;
use crate::claims::release::{ReleaseRequest, release};
use crate::claims::whereabouts::worktree_of;
use crate::cli::ReleaseArgs;
use crate::fault::Exit;
use crate::host::invocation::Invocation;
use crate::report;
use crate::which::by_worktree::Search;

pub(super) fn run(args: &ReleaseArgs, invocation: &Invocation) -> Result<Exit> {
    let invocation = &there(&args.of, invocation)?;
    let search = Search { choice: &args.pool.choice(), invocation };
    let worktree = worktree_of(&invocation.here)?;
    let mut pool = search.with_claim(args.claim_id, &worktree)?;
    let request = ReleaseRequest {
        worktree,
        owner: invocation.owner.clone(),
        slot: args.slot,
        claim_id: args.claim_id,
        force: args.force,
        wipe: args.wipe,
    };
    let released = release(&request, &mut pool, &args.lock.policy("kinfra release"))?;
    say(&report::claim::release_remarks(&released));
    let whose = (request.worktree.as_path(), request.owner.as_ref());
    let printed = show(&report::claim::released(&released, request.slot, whose));
    // That the slot is not clean says already that it is released.
    released.not_clean.map_or(Ok(()), Err)?;
    match &released.claim {
        Some((slot, _)) => after(format!("released slot {slot}"), printed)?,
        None => printed?,
    }
    Ok(Exit::Done)
}
