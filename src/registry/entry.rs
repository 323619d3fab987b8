//! What the registry holds: slots, what `apply` wrote for each, what it announced, and who holds it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use super::claim::Claim;
use crate::digest::Digest;
use crate::file::RelPath;
use crate::identifier::{PortName, ProfileName};
use crate::port::{HostPort, Port, Protocol};
use crate::slot::{SlotId, Workers};

/// What kinfra owns.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Registry {
    /// Its slots.
    pub slots: BTreeMap<SlotId, Entry>,
    /// The old tool's registry that it began with, if it did.
    pub imported_from: Option<ImportedFrom>,
    /// Top-level keys of others.
    pub unknown: Map<String, Value>,
}

/// An old tool's registry that was taken over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ImportedFrom {
    /// Where it was.
    pub path: String,
    /// The hash of its bytes then.
    pub sha256: Digest,
    /// Keys of others.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

/// A slot that kinfra owns.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// What `apply` wrote, from the spec.
    pub provisioned: Provisioned,
    /// What an `apply` announced and has not completed. Its files are those of `provisioned` or these.
    pub pending: Option<Pending>,
    /// Who holds the slot.
    pub claim: Option<Claim>,
    /// The state of its stack.
    pub status: Status,
    /// Keys of others.
    pub unknown: Map<String, Value>,
}

/// The state of a slot's stack, under the old tool's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// kinfra started nothing in it.
    Stopped,
    /// What another program noted.
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
    /// The slot's directory, for others to read; kinfra recomputes it.
    pub infrastructure_path: String,
    /// The slot's size class.
    pub profile: ProfileName,
    /// The workers that the slot runs.
    pub workers: Workers,
    /// The ports that the slot holds.
    pub ports: BTreeMap<PortName, Port>,
    /// Those of its ports that are UDP.
    pub udp: BTreeSet<PortName>,
    /// The hash of each file as last written. Empty when the entry is an old tool's: then nothing is known.
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

/// A change of files that were there, announced before the first of them is touched: a run that is cut short
/// is completed by the next, and what it wrote does not look hand-edited.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pending {
    /// The files become these.
    Files(BTreeMap<RelPath, Digest>),
    /// The slot goes.
    Remove,
}

impl Pending {
    /// The hash that a file is to have.
    pub fn file(&self, path: &RelPath) -> Option<Digest> {
        match self {
            Self::Files(files) => files.get(path).copied(),
            Self::Remove => None,
        }
    }
}

impl Entry {
    /// The entry of a slot that was just provisioned.
    pub fn new(provisioned: Provisioned) -> Self {
        Self { provisioned, pending: None, claim: None, status: Status::Stopped, unknown: Map::new() }
    }

    /// Every file that kinfra wrote for the slot, or announced.
    pub fn files(&self) -> impl Iterator<Item = &RelPath> {
        let pending = match &self.pending {
            Some(Pending::Files(files)) => Some(files),
            Some(Pending::Remove) | None => None,
        };
        self.provisioned.files.keys().chain(pending.into_iter().flat_map(BTreeMap::keys))
    }
}
