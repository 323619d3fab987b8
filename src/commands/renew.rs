//! `kinfra renew`

use anyhow::Result;

use super::failure::after;
use super::output::show;
use super::there::there;
use crate::claims::renew::renew;
use crate::claims::whereabouts::worktree_of;
use crate::cli::RenewArgs;
use crate::fault::Exit;
use crate::host::invocation::Invocation;
use crate::report;
use crate::which::by_worktree::Search;

pub(super) fn run(args: &RenewArgs, invocation: &Invocation) -> Result<Exit> {
    let invocation = &there(&args.of, invocation)?;
    let search = Search { choice: &args.pool.choice(), invocation };
    let worktree = worktree_of(&invocation.here)?;
    let mut pool = search.with_claim(args.claim_id, &worktree)?;
    let policy = args.lock.policy("kinfra renew");
    let holder = (worktree.as_path(), invocation.owner.as_ref());
    let (slot, claim) = renew(&mut pool, holder, args.claim_id, args.lease, &policy)?;
    after(format!("renewed the lease of slot {slot}"), show(&report::claim::renewed(slot, &claim)))?;
    Ok(Exit::Done)
}
