//! Whether a free slot is fit for use: its files are as last written, its ports are free, and no obstacle is
//! in the place of a file that a claim writes.

use anyhow::{Error, Result};

use super::files;
use super::pick::Wanted;
use super::signs::Sign;
use crate::digest::Digest;
use crate::fault::{Exit, Fault};
use crate::file::{Obstacle, RelPath};
use crate::host::context::remote_host;
use crate::host::fs::Found;
use crate::host::memory::available;
use crate::host::net;
use crate::host::root::Root;
use crate::identifier::PortName;
use crate::memory::Memory;
use crate::observe::port_user::{PortUser, PortUsers};
use crate::port::HostPort;
use crate::registry::{Condition, Entry, Pending};
use crate::slot::SlotId;

/// The most that is read of a file in a slot directory, in bytes.
const LIMIT: u64 = 256 << 20;

/// Why a slot is not fit for use, the worst first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unfit {
    /// An apply was cut short in it.
    Unfinished,
    /// Another user of the host changed it, and its files here are as they were.
    Elsewhere,
    /// The entry is an old tool's, so its files are not kinfra's.
    Foreign,
    /// This file is missing, or something else has its place.
    Lacks(RelPath),
    /// Another program listens on one of its ports.
    Busy {
        /// What the port is for.
        name: PortName,
        /// The port.
        port: HostPort,
        /// Who has it.
        by: PortUser,
    },
    /// It shows a claim of which the registry does not know.
    InUse {
        /// What it shows.
        shown: String,
        /// What to do about it.
        advice: String,
    },
    /// Something else has the place of this file, which a claim would write.
    Obstructed(RelPath),
    /// This file was edited by hand.
    Edited(RelPath),
    /// The memory that its stack needs is not there: what it needs, and what is free.
    NoMemory(Memory, Memory),
    /// Another process works on its stack.
    BeingCleaned(String),
    /// Docker cannot be asked what its last holder left in it, and why.
    NotAsked(String),
    /// It is not clean of its last holder, and why cleaning failed if it did.
    NotClean(Option<String>),
    /// Cleaning it failed too often. This is why.
    Quarantined(Option<String>),
}

impl Unfit {
    /// Of a slot that shows a claim.
    pub fn in_use(sign: &Sign, slot: SlotId) -> Self {
        Self::InUse { shown: sign.shown(), advice: sign.advice(slot) }
    }

    /// Whether a request takes the slot in spite of this. A request that names a slot accepts edited files.
    pub fn is_accepted_by(&self, slot: SlotId, wanted: &Wanted) -> bool {
        match self {
            Self::Edited(_) => *wanted == Wanted::Slot(slot),
            Self::Unfinished
            | Self::Elsewhere
            | Self::InUse { .. }
            | Self::Foreign
            | Self::Lacks(_)
            | Self::Busy { .. }
            | Self::Obstructed(_)
            | Self::NoMemory(..)
            | Self::BeingCleaned(_)
            | Self::NotAsked(_)
            | Self::NotClean(_)
            | Self::Quarantined(_) => false,
        }
    }

    /// The same, with the stack or the container that has the port.
    #[must_use]
    pub fn with_user(self, users: &PortUsers<'_>) -> Self {
        if let Self::Busy { name, port, by: _ } = self {
            Self::Busy { name, port, by: users.of(port) }
        } else {
            self
        }
    }

    /// Whether a later attempt to clean the slot, or a stack that ends, may change it.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::NoMemory(..) | Self::BeingCleaned(_) | Self::NotAsked(_) | Self::NotClean(_))
    }

    /// Why a slot is not clean, by the error of the attempt to clean it.
    pub fn of_cleaning(error: &Error, entry: &Entry) -> Self {
        let cause = error.root_cause();
        let exit = cause.downcast_ref::<Fault>().map(|fault| fault.exit);
        match (entry.condition(), exit) {
            (Condition::Quarantined(left), _) => Self::Quarantined(left.reason.clone()),
            (_, Some(Exit::Docker)) => Self::NotAsked(cause.to_string()),
            (_, Some(Exit::Locked)) => Self::BeingCleaned(cause.to_string()),
            _ => Self::NotClean(Some(cause.to_string())),
        }
    }
}

/// Why a free slot cannot be used, even if it is cleaned; `None` if it can. Only unchanged files are known to
/// have the ports of the slot's entry. `claim_files` are the files that a claim would write.
///
/// # Errors
/// When its files cannot be read. That says nothing about the slot.
pub fn unfit(root: &Root, slot: SlotId, entry: &Entry, claim_files: &[&RelPath]) -> Result<Option<Unfit>> {
    let written = &entry.provisioned.files;
    let may_run = match entry.condition() {
        Condition::Quarantined(left) => return Ok(Some(Unfit::Quarantined(left.reason.clone()))),
        Condition::Dirty(_) => true,
        Condition::Held | Condition::Clean | Condition::KeepsData(_) => false,
    };
    match entry.pending {
        Some(Pending::Elsewhere) => return Ok(Some(Unfit::Elsewhere)),
        Some(Pending::Files(_) | Pending::Remove) => return Ok(Some(Unfit::Unfinished)),
        None => {}
    }
    if written.is_empty() {
        return Ok(Some(Unfit::Foreign));
    }
    let dir = match root.slot(slot)? {
        Found::This(dir) => Some(dir),
        Found::Other(Obstacle::Forbidden) => return Err(files::forbidden(slot).into()),
        Found::Nothing | Found::Other(_) => None,
    };
    let mut worst = None;
    for (path, digest) in written {
        let content = dir.as_ref().map_or(Ok(Found::Nothing), |dir| dir.read(path.as_path(), LIMIT))?;
        let found = match content {
            Found::This(content) if Digest::of(&content.bytes) == *digest => continue,
            Found::This(_) => Unfit::Edited(path.clone()),
            Found::Other(Obstacle::Forbidden) => return Err(files::forbidden(slot).into()),
            Found::Nothing | Found::Other(_) => Unfit::Lacks(path.clone()),
        };
        worst = worst.into_iter().chain([found]).min();
    }
    // What is on the ports of a stack that may run goes when it is cleaned.
    let busy = if may_run { None } else { busy(entry) };
    if let Some(unfit) = worst.into_iter().chain(busy).min() {
        return Ok(Some(unfit));
    }
    Ok(files::obstructed(root, slot, claim_files)?.map(Unfit::Obstructed))
}

/// What keeps a free slot from being clean; `None` if it is clean, or keeps data.
pub fn not_clean(root: &Root, slot: SlotId, entry: &Entry) -> Option<Unfit> {
    let (Condition::Dirty(_) | Condition::KeepsData(_)) = entry.condition() else { return None };
    if let Ok(Some(holder)) = root.holder_of_stack(slot) {
        return Some(Unfit::BeingCleaned(format!("its stack is in the hands of {}", holder.process)));
    }
    let Condition::Dirty(left) = entry.condition() else { return None };
    Some(Unfit::NotClean(left.and_then(|left| left.reason.clone())))
}

/// That the machine has not the memory for a stack, by what is free now. `up` looks closer.
pub fn no_memory(need: Option<Memory>) -> Option<Unfit> {
    // It would be another machine's.
    let free = if remote_host(None).is_none() { available()? } else { return None };
    need.filter(|need| *need > free).map(|need| Unfit::NoMemory(need, free))
}

/// The first port of a slot that is in use, if one is.
fn busy(entry: &Entry) -> Option<Unfit> {
    let mut ports = entry.provisioned.host_ports();
    let (name, port) = ports.find(|(_, port)| net::is_in_use(*port))?;
    // The stack would publish on another machine.
    if remote_host(None).is_some() {
        return None;
    }
    Some(Unfit::Busy { name: name.clone(), port, by: PortUser::by_the_system(port) })
}
