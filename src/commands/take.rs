//! What the verbs share that claim a slot.

use anyhow::Result;
use camino::{Utf8Path, Utf8PathBuf};

use super::claiming::ask;
use crate::claims::claim::Claimed;
use crate::claims::claimant::ClaimRequest;
use crate::claims::pick::Wanted;
use crate::claims::whereabouts::{worktree_named, worktree_of};
use crate::cli::{PoolArgs, Wishes};
use crate::host::invocation::Invocation;
use crate::host::lock::LockPolicy;
use crate::slot::SlotId;
use crate::which::by_worktree::Search;
use crate::which::choice::PoolChoice;

/// Claims a slot, and says what is to be said of it: one by its number, for the worktree of a path.
pub(super) fn take(
    args: &PoolArgs,
    wishes: &Wishes,
    (slot, owner): (Option<SlotId>, Option<&Utf8Path>),
    policy: &LockPolicy<'_>,
    invocation: &Invocation,
) -> Result<Claimed> {
    let without_owner = Invocation { owner: None, ..invocation.clone() };
    // An owner is one in the directory of its own run.
    let invocation = if owner.is_some() { &without_owner } else { invocation };
    let (choice, here) = (choice(args, wishes), &invocation.here);
    let search = Search { choice: &choice, invocation };
    let worktree = owner.map_or_else(|| worktree_of(here), |named| worktree_named(named, here))?;
    let pool = if owner.is_some() { search.of_named(&worktree)? } else { search.of(&worktree)? };
    let request = request(worktree.clone(), slot, wishes);
    ask(pool, &request, (wishes, &worktree), policy, &search)
}

/// Claims a slot for a worktree that is to be made in an empty directory. Its files come with the next claim.
pub(super) fn take_in_advance(
    args: &PoolArgs,
    wishes: &Wishes,
    (slot, worktree): (Option<SlotId>, &Utf8Path),
    policy: &LockPolicy<'_>,
    invocation: &Invocation,
) -> Result<Claimed> {
    let invocation = &Invocation { owner: None, ..invocation.clone() };
    let (choice, user) = (choice(args, wishes), worktree_of(&invocation.here)?);
    let search = Search { choice: &choice, invocation };
    let request = ClaimRequest { in_advance: true, ..request(worktree.to_owned(), slot, wishes) };
    ask(search.of(worktree)?, &request, (wishes, &user), policy, &search)
}

fn choice(args: &PoolArgs, wishes: &Wishes) -> PoolChoice {
    if wishes.embedded { args.embedded() } else { args.choice() }
}

fn request(worktree: Utf8PathBuf, slot: Option<SlotId>, wishes: &Wishes) -> ClaimRequest {
    let (wanted, note) = (Wanted::of(wishes.profile.clone(), slot), wishes.note.clone());
    let (waits, in_advance) = (wishes.wait.is_some(), false);
    ClaimRequest { worktree, wanted, lease: wishes.lease, note, waits, in_advance }
}
