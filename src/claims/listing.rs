//! The slots of a pool, each with the state of its holder. Starts no process.

use camino::Utf8Path;

use super::standing::{Standing, standing};
use super::whereabouts::whereabouts;
use crate::host;
use crate::ledger::Snapshot;
use crate::registry::Entry;
use crate::slot::SlotId;
use crate::time::Time;

/// A registered slot, and the state of its holder.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed {
    /// The slot.
    pub slot: SlotId,
    /// Its entry in the registry, with the present path of its directory.
    pub entry: Entry,
    /// How its claim stands, if it is claimed.
    pub standing: Option<Standing>,
    /// The branch that its holder has checked out, if it has one.
    pub branch: Option<String>,
}

impl Listed {
    /// The slot's directory.
    pub fn dir(&self) -> &Utf8Path {
        Utf8Path::new(&self.entry.provisioned.infrastructure_path)
    }

    /// Examines the holder of a slot in a root. The root may have moved since the entry was written.
    pub fn of(slot: SlotId, mut entry: Entry, root: &Utf8Path, now: Time) -> Self {
        entry.provisioned.infrastructure_path = root.join(slot.directory()).into_string();
        let claim = entry.claim.as_ref();
        let standing = claim.map(|claim| standing(claim, now, whereabouts(claim)));
        let holder = claim.and_then(|claim| claim.claimed_by.directory());
        let branch = holder.filter(|holder| host::fs::is_directory(holder)).and_then(host::git::branch_of);
        Self { slot, entry, standing, branch }
    }
}

/// The slots of a pool as it was at one moment.
pub fn list(snapshot: &Snapshot, now: Time) -> Vec<Listed> {
    let root = snapshot.root.path();
    let slots = snapshot.registry.slots.iter();
    slots.map(|(slot, entry)| Listed::of(*slot, Entry::clone(entry), root, now)).collect()
}
