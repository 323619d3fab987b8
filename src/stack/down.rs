//! Stopping the stack of a slot and removing it. Its claim stays, and so do its volumes if they are not
//! meant, too.

use anyhow::{Context as _, Result};

use super::admit::note_end;
use super::last_start;
use super::remove::{Extent, Removed, remove};
use super::turn::take_turn;
use crate::claims::held::Held;
use crate::host::lock::LockPolicy;
use crate::host::remains::StackOn;
use crate::names::project;

/// Removes the containers and networks of a slot's stack, and its volumes if `volumes` says so.
///
/// # Errors
/// As [`remove`]; also when another process has the stack.
pub fn down(held: Held, volumes: bool, policy: &LockPolicy<'_>) -> Result<Removed> {
    let turn = take_turn(held, policy.patience, policy)?;
    let held = &turn.held;
    note_end(held)?;
    last_start::forget(&held.dir()).context("could not note that the stack is removed")?;
    let registry = held.pool().ledger().id(held.seen(), policy)?;
    let (name, id) = (project_of(held), registry.to_string());
    let on = StackOn { engine: held.engine(), project: &name, registry: &id, slot: held.slot };
    remove(&on, held.entry.started.as_ref(), registry, Extent { images: false, volumes })
}

/// The name of a slot's Compose project: as it was started, or as it would be.
pub(super) fn project_of(held: &Held) -> String {
    let started = held.entry.started.as_ref().map(|started| started.project.clone());
    started.unwrap_or_else(|| project(&held.pool().name, held.slot))
}
