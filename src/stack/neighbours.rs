//! The stacks that a start is proven against: those that slots of this user's pools were last started with.

use camino::{Utf8Path, Utf8PathBuf};

use super::place::Place;
use super::uses::Uses;
use crate::compose::model::Model;
use crate::host::index::Index;
use crate::host::invocation::Invocation;
use crate::host::root::Root;
use crate::proof::isolation::{Conflict, Owner, Stack, prove};
use crate::slot::SlotId;
use crate::which::index::IndexEntry;
use crate::which::spec_file::Declared;

/// A stack that was started.
#[derive(Debug)]
pub struct StartedStack {
    /// Whose it is.
    pub owner: Owner,
    /// The worktree that it ran from.
    pub worktree: Utf8PathBuf,
    /// What its files came to.
    pub model: Model,
}

impl Place<'_> {
    /// The stacks of every other slot of this pool, and of every other pool of this user. What cannot be read
    /// is left out: `doctor` tells of it.
    pub fn started_stacks(&self, invocation: &Invocation) -> Vec<StartedStack> {
        let own = self.held.pool().root.as_path();
        let here = slots(own).into_iter().filter(|(slot, _)| *slot != self.held.slot);
        let mut started: Vec<StartedStack> =
            here.map(|(slot, uses)| stack(Owner::Slot(slot), uses)).collect();
        let files = invocation.state.as_deref().and_then(|state| Index::below(state).files().ok());
        for (name, text) in files.into_iter().flatten() {
            let Some(entry) = text.ok().and_then(|text| IndexEntry::parse(&name, &text).ok()) else {
                continue;
            };
            if entry.root() != own {
                let owner = |slot| Owner::Other { pool: entry.pool.clone(), slot: Some(slot) };
                started.extend(slots(entry.root()).into_iter().map(|(slot, uses)| stack(owner(slot), uses)));
            }
        }
        started
    }
}

/// What the stacks of a pool share as they were last started. `None` for a pool whose slots do not run their
/// worktree's own files.
pub fn last_look(declared: &Declared, root: &Utf8Path) -> Option<LastLook> {
    let compose = declared.spec.compose.as_ref()?;
    let started: Vec<StartedStack> =
        slots(root).into_iter().map(|(slot, uses)| stack(Owner::Slot(slot), uses)).collect();
    let stacks: Vec<Stack<'_>> = started
        .iter()
        .map(|StartedStack { owner, worktree, model }| Stack { owner: owner.clone(), model, worktree })
        .collect();
    Some(LastLook { started: stacks.len(), conflicts: prove(&stacks, &compose.shared).conflicts })
}

/// What is known of a pool's stacks without asking Compose.
#[derive(Debug)]
pub struct LastLook {
    /// How many slots had their stack started.
    pub started: usize,
    /// What two of these stacks share.
    pub conflicts: Vec<Conflict>,
}

fn stack(owner: Owner, uses: Uses) -> StartedStack {
    StartedStack { owner, worktree: uses.worktree, model: uses.model }
}

/// What the slots in a root were last started with.
fn slots(root: &Utf8Path) -> Vec<(SlotId, Uses)> {
    let slots = Root::open(root).ok().flatten().and_then(|root| root.slots().ok()).unwrap_or_default();
    let mut slots: Vec<(SlotId, Uses)> = slots
        .into_iter()
        .filter_map(|slot| Some((slot, Uses::read(&root.join(slot.directory()))?)))
        .collect();
    slots.sort_by_key(|(slot, _)| *slot);
    slots
}
