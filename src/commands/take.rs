//! What the verbs share that claim a slot.

use anyhow::Result;
use camino::Utf8Path;

use super::output::say;
use super::sign::Sign;
use crate::claims::claim::Claimed;
use crate::claims::claimant::{ClaimRequest, Claimant};
use crate::claims::pick::Wanted;
use crate::claims::wait::wait;
use crate::claims::whereabouts::{Following, worktree_named, worktree_of};
use crate::cli::{PoolArgs, Wishes};
use crate::host;
use crate::host::invocation::Invocation;
use crate::host::lock::LockPolicy;
use crate::host::signals::Interrupt;
use crate::report::{self, Paths};
use crate::slot::SlotId;
use crate::which::branch_spec::other_than_applied;
use crate::which::by_worktree::Search;
use crate::which::embedded_pool;

/// Claims a slot, and says what is to be said of it: one by its number, for the worktree of a path.
///
/// # Errors
/// When there is no slot for the worktree.
pub(super) fn take(
    args: &PoolArgs,
    wishes: &Wishes,
    (slot, owner): (Option<SlotId>, Option<&Utf8Path>),
    policy: &LockPolicy<'_>,
    invocation: &Invocation,
) -> Result<Claimed> {
    let choice = if wishes.embedded { args.embedded() } else { args.choice() };
    let (search, here) = (Search { choice: &choice, invocation }, &invocation.here);
    let worktree = owner.map_or_else(|| worktree_of(here), |named| worktree_named(named, here))?;
    let mut pool = if owner.is_some() { search.of_named(&worktree)? } else { search.of(&worktree)? };
    let paths = Paths { home: invocation.home.as_deref() };
    let seen = pool.look(Following::Of(&worktree))?;
    embedded_pool::check(&pool, seen.as_ref().map(|seen| &*seen.registry), &worktree, &search)?;
    let other = other_than_applied(&pool.root, &worktree, &choice, invocation)?;
    say(&report::claim::which(&pool, other.as_deref(), paths));
    let seen = pool.usable(seen)?;
    let (wanted, note) = (Wanted::of(wishes.profile.clone(), slot), wishes.note.clone());
    let request = ClaimRequest { worktree, wanted, lease: wishes.lease, note, waits: wishes.wait.is_some() };
    let claimant = Claimant::new(&request, &pool, invocation, *policy);
    let claimed = match wishes.wait {
        None => claimant.ask(seen, None)?.map_err(|refusal| refusal.error)?,
        Some(timeout) => {
            let mut sign = Sign::new();
            let interrupt = policy.interrupt.map_or_else(Interrupt::listen, |own| Ok(own.clone()))?;
            wait(&claimant, seen, timeout, &interrupt, &mut |progress| sign.show(progress))?
        }
    };
    // Without the note, the next claim needs the flag again.
    let _ = embedded_pool::note(&pool, &request.worktree, &search, policy);
    say(&report::claim::remarks(&claimed, host::clock::now(), paths));
    Ok(claimed)
}
