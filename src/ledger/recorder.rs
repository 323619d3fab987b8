//! What a transaction writes into the history.

use std::collections::{BTreeMap, BTreeSet};

use super::stored::Stored;
use crate::history::{Change, Ended, Event, Replaces, What, between};
use crate::host::clock::now;
use crate::host::identity::author;
use crate::host::root::RegistryText;
use crate::registry::Registry;
use crate::slot::SlotId;

/// What makes a transaction's lines in the journal.
#[derive(Debug)]
pub(super) struct Recorder {
    /// The verb.
    command: String,
    /// How claims end.
    ended: BTreeMap<SlotId, Ended>,
}

impl Recorder {
    pub(super) fn of(command: &str) -> Self {
        Self { command: command.to_owned(), ended: BTreeMap::new() }
    }

    pub(super) fn say_how_ended(&mut self, slot: SlotId, how: Ended) {
        self.ended.insert(slot, how);
    }

    /// What the history says of a change of the registry. `None` if nothing happened that the history tells.
    pub(super) fn change(&self, stored: &Stored, after: &Registry) -> Option<Change> {
        let events = between(&stored.registry, after, &self.ended);
        if events.is_empty() {
            return None;
        }
        // A server has a change and its history in one transaction: none is cut short.
        let is_in_file = stored.loaded.is_none();
        let replaced = || stored.text.as_ref().map_or_else(|| Replaces::text(None), RegistryText::replaced);
        Some(change(&self.command, events, is_in_file.then(replaced)))
    }

    /// What the journal says of something that changes no registry.
    pub(super) fn change_of(&self, slot: SlotId, what: What) -> Change {
        change(&self.command, vec![Event { slots: BTreeSet::from([slot]), what }], None)
    }
}

/// What the journal says of a repair.
pub fn change_of_repair(command: &str, from_backup: bool) -> Change {
    change(command, vec![Event { slots: BTreeSet::new(), what: What::Repaired { from_backup } }], None)
}

fn change(command: &str, events: Vec<Event>, replaces: Option<Replaces>) -> Change {
    Change { at: now(), by: author(command), events, replaces }
}
