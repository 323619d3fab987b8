//! What an apply did, failed to do, and did not come to.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Error, Result, anyhow};
use camino::Utf8PathBuf;

use crate::fault::Exit;
use crate::plan::{Action, Kind, Plan};
use crate::slot::SlotId;

/// What an apply did with each action of its plan.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The actions that were done, by slot.
    pub done: BTreeMap<SlotId, Action>,
    /// The slots whose action failed. The others went on.
    pub failed: BTreeMap<SlotId, Error>,
    /// The slots that an interrupt came before.
    pub left_out: BTreeSet<SlotId>,
    /// The copies of overwritten files.
    pub backups: Vec<Utf8PathBuf>,
    /// The error that kept everything from being committed.
    pub error: Option<Error>,
}

impl Outcome {
    /// An apply that stopped before its first action.
    pub fn stopped(error: Error) -> Self {
        Self { error: Some(error), ..Self::default() }
    }

    /// Whether all was done that was to be done.
    pub fn is_whole(&self) -> bool {
        self.error.is_none() && self.failed.is_empty() && self.left_out.is_empty()
    }

    /// How many actions of a kind were done.
    pub fn count(&self, kind: Kind) -> usize {
        self.done.values().filter(|action| action.kind() == kind).count()
    }

    /// The slots that were removed except for files that kinfra did not write. They stay registered.
    pub fn kept(&self) -> impl Iterator<Item = (SlotId, &[String])> {
        self.done.iter().filter_map(|(slot, action)| match action {
            Action::Remove { files: _, stays } if !stays.is_empty() => Some((*slot, stays.as_slice())),
            Action::Remove { .. }
            | Action::Create(_)
            | Action::Adopt
            | Action::Restore(_)
            | Action::Update { .. } => None,
        })
    }

    /// How a run with this outcome ends.
    ///
    /// # Errors
    /// The error that kept everything from being committed.
    pub fn into_exit(self) -> Result<Exit> {
        let Self { done: _, failed, left_out, backups: _, error } = self;
        match error {
            Some(error) => Err(error),
            None if !failed.is_empty() => Ok(Exit::Failed),
            None if !left_out.is_empty() => Ok(Exit::Interrupted),
            None => Ok(Exit::Done),
        }
    }

    /// Records that nothing was committed.
    pub(super) fn fail(&mut self, plan: &Plan, error: Error) {
        self.done.clear();
        for (slot, _) in plan.actions().filter(|(slot, _)| !self.left_out.contains(slot)) {
            let not_committed = || anyhow!("not committed: the next apply completes it");
            self.failed.entry(slot).or_insert_with(not_committed);
        }
        self.error = Some(error);
    }

    /// Records one pass over a slot: `Ok(false)` if an interrupt came before it.
    pub(super) fn note(&mut self, slot: SlotId, action: &Action, done: Result<bool>) {
        match done {
            Ok(true) => drop(self.done.insert(slot, action.clone())),
            Ok(false) => drop(self.left_out.insert(slot)),
            Err(error) => drop(self.failed.insert(slot, error)),
        }
    }
}
