//! The slots of a pool, each with the state of its holder. Starts no process.

use std::sync::Arc;

use camino::Utf8Path;

use super::standing::{Standing, standing};
use super::whereabouts::whereabouts;
use crate::host;
use crate::host::git;
use crate::host::side_by_side::on_all_cores;
use crate::ledger::Snapshot;
use crate::names::{USED_FILE, USES_FILE};
use crate::registry::{Claim, Entry};
use crate::slot::SlotId;
use crate::time::Time;

/// A registered slot, and the state of its holder.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed {
    /// The slot.
    pub slot: SlotId,
    /// Its entry in the registry, with the present path of its directory.
    pub entry: Arc<Entry>,
    /// How its claim stands, if it is claimed.
    pub standing: Option<Standing>,
    /// The branch that its holder has checked out, if it has one.
    pub branch: Option<String>,
    /// When a verb last used its stack, if that was started since it is claimed.
    pub last_used: Option<Time>,
}

impl Listed {
    /// The slot's directory.
    pub fn dir(&self) -> &Utf8Path {
        Utf8Path::new(&self.entry.provisioned.infrastructure_path)
    }

    /// Examines the holder of a slot in a root. The root may have moved since the entry was written.
    pub fn of(slot: SlotId, mut entry: Arc<Entry>, root: &Utf8Path, now: Time) -> Self {
        let dir = root.join(slot.directory());
        if entry.provisioned.infrastructure_path != dir.as_str() {
            Arc::make_mut(&mut entry).provisioned.infrastructure_path = dir.into_string();
        }
        let claim = entry.claim.as_ref();
        let standing = claim.map(|claim| standing(claim, now, whereabouts(claim)));
        let is_there = !matches!(standing, Some(Standing::Missing | Standing::Orphaned));
        let branch = claim.filter(|_| is_there).and_then(branch_of);
        let last_used = (entry.claim.is_some() && entry.started.is_some())
            .then(|| last_used(Utf8Path::new(&entry.provisioned.infrastructure_path)))
            .flatten();
        Self { slot, entry, standing, branch, last_used }
    }
}

/// The branch that the holder of a claim has checked out.
fn branch_of(claim: &Claim) -> Option<String> {
    let holder = claim.claimed_by.directory()?;
    let linked = claim.claimed_gitdir.as_deref().map(Utf8Path::new);
    linked.and_then(|git_dir| git::branch_of_linked(holder, git_dir)).or_else(|| git::branch_of(holder))
}

/// When a verb last used the stack of a slot with this directory. A start is noted in a file of its own.
pub fn last_used(dir: &Utf8Path) -> Option<Time> {
    let files = [USED_FILE, USES_FILE].into_iter();
    files.filter_map(|file| host::fs::modified(&dir.join(file)).ok().flatten()).max()
}

/// The slots of a pool as it was at one moment, judged by its own clock.
pub fn list(snapshot: &Snapshot) -> Vec<Listed> {
    let (root, now) = (snapshot.root.path(), snapshot.now());
    let slots: Vec<_> = snapshot.registry.slots.iter().collect();
    on_all_cores(&slots, |(slot, entry)| Listed::of(**slot, Arc::clone(entry), root, now))
}
