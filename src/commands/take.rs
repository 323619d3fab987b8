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

/// A claim, as it was typed.
pub(super) struct Asked<'a> {
    pub(super) pool: &'a PoolArgs,
    pub(super) wishes: &'a Wishes,
    pub(super) slot: Option<SlotId>,
    /// The worktree that is to hold the slot, if it is not the one here.
    pub(super) owner: Option<&'a Utf8Path>,
    pub(super) policy: LockPolicy<'a>,
    /// Ctrl-C, if the verb listens already.
    pub(super) interrupt: Option<&'a Interrupt>,
}

/// Claims a slot, and says what is to be said of it.
///
/// # Errors
/// When there is no slot for the worktree.
pub(super) fn take(asked: &Asked<'_>, invocation: &Invocation) -> Result<Claimed> {
    let Asked { pool: args, wishes, slot, owner, policy, interrupt } = asked;
    let choice = if wishes.embedded { args.embedded() } else { args.choice() };
    let search = Search { choice: &choice, invocation };
    let (worktree, mut pool) = if let Some(named) = owner {
        let worktree = worktree_named(named, &invocation.here)?;
        (worktree.clone(), search.of_named(&worktree)?)
    } else {
        let worktree = worktree_of(&invocation.here)?;
        (worktree.clone(), search.of(&worktree)?)
    };
    let paths = Paths { home: invocation.home.as_deref() };
    let seen = pool.look(Following::Of(&worktree))?;
    embedded_pool::check(&pool, seen.as_ref().map(|seen| &*seen.registry), &worktree, &search)?;
    let other = other_than_applied(&pool.root, &worktree, &choice, invocation)?;
    say(&report::claim::which(&pool, other.as_deref(), paths))?;
    let seen = seen.ok_or_else(|| pool.missing())?;
    let wanted = Wanted::of(wishes.profile.clone(), *slot);
    let request = ClaimRequest { worktree, wanted, lease: wishes.lease, note: wishes.note.clone() };
    let claimant = Claimant::new(&request, &pool, invocation, *policy);
    let claimed = match wishes.wait {
        None => claimant.ask(seen, None)?.map_err(|refusal| refusal.error)?,
        Some(timeout) => {
            let mut sign = Sign::new();
            let interrupt = interrupt.map_or_else(Interrupt::listen, |interrupt| Ok(interrupt.clone()))?;
            wait(&claimant, seen, timeout, &interrupt, &mut |progress| sign.show(progress))?
        }
    };
    // Without the note, the next claim needs the flag again.
    let _ = embedded_pool::note(&pool, &request.worktree, &search);
    say(&report::claim::remarks(&claimed, host::clock::now(), paths))?;
    Ok(claimed)
}
