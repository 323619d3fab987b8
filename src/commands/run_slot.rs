//! The slot of a `run`: the one that is held already.

use anyhow::Result;

use crate::claims::held::{self, Held};
use crate::claims::refusal::holds_none;
use crate::claims::whereabouts::worktree_of;
use crate::cli::RunArgs;
use crate::host::invocation::Invocation;
use crate::stack::up::request::Means;
use crate::which::by_worktree::Search;

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
