//! Why a difference is not changed, and which flag would allow it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::action::Kind;
use super::options::Flag;
use crate::diff::{FieldChange, Remnant};
use crate::file::{FileMode, Obstacle, RelPath};
use crate::identifier::PortName;
use crate::port::Port;
use crate::slot::SlotId;

#[cfg(test)]
#[path = "blocked_tests.rs"]
mod tests;

/// A difference that `apply` leaves as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Blocked {
    /// A file differs, and kinfra did not write this slot.
    Foreign(RelPath),
    /// A field of the registry's entry would change.
    Field(FieldChange),
    /// A file is older than the spec.
    Outdated(RelPath),
    /// A file is missing, and its content would be new.
    Absent(RelPath),
    /// A file has the wrong permissions.
    WrongMode(RelPath, FileMode),
    /// The spec dropped a file.
    Dropped(RelPath),
    /// The spec dropped a file that was edited by hand. It would stay, no longer kinfra's.
    Disowned(RelPath),
    /// A file was edited by hand.
    Edited(RelPath),
    /// Something else has the place of a file or, without a path, of the slot's directory.
    Obstructed(Option<RelPath>, Obstacle),
    /// The spec dropped the slot.
    Surplus {
        /// Whether the slot is claimed. Then no flag removes it.
        held: bool,
    },
    /// The slot was removed except for these, which kinfra did not write.
    Leftover(Vec<String>),
    /// The slot that would change is held by this worktree.
    Held(String),
    /// There may be something of an earlier stack in the slot.
    NotClean(SlotId, Remnant),
    /// The slot has containers. They use its ports.
    Containers,
    /// The slot has containers, which run with its files.
    Running,
    /// Docker did not say whether the slot has containers. This is what it said.
    ContainersUnknown(String),
    /// The entry of another slot keeps a port that this slot would take.
    PortTaken {
        /// What the port is for.
        name: PortName,
        /// The port.
        port: Port,
        /// The slot that holds it.
        holder: SlotId,
        /// The flags that would make the holder give it up; `None` if none would.
        flags: Option<BTreeSet<Flag>>,
        /// How the totals would count the slot's own work.
        kind: Kind,
    },
}

impl Blocked {
    /// The flags that would allow the change; `None` if none would.
    pub(super) fn flags(&self) -> Option<BTreeSet<Flag>> {
        let flag = match self {
            Self::Foreign(_) | Self::Edited(_) => Flag::Overwrite,
            Self::Field(_)
            | Self::Outdated(_)
            | Self::Absent(_)
            | Self::WrongMode(..)
            | Self::Dropped(_)
            | Self::Disowned(_) => Flag::Update,
            Self::Surplus { held: false } => Flag::Prune,
            Self::Held(_) | Self::Running => Flag::IncludeClaimed,
            Self::Surplus { held: true }
            | Self::Obstructed(..)
            | Self::Leftover(_)
            | Self::NotClean(..)
            | Self::Containers
            | Self::ContainersUnknown(_) => return None,
            Self::PortTaken { flags, .. } => return flags.clone(),
        };
        Some(BTreeSet::from([flag]))
    }

    /// Whether the change was asked for: without a flag, slots are created and lost files restored, where
    /// nothing else is in their place. A holder, an earlier stack or containers only say why another change
    /// is blocked.
    pub(super) fn is_asked_for(&self, allowed: &BTreeSet<Flag>) -> bool {
        let overwrites = allowed.contains(&Flag::Overwrite);
        let updates = overwrites || allowed.contains(&Flag::Update);
        match self {
            Self::Obstructed(..) | Self::PortTaken { kind: Kind::Add, .. } => true,
            Self::Foreign(_) | Self::Edited(_) => overwrites,
            Self::Field(_)
            | Self::Outdated(_)
            | Self::Absent(_)
            | Self::WrongMode(..)
            | Self::Dropped(_)
            | Self::Disowned(_)
            | Self::PortTaken { .. } => updates,
            Self::Surplus { .. } | Self::Leftover(_) => allowed.contains(&Flag::Prune),
            Self::Held(_)
            | Self::NotClean(..)
            | Self::Containers
            | Self::Running
            | Self::ContainersUnknown(_) => false,
        }
    }

    /// How the totals would count the change.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Surplus { .. } | Self::Leftover(_) | Self::NotClean(..) => Kind::Destroy,
            Self::PortTaken { kind, .. } => *kind,
            Self::Foreign(_)
            | Self::Field(_)
            | Self::Outdated(_)
            | Self::Absent(_)
            | Self::WrongMode(..)
            | Self::Dropped(_)
            | Self::Disowned(_)
            | Self::Edited(_)
            | Self::Held(_)
            | Self::Containers
            | Self::Running
            | Self::ContainersUnknown(_)
            | Self::Obstructed(..) => Kind::Change,
        }
    }

    /// The file whose text would change.
    pub(super) fn changed_file(&self) -> Option<&RelPath> {
        match self {
            Self::Foreign(path) | Self::Outdated(path) | Self::Edited(path) => Some(path),
            Self::Field(_)
            | Self::Absent(_)
            | Self::WrongMode(..)
            | Self::Dropped(_)
            | Self::Disowned(_)
            | Self::Obstructed(..)
            | Self::Surplus { .. }
            | Self::Leftover(_)
            | Self::Held(_)
            | Self::NotClean(..)
            | Self::Containers
            | Self::Running
            | Self::ContainersUnknown(_)
            | Self::PortTaken { .. } => None,
        }
    }
}
