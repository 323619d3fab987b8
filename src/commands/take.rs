//! What the verbs share that claim a slot.

use anyhow::Result;
use camino::Utf8Path;

use super::claiming::ask;
use crate::claims::claim::Claimed;
use crate::claims::claimant::{ClaimRequest, Purpose};
use crate::claims::pick::Wanted;
use crate::claims::whereabouts::{worktree_named, worktree_of};
use crate::cli::{PoolArgs, Wishes};
use crate::host::invocation::Invocation;
use crate::host::lock::LockPolicy;
use crate::slot::SlotId;
use crate::which::by_worktree::{FoundPool, Search};
use crate::which::choice::PoolChoice;

/// Claims a slot, and says what is to be said of it: one by its number, for the worktree of a path.
pub(super) fn take(
    args: &PoolArgs,
    wishes: &Wishes,
    which: (Option<SlotId>, Option<&Utf8Path>),
    policy: &LockPolicy<'_>,
    invocation: &Invocation,
) -> Result<Claimed> {
    Ok(take_for(Purpose::Work, (args, wishes), which, policy, invocation)?.0)
}

/// The same for another purpose, and the pool. A worktree is claimed for in advance; its files come later.
pub(super) fn take_for(
    purpose: Purpose,
    (args, wishes): (&PoolArgs, &Wishes),
    (slot, named): (Option<SlotId>, Option<&Utf8Path>),
    policy: &LockPolicy<'_>,
    invocation: &Invocation,
) -> Result<(Claimed, FoundPool)> {
    let without_owner = Invocation { owner: None, ..invocation.clone() };
    // An owner is one in the directory of its own run.
    let invocation = if named.is_some() { &without_owner } else { invocation };
    let (choice, here) = (choice(args, wishes), &invocation.here);
    let search = Search { choice: &choice, invocation };
    let worktree = match named {
        Some(named) if purpose == Purpose::Worktree => named.to_owned(),
        Some(named) => worktree_named(named, here)?,
        None => worktree_of(here)?,
    };
    let (mut pool, user) = match purpose {
        Purpose::Worktree => (search.of(&worktree)?, worktree_of(here)?),
        Purpose::Work | Purpose::Run if named.is_some() => (search.of_named(&worktree)?, worktree.clone()),
        Purpose::Work | Purpose::Run => (search.of(&worktree)?, worktree.clone()),
    };
    let (wanted, note) = (Wanted::of(wishes.profile.clone(), slot), wishes.note.clone());
    let (waits, usual_lease) = (wishes.wait.is_some(), pool.usual_lease(invocation));
    let request = ClaimRequest { worktree, wanted, lease: wishes.lease, usual_lease, note, waits, purpose };
    Ok((ask(&mut pool, &request, (wishes, &user), policy, &search)?, pool))
}

fn choice(args: &PoolArgs, wishes: &Wishes) -> PoolChoice {
    if wishes.embedded { args.embedded() } else { args.choice() }
}
