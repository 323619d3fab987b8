//! What stacks use of the machine itself: worth knowing, and no reason to stop.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use camino::{Utf8Path, Utf8PathBuf};

use super::bind::{binds, is_of_the_system, is_socket};
use super::names::is_on_host_network;
use super::stack::{Owner, Stack};
use crate::compose::model::{Model, Service};
use crate::file::normal;
use crate::shown::printable;

/// Something of the machine itself that a stack uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Whose stack it is.
    pub owner: Owner,
    /// The services that use it, in order.
    pub services: Vec<String>,
    /// What they use.
    pub noted: Noted,
}

/// What can be used of the machine itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Noted {
    /// A socket, such as Docker's.
    Socket(Utf8PathBuf),
    /// A writable mount of a system directory.
    System(Utf8PathBuf),
    /// A device.
    Device(String),
    /// Graphics processors.
    Gpu,
    /// The rights of the machine's root.
    Privileged,
    /// The machine's network.
    HostNetwork,
    /// The machine's processes.
    HostProcesses,
    /// The machine's shared memory.
    HostIpc,
}

impl fmt::Display for Noted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(path) => write!(f, "socket `{}`", printable(path.as_str())),
            Self::System(path) => write!(f, "writable mount of `{}`", printable(path.as_str())),
            Self::Device(path) => write!(f, "device `{}`", printable(path)),
            Self::Gpu => f.write_str("graphics processors"),
            Self::Privileged => f.write_str("`privileged`: the rights of the machine's root"),
            Self::HostNetwork => f.write_str("`network_mode: host`: ports that kinfra cannot see or move"),
            Self::HostProcesses => f.write_str("`pid: host`: the machine's processes"),
            Self::HostIpc => f.write_str("`ipc: host`: the machine's shared memory"),
        }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} ({}) uses the machine's own: {}",
            self.owner,
            printable(&self.services.join(", ")),
            self.noted
        )
    }
}

/// What a path is, if it is the machine's own. A read-only socket can still be written to.
fn of_the_machine(path: &Utf8Path, read_only: bool) -> Option<Noted> {
    if is_socket(path) {
        return Some(Noted::Socket(path.to_owned()));
    }
    (!read_only && is_of_the_system(path)).then(|| Noted::System(path.to_owned()))
}

/// The notes about a stack.
pub(super) fn notes(stack: &Stack<'_>) -> Vec<Note> {
    let mut notes: BTreeMap<Noted, BTreeSet<&str>> = BTreeMap::new();
    let worktree = normal(stack.worktree);
    for (name, service) in &stack.model.services {
        let paths = binds(stack.model, service).filter(|bind| !bind.path.starts_with(&worktree));
        let paths = paths.filter_map(|bind| of_the_machine(&bind.path, bind.read_only));
        for noted in paths.chain(rights(stack.model, service)) {
            notes.entry(noted).or_default().insert(name);
        }
    }
    let note = |(noted, services): (Noted, BTreeSet<&str>)| Note {
        owner: stack.owner.clone(),
        services: services.into_iter().map(str::to_owned).collect(),
        noted,
    };
    notes.into_iter().map(note).collect()
}

/// What a service uses of the machine beside mounts.
fn rights(model: &Model, service: &Service) -> impl Iterator<Item = Noted> {
    let is_host = |mode: &Option<String>| mode.as_deref() == Some("host");
    let rights = [
        (service.uses_gpu(), Noted::Gpu),
        (service.privileged, Noted::Privileged),
        (is_on_host_network(model, service), Noted::HostNetwork),
        (is_host(&service.pid), Noted::HostProcesses),
        (is_host(&service.ipc), Noted::HostIpc),
    ];
    let devices = service.devices.iter().map(|device| Noted::Device(device.source.clone()));
    rights.into_iter().filter_map(|(used, noted)| used.then_some(noted)).chain(devices)
}
