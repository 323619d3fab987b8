//! What a transaction writes into the journal, and what the journal tells.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;

use super::stored::{Stored, read};
use super::transaction::{Ledger, Snapshot};
use crate::history::{Change, Ended, Event, History, Recorded, Replaces, What, between};
use crate::host::clock::now;
use crate::host::identity::author;
use crate::host::lock::LockPolicy;
use crate::host::root::{RegistryText, Root};
use crate::registry::Registry;
use crate::slot::SlotId;

/// How often the journals are read again, because the registry was saved meanwhile.
const LOOKS: usize = 5;

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

impl Ledger {
    /// Puts something into the history that no registry shows. No verb fails for it.
    pub fn note(&self, seen: &Snapshot, policy: &LockPolicy<'_>, slot: SlotId, what: What) {
        let _ = self.transact(seen, policy, |transaction| {
            transaction.note(slot, what);
            Ok(())
        });
    }

    /// What happened to the pool, as far as that is recorded. Takes no lock.
    ///
    /// # Errors
    /// [`Fault`](crate::fault::Fault) when there is no pool, or its registry or journal cannot be read.
    pub fn history(&self) -> Result<History> {
        let Self::File { root } = self;
        let root = Root::open(root)?.ok_or_else(|| self.missing())?;
        let mut look = look(&root)?;
        for _ in 1..LOOKS {
            if look.is_of_one_moment {
                break;
            }
            look = self::look(&root)?;
        }
        let registry = Some(&*look.stored.registry).filter(|_| look.is_of_one_moment);
        let recorded = Recorded { texts: &look.texts, registry, present: &look.present };
        Ok(History { not_read: look.not_read, ..recorded.history() })
    }
}

/// The journals, and the registry with them.
struct Look {
    texts: Vec<String>,
    not_read: Vec<String>,
    stored: Stored,
    present: Replaces,
    /// Whether nothing was saved meanwhile.
    is_of_one_moment: bool,
}

fn look(root: &Root) -> Result<Look> {
    let before = root.present();
    let stored = read(root, None)?;
    let journals = root.journals()?;
    let present = root.present();
    let is_of_one_moment = present == before;
    Ok(Look { texts: journals.texts, not_read: journals.not_read, stored, present, is_of_one_moment })
}
