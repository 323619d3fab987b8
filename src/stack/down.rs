//! Stopping the stack of a slot and removing it. Its claim stays, and so do its volumes if they are not
//! meant, too.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};

use super::admission::admit::note_end;
use super::peak;
use super::remove::{Extent, Removed, remove};
use super::turn::take_last_turn;
use super::up::last_start;
use crate::claims::held::Held;
use crate::history::What;
use crate::host::lock::LockPolicy;
use crate::thing::Kind;

/// Removes the containers and networks of a slot's stack, and its volumes if `volumes` says so.
///
/// # Errors
/// As [`remove`]; also when another process has the stack.
pub fn down(held: Held, volumes: bool, policy: &LockPolicy<'_>) -> Result<Removed> {
    let turn = take_last_turn(held, policy)?;
    let held = &turn.held;
    note_end(held)?;
    last_start::forget(&held.dir()).context("could not note that the stack is removed")?;
    let ledger = held.pool().ledger();
    let removed = remove(&held.stack_on(), Extent { images: false, volumes }, &BTreeSet::new(), |before| {
        peak::note(&ledger, held.seen(), held.slot, before.peak, policy);
        Ok(())
    })?;
    if !removed.gone.is_empty() {
        let with_data = removed.gone.iter().any(|gone| gone.kind == Kind::Volume);
        ledger.record(held.seen(), &policy.in_passing(), held.slot, What::Stopped { with_data });
    }
    Ok(removed)
}
