//! The pool that `slots.toml` and its templates describe.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use camino::Utf8PathBuf;

use super::outline::{FileOutline, Outline, SlotOutline};
use crate::digest::Digest;
use crate::file::{FileMode, RelPath};
use crate::identifier::{HostName, PortName};
use crate::names;
use crate::port::{HostPort, Port, PortFormula, Protocol};
use crate::registry::{AppliedFrom, Provisioned};
use crate::server::ServerUrl;
use crate::slot::{Profile, SlotId};

/// A pool as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    /// Its name.
    pub name: String,
    /// Its directory, absolute.
    pub root: Utf8PathBuf,
    /// Where its registry is, if not in its directory.
    pub registry: Option<ServerUrl>,
    /// The directory of the spec. `None` for the embedded one.
    pub project: Option<Utf8PathBuf>,
    /// What the registry will say that it was applied from.
    pub applied_from: AppliedFrom,
    /// An old tool's registry, absolute. It is taken over if the pool has no registry yet.
    pub import: Option<Utf8PathBuf>,
    /// The formulas of the ports, in the order of the spec.
    pub formulas: Vec<(PortName, PortFormula)>,
    /// Its slots on this host.
    pub slots: BTreeMap<SlotId, Slot>,
    /// The slots that other hosts have for themselves.
    pub elsewhere: BTreeMap<HostName, BTreeSet<SlotId>>,
    /// The files that a claim adds to a slot.
    pub on_claim: BTreeSet<RelPath>,
    /// What is said of each variable that is left out of its env files, because no slot may set it.
    pub left_out: Vec<String>,
    /// The values of its sensitive variables.
    pub secrets: BTreeSet<String>,
}

/// A slot as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// Its identity.
    pub id: SlotId,
    /// Its size class.
    pub profile: Rc<Profile>,
    /// Its ports, in the order of the spec. The first is the primary port.
    pub ports: Vec<(PortName, Port)>,
    /// Those of its ports that are UDP.
    pub udp: BTreeSet<PortName>,
    /// Its directory, absolute.
    pub dir: Utf8PathBuf,
    /// Its files.
    pub files: BTreeMap<RelPath, File>,
}

/// A file as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its text. Slots with equal files share it.
    pub text: Rc<str>,
    /// The hash of the text.
    pub digest: Digest,
    /// Its permissions.
    pub mode: FileMode,
    /// The text that plans may show: `(sensitive)` stands for the values of sensitive variables. `None` if
    /// the text depends on no such variable.
    pub masked: Option<Rc<str>>,
}

impl Pool {
    /// The pool without the texts of its files.
    pub fn outline(&self) -> Outline {
        let Self {
            name,
            root,
            registry,
            applied_from: _,
            project: _,
            import: _,
            formulas: _,
            slots,
            elsewhere,
            on_claim,
            left_out: _,
            secrets: _,
        } = self;
        let slots = slots.iter().map(|(id, slot)| (*id, slot.outline())).collect();
        let (name, root, registry) = (name.clone(), root.clone(), registry.clone());
        Outline { name, root, registry, slots, elsewhere: elsewhere.clone(), on_claim: on_claim.clone() }
    }

    /// The name of a slot's Compose project.
    pub fn project(&self, slot: SlotId) -> String {
        names::project(&self.name, slot)
    }
}

impl Slot {
    fn outline(&self) -> SlotOutline {
        let Self { id: _, profile, ports, udp, dir: _, files } = self;
        let outline = |file: &File| FileOutline { sha256: file.digest, mode: file.mode };
        SlotOutline {
            profile: profile.name.clone(),
            workers: profile.workers.clone(),
            ports: ports.clone(),
            udp: udp.clone(),
            files: files.iter().map(|(path, file)| (path.clone(), outline(file))).collect(),
        }
    }

    /// Its ports, with their protocols.
    pub fn host_ports(&self) -> impl Iterator<Item = (&PortName, HostPort)> {
        self.ports.iter().map(|(name, port)| {
            let protocol = Protocol::udp_if(self.udp.contains(name));
            (name, HostPort { port: *port, protocol })
        })
    }

    /// The registry's record of the slot after `apply`.
    pub fn provisioned(&self) -> Provisioned {
        let Self { id: _, profile, ports, udp, dir, files } = self;
        Provisioned {
            infrastructure_path: dir.to_string(),
            profile: profile.name.clone(),
            workers: profile.workers.clone(),
            ports: ports.iter().cloned().collect(),
            udp: udp.clone(),
            files: files.iter().map(|(path, file)| (path.clone(), file.digest)).collect(),
        }
    }
}
