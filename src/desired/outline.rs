//! A pool as it should be, with the hashes of its files in place of their texts. Plans show it, and saved
//! plans hold it.

use std::collections::{BTreeMap, BTreeSet};

use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::file::{FileMode, RelPath};
use crate::identifier::{HostName, PortName, ProfileName};
use crate::port::{HostPort, Port, Protocol};
use crate::server::ServerUrl;
use crate::slot::{SlotId, Workers};

/// A pool as it should be, without the texts of its files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outline {
    /// Its name.
    pub name: String,
    /// Its directory, absolute.
    pub root: Utf8PathBuf,
    /// Where its registry is, if not in its directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registry: Option<ServerUrl>,
    /// Its slots on this host.
    pub slots: BTreeMap<SlotId, SlotOutline>,
    /// The slots that other hosts have for themselves.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub elsewhere: BTreeMap<HostName, BTreeSet<SlotId>>,
    /// The files that a claim adds to a slot.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub on_claim: BTreeSet<RelPath>,
}

/// A slot as it should be, without the texts of its files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotOutline {
    /// The name of its size class.
    pub profile: ProfileName,
    /// How many workers of each kind it runs.
    pub workers: Workers,
    /// Its ports, in the order of the spec.
    pub ports: Vec<(PortName, Port)>,
    /// Those of its ports that are UDP.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub udp: BTreeSet<PortName>,
    /// Its files.
    pub files: BTreeMap<RelPath, FileOutline>,
}

/// A file as it should be, without its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileOutline {
    /// The hash of its text.
    pub sha256: Digest,
    /// Its permissions.
    pub mode: FileMode,
}

impl SlotOutline {
    /// Its ports, with their protocols.
    pub fn host_ports(&self) -> impl Iterator<Item = (&PortName, HostPort)> {
        self.ports.iter().map(|(name, port)| {
            let protocol = Protocol::udp_if(self.udp.contains(name));
            (name, HostPort { port: *port, protocol })
        })
    }
}

impl Outline {
    /// The directory of a slot, absolute.
    pub fn dir(&self, slot: SlotId) -> Utf8PathBuf {
        self.root.join(slot.directory())
    }
}
