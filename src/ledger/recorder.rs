//! What a transaction writes into the journal.

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

    pub(super) fn note_end(&mut self, slot: SlotId, how: Ended) {
        self.ended.insert(slot, how);
    }

    /// The line for a change of the registry. `None` if nothing happened that the history tells.
    pub(super) fn line(&self, stored: &Stored, after: &Registry) -> Option<String> {
        let events = between(&stored.registry, after, &self.ended);
        let none = || Replaces::stamp(None::<&str>);
        let replaces = stored.text.as_ref().map_or_else(none, RegistryText::replaced);
        (!events.is_empty()).then(|| line(&self.command, events, Some(replaces)))
    }

    /// The line for something that changes no registry.
    pub(super) fn line_of(&self, slot: SlotId, what: What) -> String {
        line(&self.command, vec![Event { slots: BTreeSet::from([slot]), what }], None)
    }
}

/// The line that says of a registry that it was repaired.
pub fn line_of_repair(command: &str, from_backup: bool) -> String {
    line(command, vec![Event { slots: BTreeSet::new(), what: What::Repaired { from_backup } }], None)
}

fn line(command: &str, events: Vec<Event>, replaces: Option<Replaces>) -> String {
    Change { at: now(), by: author(command), events, replaces }.line()
}
