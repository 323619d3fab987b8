//! The plan as a value: its slots, and the questions that others ask of it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::action::{Action, FileChange};
use super::blocked::Blocked;
use super::options::Flag;
use crate::file::RelPath;
use crate::observe::ImportState;
use crate::slot::SlotId;

/// The work on a pool, slot by slot in numeric order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The state of an old tool's registry, if it needs attention. A pending one is taken over.
    pub import: Option<ImportState>,
    /// Every slot that the spec or the registry names and the options select. One that is right has an empty
    /// plan.
    pub slots: BTreeMap<SlotId, SlotPlan>,
    /// The slots whose action only completes an earlier apply. That was approved then.
    pub begun: BTreeSet<SlotId>,
}

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

impl Plan {
    /// The actions, in slot order.
    pub fn actions(&self) -> impl Iterator<Item = (SlotId, &Action)> {
        self.slots.iter().filter_map(|(&slot, plan)| Some((slot, plan.action.as_ref()?)))
    }

    /// Whether an action changes or removes something that exists. Docker is asked first then.
    pub fn changes_what_is_there(&self) -> bool {
        self.actions().any(|(_, action)| action.changes_what_is_there())
    }

    /// Whether such an action does more than complete what was approved before.
    pub fn needs_approval(&self) -> bool {
        self.actions().any(|(slot, action)| action.changes_what_is_there() && !self.begun.contains(&slot))
    }

    /// Whether there is anything to do.
    pub fn has_work(&self) -> bool {
        self.takes_over() || self.actions().next().is_some()
    }

    /// Whether the plan takes over an old tool's registry.
    pub fn takes_over(&self) -> bool {
        matches!(self.import, Some(ImportState::Pending { .. }))
    }

    /// Whether a difference stays.
    pub fn is_blocked(&self) -> bool {
        self.slots.values().any(|slot| !slot.blocked.is_empty())
    }

    /// Whether the pool is as the spec says: nothing to do, nothing blocked.
    pub fn is_empty(&self) -> bool {
        !self.has_work() && !self.is_blocked()
    }

    /// Whether this plan does only what `shown` announced, and leaves out only what is done by now.
    pub fn is_within(&self, shown: &Self) -> bool {
        (shown.takes_over() || !self.takes_over())
            && self.slots.iter().all(|(slot, now)| {
                let shown = shown.slots.get(slot);
                let action = shown.and_then(|shown| shown.action.as_ref());
                let announced = |blocked| shown.is_some_and(|shown| shown.blocked.contains(blocked));
                match &now.action {
                    Some(now) => action == Some(now),
                    None => action.is_none() || now.blocked.iter().all(announced),
                }
            })
    }
}
