//! Which slot a verb is for: the one of this worktree, of another one, or by its number.

use anyhow::{Error, Result};
use camino::Utf8Path;

use crate::claims::held::{self, Held};
use crate::claims::refusal::{holds_none, is_held_by_none};
use crate::claims::whereabouts::{worktree_named, worktree_of};
use crate::cli::{HolderArgs, SlotArgs};
use crate::fault::Fault;
use crate::host::fs::exists;
use crate::host::invocation::Invocation;
use crate::host::lock::LockPolicy;
use crate::which::by_worktree::Search;
use crate::which::choice::absolute;

/// The slot that is meant. `None` if no worktree holds it, or the worktree holds none.
///
/// # Errors
/// When the pool cannot be found or read.
pub(super) fn find(slot: &SlotArgs, invocation: &Invocation) -> Result<Option<Held>> {
    let there = there(&slot.of, invocation)?;
    let search = Search { choice: &slot.pool.choice(), invocation: &there };
    match slot.slot {
        Some(slot) => held::find_slot(slot, &search),
        None => held::find(&worktree_of(&there.here)?, &search),
    }
}

/// [`find`], where having none is an error, and so is a pool that this user does not trust.
///
/// # Errors
/// [`Fault`](crate::fault::Fault) says who holds none.
pub(super) fn needed(slot: &SlotArgs, invocation: &Invocation) -> Result<Held> {
    if let Some(held) = find(slot, invocation)? {
        return Ok(held.trusted()?);
    }
    Err(match slot.slot {
        Some(slot) => is_held_by_none(slot).into(),
        None => none(&slot.of, &worktree_of(&there(&slot.of, invocation)?.here)?),
    })
}

/// [`needed`], with its lease renewed.
pub(super) fn renewed(slot: &SlotArgs, policy: &LockPolicy<'_>, invocation: &Invocation) -> Result<Held> {
    let held = needed(slot, invocation)?;
    let worktree = held.worktree().to_owned();
    Ok(held.renew(policy)?.ok_or_else(|| holds_none(&worktree))?)
}

/// The run as if it were in the worktree whose slot is meant. It may be gone.
///
/// # Errors
/// [`Fault`](crate::fault::Fault) when a path is named that is no directory's.
pub(super) fn there(of: &HolderArgs, invocation: &Invocation) -> Result<Invocation> {
    let Some(path) = &of.holder else { return Ok(invocation.clone()) };
    let here = absolute(path, invocation)?;
    if path.as_str().is_empty() || exists(&here).unwrap_or(true) {
        worktree_named(path, &invocation.here)?;
    }
    Ok(Invocation { here, ..invocation.clone() })
}

/// That the worktree whose slot is meant holds none: it is not there, or it needs to claim one.
pub(super) fn none(of: &HolderArgs, worktree: &Utf8Path) -> Error {
    match &of.holder {
        Some(path) if !exists(worktree).unwrap_or(true) => {
            Fault::usage(format!("`{path}`, from --for, does not exist, and no claim has it")).into()
        }
        Some(_) | None => holds_none(worktree).into(),
    }
}
