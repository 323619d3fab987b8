//! What the journals of a pool tell, and what they cannot tell.

use std::collections::{BTreeMap, BTreeSet};

use super::change::{Change, Replaces};
use super::event::{Event, Party, What};
use crate::registry::{Claim, ClaimId, Registry};
use crate::slot::SlotId;

#[cfg(test)]
#[path = "recorded_tests.rs"]
mod tests;

/// What the journals tell, the oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct History {
    /// The changes.
    pub changes: Vec<Change>,
    /// How many events before these are left out, where kinfra chose how many are shown.
    pub earlier: usize,
    /// The lines that kinfra did not write, or not whole.
    pub unreadable: usize,
    /// The slots of whose claims something is missing: an older kinfra changed them, or a line was lost.
    pub missing: BTreeSet<SlotId>,
    /// Journals that are not read, and why.
    pub not_read: Vec<String>,
}

/// The journals and the registry of one moment.
#[derive(Debug)]
pub struct Recorded<'a> {
    /// The texts of the journals, the oldest first, each without its header.
    pub texts: &'a [String],
    /// The registry; `None` where it changed while the journals were read.
    pub registry: Option<&'a Registry>,
    /// Which registry it is, if one was being saved in its place: the last line may be of that one. `None`
    /// if every line is of a save that is done.
    pub present: Option<&'a Replaces>,
}

impl Recorded<'_> {
    /// What they tell.
    pub fn history(&self) -> History {
        let mut history = History::default();
        for line in self.texts.iter().flat_map(|text| text.lines()).filter(|line| !line.is_empty()) {
            match Change::parse(line) {
                Some(change) => history.changes.push(change),
                None => history.unreadable += 1,
            }
        }
        // The registry that the last change was to replace is still there: it is being saved, or was not.
        let replaced = history.changes.last().and_then(|last| last.replaces.as_ref());
        if replaced.is_some() && replaced == self.present {
            history.changes.pop();
        }
        history.missing = missing(&history.changes, self.registry);
        history
    }
}

impl History {
    /// The changes of a slot alone.
    #[must_use]
    pub fn of_slot(self, slot: SlotId) -> Self {
        let changes = self.changes.into_iter().filter_map(|change| {
            let events: Vec<Event> =
                change.events.iter().filter(|event| event.is_about(slot)).cloned().collect();
            (!events.is_empty()).then_some(Change { events, ..change })
        });
        let missing = self.missing.into_iter().filter(|missing| *missing == slot).collect();
        Self { changes: changes.collect(), missing, ..self }
    }

    /// The last `count` events.
    #[must_use]
    pub fn last(self, count: usize) -> Self {
        let all: usize = self.changes.iter().map(|change| change.events.len()).sum();
        let mut left = count;
        let mut changes = Vec::new();
        for change in self.changes.into_iter().rev() {
            let skipped = change.events.len().saturating_sub(left);
            left = left.saturating_sub(change.events.len());
            let events: Vec<Event> = change.events.into_iter().skip(skipped).collect();
            if events.is_empty() {
                break;
            }
            changes.push(Change { events, ..change });
        }
        changes.reverse();
        Self { changes, earlier: all.saturating_sub(count), ..self }
    }
}

impl Event {
    /// Whether it is about a slot. A repair is about each.
    fn is_about(&self, slot: SlotId) -> bool {
        self.slots.contains(&slot) || matches!(self.what, What::Repaired { .. })
    }
}

/// What is known of the claim of a slot.
type Known = Option<Option<ClaimId>>;

/// The slots of whose claims the changes cannot be all: a claim begins before the one before it ended, or
/// ends that never began, or the registry has another one than the last that began.
fn missing(changes: &[Change], registry: Option<&Registry>) -> BTreeSet<SlotId> {
    let mut held: BTreeMap<SlotId, Known> = BTreeMap::new();
    let mut missing = BTreeSet::new();
    for event in changes.iter().flat_map(|change| &change.events) {
        for slot in &event.slots {
            let (expected, now) = match &event.what {
                What::Claimed { party, .. } => (None, Some(party.claim_id)),
                What::Released { party: Party { claim_id, .. }, .. } => (Some(*claim_id), None),
                What::Added | What::Removed => (None, None),
                What::Changed
                | What::TakenOver { .. }
                | What::Leased { .. }
                | What::Noted { .. }
                | What::Moved { .. }
                | What::StartBegun
                | What::Stopped { .. }
                | What::Reset { .. }
                | What::DataKept { .. }
                | What::Cleaned
                | What::NotCleaned { .. }
                | What::Repaired { .. } => continue,
            };
            if held.insert(*slot, now).is_some_and(|known| !may_be(known, expected)) {
                missing.insert(*slot);
            }
        }
        if let What::Repaired { .. } = event.what {
            held.clear();
        }
    }
    let Some(registry) = registry else { return missing };
    let has = |slot: &SlotId| -> Known {
        let claim: Option<&Claim> = registry.slots.get(slot).and_then(|entry| entry.claim.as_ref());
        claim.map(|claim| claim.claim_id)
    };
    missing.extend(held.iter().filter(|(slot, known)| !may_be(**known, has(slot))).map(|(slot, _)| *slot));
    missing
}

/// Whether two claims may be one. An old tool's claim gets its id later.
fn may_be(one: Known, other: Known) -> bool {
    match (one, other) {
        (None, None) => true,
        (Some(one), Some(other)) => one.zip(other).is_none_or(|(one, other)| one == other),
        (Some(_), None) | (None, Some(_)) => false,
    }
}
