//! Which slot a verb is for: the one of this worktree, of another one, or by its number.

use anyhow::Result;

use super::output::say;
use super::there::{none, there};
use crate::claims::held::{self, Held};
use crate::claims::refusal::{holds_none, is_held_by_none};
use crate::claims::whereabouts::worktree_of;
use crate::cli::SlotArgs;
use crate::host::invocation::Invocation;
use crate::host::lock::LockPolicy;
use crate::report;
use crate::which::by_worktree::Search;

/// The slot that is meant. `None` if no worktree holds it, or the worktree holds none.
///
/// # Errors
/// When the pool cannot be found or read.
pub(super) fn find(slot: &SlotArgs, invocation: &Invocation) -> Result<Option<Held>> {
    let there = there(&slot.of, invocation)?;
    let search = Search { choice: &slot.pool.choice(), invocation: &there };
    match slot.slot {
        Some(slot) => Ok(held::find_slot(slot, &search)?.held),
        None => Ok(held::find(&worktree_of(&there.here)?, &search)?.held),
    }
}

/// [`find`], where having none is an error, and so is a pool that this user does not trust.
///
/// # Errors
/// [`Fault`](crate::fault::Fault) says who holds none.
pub(super) fn needed(slot: &SlotArgs, invocation: &Invocation) -> Result<Held> {
    let there = there(&slot.of, invocation)?;
    let search = Search { choice: &slot.pool.choice(), invocation: &there };
    let worktree = worktree_of(&there.here)?;
    let held = match slot.slot {
        Some(slot) => held::find_slot(slot, &search)?.needed(|| is_held_by_none(slot))?,
        None => held::find(&worktree, &search)?.needed(|| none(&slot.of, &worktree))?,
    };
    say(&report::claim::rivals(held.pool()));
    let held = held.trusted()?;
    say(&held.pool().doubt().unwrap_or_default());
    Ok(held)
}

/// [`needed`], with its lease renewed.
pub(super) fn renewed(slot: &SlotArgs, policy: &LockPolicy<'_>, invocation: &Invocation) -> Result<Held> {
    let held = needed(slot, invocation)?;
    let worktree = held.worktree().to_owned();
    Ok(held.renew(policy)?.ok_or_else(|| holds_none(&worktree))?)
}
