//! Asking a pool for a slot, and saying what is to be said of it.

use anyhow::Result;
use camino::Utf8Path;

use super::output::say;
use super::sign::Sign;
use crate::claims::claim::Claimed;
use crate::claims::claimant::{ClaimRequest, Claimant};
use crate::claims::wait::wait;
use crate::claims::whereabouts::Following;
use crate::cli::Wishes;
use crate::host;
use crate::host::lock::LockPolicy;
use crate::host::signals::Interrupt;
use crate::report::{self, Paths};
use crate::which::branch_spec::other_than_applied;
use crate::which::by_worktree::{FoundPool, Search};
use crate::which::embedded_pool;

/// Asks a pool for a slot. `user` is a directory of the repository that asks: the worktree itself, or one
/// that is there before it.
///
/// # Errors
/// When there is no slot for the worktree.
pub(super) fn ask(
    pool: &mut FoundPool,
    request: &ClaimRequest,
    (wishes, user): (&Wishes, &Utf8Path),
    policy: &LockPolicy<'_>,
    search: &Search<'_>,
) -> Result<Claimed> {
    let paths = Paths { home: search.invocation.home.as_deref() };
    let seen = pool.look(Following::Of(&request.worktree))?;
    embedded_pool::check(pool, seen.as_ref().map(|seen| &*seen.registry), user, search)?;
    let other = other_than_applied(&pool.root, user, search.choice, search.invocation)?;
    say(&report::claim::which(pool, other.as_deref(), paths));
    let seen = pool.usable(seen)?;
    let claimant = Claimant::new(request, pool, search.invocation, *policy);
    let claimed = match wishes.wait {
        None => claimant.ask(seen, None)?.map_err(|refusal| refusal.error)?,
        Some(timeout) => {
            let mut sign = Sign::new();
            let interrupt = policy.interrupt.map_or_else(Interrupt::listen, |own| Ok(own.clone()))?;
            wait(&claimant, seen, timeout, &interrupt, &mut |progress| sign.show(progress))?
        }
    };
    // Without the note, the next claim needs the flag again.
    let _ = embedded_pool::note(pool, user, search, policy);
    say(&report::claim::remarks(&claimed, host::clock::now(), paths));
    Ok(claimed)
}
