//! Stopping the stack of a slot and removing it. Its claim stays, and so do its volumes if they are not
//! meant, too.

use anyhow::{Context as _, Result};

use super::admission::admit::note_end;
use super::remove::{Extent, Removed, StackOn, remove};
use super::turn::take_turn;
use super::up::last_start;
use crate::claims::held::Held;
use crate::host::lock::LockPolicy;

/// Removes the containers and networks of a slot's stack, and its volumes if `volumes` says so.
///
/// # Errors
/// As [`remove`]; also when another process has the stack.
pub fn down(held: Held, volumes: bool, policy: &LockPolicy<'_>) -> Result<Removed> {
    let turn = take_turn(held, policy.patience, policy)?;
    let held = &turn.held;
    note_end(held)?;
    last_start::forget(&held.dir()).context("could not note that the stack is removed")?;
    let (project, whose) = (held.project(), held.whose(policy)?);
    let on = StackOn { engine: held.engine(), project: &project, slot: held.slot, whose };
    remove(&on, Extent { images: false, volumes })
}
