//! The work on one slot: its action, and what stays and why.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::action::{Action, FileChange};
use super::blocked::Blocked;
use super::options::Flag;
use crate::file::RelPath;

/// The work on one slot.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SlotPlan {
    /// What `apply` does.
    pub action: Option<Action>,
    /// What it leaves as it is, and why.
    pub blocked: Vec<Blocked>,
}

impl SlotPlan {
    /// The files whose text changes, or would if a flag allowed it.
    pub fn changed_files(&self) -> BTreeSet<&RelPath> {
        let updated = match &self.action {
            Some(Action::Update { fields: _, files }) => files
                .iter()
                .filter(|(_, change)| matches!(change, FileChange::Replace | FileChange::Overwrite))
                .map(|(path, _)| path)
                .collect(),
            Some(Action::Create(_) | Action::Adopt | Action::Restore(_) | Action::Remove { .. }) | None => {
                Vec::new()
            }
        };
        updated.into_iter().chain(self.blocked.iter().filter_map(Blocked::changed_file)).collect()
    }

    /// The flags that would allow every blocked difference of the slot; `None` if no flags allow them all.
    pub fn flags(&self) -> Option<BTreeSet<Flag>> {
        let flags: Vec<_> = self.blocked.iter().map(Blocked::flags).collect::<Option<_>>()?;
        let mut flags: BTreeSet<Flag> = flags.into_iter().flatten().collect();
        if flags.contains(&Flag::Overwrite) {
            flags.remove(&Flag::Update);
        }
        Some(flags)
    }
}
