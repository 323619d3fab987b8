//! The stacks that a start is proven against: those that slots of this user's pools were last started with.

use anyhow::Result;
use camino::{Utf8Path, Utf8PathBuf};

use super::uses::Uses;
use crate::compose::model::Model;
use crate::host::invocation::Invocation;
use crate::host::root::Root;
use crate::host::side_by_side::side_by_side;
use crate::ledger::SharedUses;
use crate::proof::isolation::{Conflict, Owner, Stack, prove};
use crate::slot::SlotId;
use crate::stack::compose_files::place::Place;
use crate::which::repository::entries;
use crate::which::spec_file::Declared;

/// A stack that was started.
#[derive(Debug)]
pub struct StartedStack {
    /// Whose it is.
    pub owner: Owner,
    /// The name of its Compose project.
    pub project: String,
    /// Whether `down` was asked for since.
    pub has_ended: bool,
    /// The worktree that it ran from.
    pub worktree: Utf8PathBuf,
    /// What its files came to.
    pub model: Model,
}

impl Place<'_> {
    /// The stacks of every other slot of this pool, and of every other pool of this user; and the roots of
    /// pools that did not answer. `shared` is what users of the host have noted on a server.
    ///
    /// # Errors
    /// [`Fault`](crate::fault::Fault) when it cannot be read what one of them was started with.
    pub fn started_stacks(
        &self,
        shared: Option<SharedUses>,
        invocation: &Invocation,
    ) -> Result<(Vec<StartedStack>, Vec<Utf8PathBuf>)> {
        let own = self.held.pool().root.as_path();
        let here = match shared {
            None => slots(own)?,
            Some(uses) => {
                let read = uses.into_iter().map(|(slot, text)| Ok((slot, Uses::of_slot(slot, &text)?)));
                read.collect::<Result<_>>()?
            }
        };
        let here = here.into_iter().filter(|(slot, _)| *slot != self.held.slot);
        let mut started: Vec<StartedStack> =
            here.map(|(slot, uses)| stack(Owner::Slot(slot), uses)).collect();
        let others = entries(invocation).into_iter().filter(|entry| entry.root() != own).collect();
        let mut silent = Vec::new();
        for (entry, seen) in side_by_side(others, |entry| slots(entry.root())) {
            let Some(slots) = seen else {
                silent.push(entry.root().to_owned());
                continue;
            };
            let owner = |slot| Owner::Other { pool: entry.pool.clone(), slot: Some(slot) };
            started.extend(slots?.into_iter().map(|(slot, uses)| stack(owner(slot), uses)));
        }
        Ok((started, silent))
    }
}

/// What the stacks of a pool share as they were last started. `None` for a pool whose slots do not run their
/// worktree's own files.
///
/// # Errors
/// As [`Place::started_stacks`].
pub fn last_look(declared: &Declared, root: &Utf8Path) -> Result<Option<LastLook>> {
    let Some(compose) = &declared.spec.compose else { return Ok(None) };
    let started = slots(root)?.into_iter().map(|(slot, uses)| stack(Owner::Slot(slot), uses));
    let started: Vec<StartedStack> = started.filter(|stack| !stack.has_ended).collect();
    let stacks: Vec<Stack<'_>> = started
        .iter()
        .map(|StartedStack { owner, worktree, model, .. }| Stack { owner: owner.clone(), model, worktree })
        .collect();
    let conflicts = prove(&stacks, &compose.shared).conflicts;
    Ok(Some(LastLook { started: stacks.len(), conflicts }))
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
    let Uses { project, has_ended, worktree, model, .. } = uses;
    StartedStack { owner, project, has_ended, worktree, model }
}

/// What the slots in a root were last started with, in their order.
fn slots(root: &Utf8Path) -> Result<Vec<(SlotId, Uses)>> {
    let mut slots = Root::open(root)?.map_or_else(|| Ok(Vec::new()), |root| root.slots())?;
    slots.sort();
    let read = slots.into_iter().map(|slot| Ok((slot, Uses::read(&root.join(slot.directory()))?)));
    let read = read.filter_map(|read: Result<_>| match read {
        Ok((_, None)) => None,
        Ok((slot, Some(uses))) => Some(Ok((slot, uses))),
        Err(error) => Some(Err(error)),
    });
    read.collect()
}
