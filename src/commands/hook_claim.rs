//! The slot of a worktree in which a tool begins to work, or ends.

use anyhow::Result;

use super::hook_slot::{claimed, find};
use super::output::print;
use super::typed::claim_args;
use crate::claims::environment::Change;
use crate::claims::release::{ReleaseRequest, release};
use crate::cli::ClaimArgs;
use crate::fault::Exit;
use crate::hooks::env_file::{VARIABLE, add};
use crate::host::git::{confirmed_git_dir, top_of};
use crate::host::invocation::{Invocation, environment};
use crate::report;
use crate::stack::compose_files::variables::of_slot;
use crate::which::by_worktree::Search;

/// An agent begins: a linked worktree gets a slot, and the agent its variables.
pub(super) fn started(run: &Invocation) -> Result<Exit> {
    let Some(top) = top_of(&run.here)? else { return Ok(Exit::Done) };
    let (is_linked, args) = (confirmed_git_dir(top)?.is_some(), claim_args()?);
    let held = if is_linked { claimed(run)? } else { find(&args, run)? };
    let Some(held) = held else { return Ok(Exit::Done) };
    let ClaimArgs { lock, .. } = args;
    let policy = lock.policy("kinfra hook");
    let Some(held) = held.trusted()?.renew(&policy)? else { return Ok(Exit::Done) };
    let variables = environment();
    if let Some(file) = variables.get(VARIABLE) {
        let change = Change::to_slot(of_slot(&held, &policy, run)?, &variables);
        add(file, &report::env::shell(&change))?;
    }
    print(&report::hook::context(held.slot, held.worktree()))?;
    Ok(Exit::Done)
}

/// An agent ends: a slot with a lease in which nothing was started is free for others.
pub(super) fn ended(run: &Invocation) -> Result<Exit> {
    let args = claim_args()?;
    let Some(held) = find(&args, run)? else { return Ok(Exit::Done) };
    let claim = held.entry.claim.as_ref().filter(|claim| claim.lease.is_some());
    let Some(claim) = claim.filter(|_| held.entry.started.is_none()) else { return Ok(Exit::Done) };
    let search = Search { choice: &args.pool.choice(), invocation: run };
    let (worktree, claim_id) = (held.worktree().to_owned(), claim.claim_id);
    let mut pool = search.of(&worktree)?;
    let request = ReleaseRequest { worktree, owner: None, slot: None, claim_id, force: false, wipe: false };
    release(&request, &mut pool, &args.lock.policy("kinfra hook"))?;
    Ok(Exit::Done)
}
