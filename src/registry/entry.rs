//! The content of the registry: slots, what `apply` wrote and announced for each, and each slot's claim.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use camino::Utf8Path;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use super::applied_from::AppliedFrom;
use super::claim::Claim;
use super::id::RegistryId;
use super::stack::{Left, MOST_FAILURES, Remains, Started};
use crate::digest::Digest;
use crate::fault::Fault;
use crate::file::RelPath;
use crate::identifier::{PortName, ProfileName};
use crate::json::{Corrupt, corrupt, required};
use crate::memory::Memory;
use crate::port::{HostPort, Port, Protocol};
use crate::slot::{SlotId, Workers};

/// What kinfra owns.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Registry {
    /// Its id. `None` before the first save, and if an older kinfra saved it last.
    pub id: Option<RegistryId>,
    /// The pool that it is of. `None` before the first save, and if an older kinfra saved it last.
    pub applied_from: Option<AppliedFrom>,
    /// Its slots. A copy of a registry shares them until one of the two changes one.
    pub slots: BTreeMap<SlotId, Arc<Entry>>,
    /// The old tool's registry that it began with, if it did.
    pub imported_from: Option<ImportedFrom>,
    /// Foreign keys at the top level.
    pub unknown: Map<String, Value>,
}

impl Registry {
    /// Refuses a port that two slots hold.
    pub(super) fn check_ports(&self) -> Result<(), Corrupt> {
        let each = self.slots.values().flat_map(|entry| entry.provisioned.ports.values());
        let mut held: Vec<Port> = each.copied().collect();
        let all = held.len();
        held.sort_unstable();
        held.dedup();
        if held.len() == all {
            return Ok(());
        }
        // Only now are the holders of each port of interest.
        let mut holders = BTreeMap::new();
        for (id, entry) in &self.slots {
            for (name, port) in entry.provisioned.host_ports() {
                if let Some((other, other_name)) = holders.insert(port, (*id, name)) {
                    let reason = format!("{port} is also `{other_name}` of slot {other}");
                    return Err(corrupt(format!("slots.{id}.ports.{name}"), reason));
                }
            }
        }
        Ok(())
    }

    /// The entry of a slot, to be changed.
    pub fn slot_mut(&mut self, slot: SlotId) -> Option<&mut Entry> {
        self.slots.get_mut(&slot).map(Arc::make_mut)
    }

    /// Refuses a pool that is another than the one which the root was applied as. A registry without slots is
    /// free for any.
    ///
    /// # Errors
    /// [`Fault`] names both, and how to take the pool over.
    pub fn check_pool(&self, wanted: &AppliedFrom, root: &Utf8Path) -> Result<(), Fault> {
        match &self.applied_from {
            Some(was) if !self.slots.is_empty() => was.check_pool(wanted, root),
            Some(_) | None => Ok(()),
        }
    }
}

/// An old tool's registry that was taken over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ImportedFrom {
    /// Its path.
    pub path: String,
    /// The hash of its bytes at that time.
    pub sha256: Digest,
    /// Keys of others.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

impl ImportedFrom {
    /// Reads it.
    ///
    /// # Errors
    /// The first difference from what kinfra writes.
    pub(super) fn take(mut object: Map<String, Value>) -> Result<Self, Corrupt> {
        let path = required(&mut object, "imported_from", "path")?;
        let sha256 = required(&mut object, "imported_from", "sha256")?;
        Ok(Self { path, sha256, unknown: object })
    }
}

/// A slot that kinfra owns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What `apply` wrote, from the spec.
    pub provisioned: Provisioned,
    /// The change that an `apply` announced and has not completed. Each file is as in `provisioned` or as
    /// here.
    pub pending: Option<Pending>,
    /// The claim of the slot's holder.
    pub claim: Option<Claim>,
    /// The state of its stack.
    pub status: Status,
    /// The last start of its stack.
    pub started: Option<Started>,
    /// The most memory that the containers of its stack used in a run, if that is known.
    pub peak_memory: Option<Memory>,
    /// Keys of others.
    pub unknown: Map<String, Value>,
}

/// Whether a slot can be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition<'a> {
    /// A worktree holds it.
    Held,
    /// It is free, and nothing was started in it since it was last clean.
    Clean,
    /// It is free, and has nothing but the volumes of the worktree that held it last.
    KeepsData(&'a Left),
    /// It is free, and there may be anything of an earlier holder in it. An older kinfra or another program
    /// did not note whose.
    Dirty(Option<&'a Left>),
    /// It is free, and cleaning it failed too often.
    Quarantined(&'a Left),
}

/// The state of a slot's stack, under the old tool's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// kinfra started nothing in it.
    Stopped,
    /// A state that another program wrote.
    Noted(String),
}

impl Status {
    const STOPPED: &str = "stopped";
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stopped => Self::STOPPED,
            Self::Noted(word) => word,
        })
    }
}

impl Serialize for Status {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Status {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = String::deserialize(deserializer)?;
        Ok(if word == Self::STOPPED { Self::Stopped } else { Self::Noted(word) })
    }
}

/// The part of an entry that follows from the spec. Only `apply` writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provisioned {
    /// The slot's directory, for other programs. kinfra recomputes it.
    pub infrastructure_path: String,
    /// The slot's size class.
    pub profile: ProfileName,
    /// The workers that the slot runs.
    pub workers: Workers,
    /// The ports that the slot holds.
    pub ports: BTreeMap<PortName, Port>,
    /// Those of its ports that are UDP.
    pub udp: BTreeSet<PortName>,
    /// The hash of each file as last written. Empty if the entry is an old tool's, because then nothing is
    /// known.
    pub files: BTreeMap<RelPath, Digest>,
}

impl Provisioned {
    /// The ports that the slot holds, with their protocols.
    pub fn host_ports(&self) -> impl Iterator<Item = (&PortName, HostPort)> {
        self.ports.iter().map(|(name, port)| {
            let protocol = Protocol::udp_if(self.udp.contains(name));
            (name, HostPort { port: *port, protocol })
        })
    }
}

/// A change of existing files, announced before the first of them is touched. The next run completes a run
/// that was cut short, and the written files do not look edited by hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pending {
    /// The files become these.
    Files(BTreeMap<RelPath, Digest>),
    /// The slot goes.
    Remove,
    /// They become what another user of the host applied in a root of theirs.
    Elsewhere,
}

impl Pending {
    /// The hash that a file will have.
    pub fn file(&self, path: &RelPath) -> Option<Digest> {
        match self {
            Self::Files(files) => files.get(path).copied(),
            Self::Remove | Self::Elsewhere => None,
        }
    }
}

impl Entry {
    /// The entry of a slot that was just provisioned.
    pub fn new(provisioned: Provisioned) -> Self {
        Self {
            provisioned,
            pending: None,
            claim: None,
            status: Status::Stopped,
            started: None,
            peak_memory: None,
            unknown: Map::new(),
        }
    }

    /// Every file that kinfra wrote for the slot, or announced.
    pub fn files(&self) -> impl Iterator<Item = &RelPath> {
        let pending = match &self.pending {
            Some(Pending::Files(files)) => Some(files),
            Some(Pending::Remove | Pending::Elsewhere) | None => None,
        };
        self.provisioned.files.keys().chain(pending.into_iter().flat_map(BTreeMap::keys))
    }

    /// Whether the slot can be given.
    pub fn condition(&self) -> Condition<'_> {
        let left = self.started.as_ref().map(|started| started.left.as_ref());
        match (&self.claim, left) {
            (Some(_), _) => Condition::Held,
            (None, None) => Condition::Clean,
            (None, Some(Some(left))) if left.failures >= MOST_FAILURES => Condition::Quarantined(left),
            (None, Some(Some(left))) if left.remains == Remains::Data => Condition::KeepsData(left),
            (None, Some(left)) => Condition::Dirty(left),
        }
    }
}
