//! The actions: a closed list of what `apply` does to a slot.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::diff::FieldChange;
use crate::file::{FileMode, RelPath};

/// What `apply` does to one slot. The first three change no existing byte.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Write these missing files and register the slot.
    Create(Vec<RelPath>),
    /// Register the slot. Its files exist already and are right.
    Adopt,
    /// Write these missing files again, exactly as they were.
    Restore(Vec<RelPath>),
    /// Bring files and entry to what the spec says.
    Update {
        /// The fields of the entry that change.
        fields: Vec<FieldChange>,
        /// The files that change.
        files: BTreeMap<RelPath, FileChange>,
    },
    /// Remove the slot.
    Remove {
        /// The files to remove.
        files: Vec<RelPath>,
        /// What stays because kinfra did not write it. If anything stays, so does the registry's entry.
        stays: Vec<String>,
    },
}

/// What an update does to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileChange {
    /// Write a missing file.
    Write,
    /// Replace what kinfra wrote.
    Replace,
    /// Replace what kinfra did not write, after a backup.
    Overwrite,
    /// Set the right permissions. The file has these.
    SetMode(FileMode),
    /// Remove a file that kinfra wrote and the spec dropped.
    Remove,
    /// Leave a file that was edited by hand and that the spec dropped. It is no longer kinfra's.
    Disown,
}

/// How the totals count the work on a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The slot is new.
    Add,
    /// The slot changes.
    Change,
    /// The slot goes.
    Destroy,
}

impl Action {
    /// How the totals count it.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Create(_) | Self::Adopt => Kind::Add,
            Self::Restore(_) | Self::Update { .. } => Kind::Change,
            Self::Remove { .. } => Kind::Destroy,
        }
    }

    /// Whether the action changes or removes something that exists. The user approves such an action first,
    /// and the registry announces it.
    pub fn changes_what_is_there(&self) -> bool {
        match self {
            Self::Create(_) | Self::Adopt | Self::Restore(_) => false,
            Self::Update { .. } | Self::Remove { .. } => true,
        }
    }

    /// Whether the slot's entry has the ports of the spec afterwards.
    pub(super) fn takes_ports(&self) -> bool {
        match self {
            Self::Create(_) | Self::Adopt | Self::Update { .. } => true,
            Self::Restore(_) | Self::Remove { .. } => false,
        }
    }

    /// Whether the slot's entry gives up its present ports. It may take some of them again.
    pub(super) fn frees_ports(&self) -> bool {
        match self {
            Self::Create(_) | Self::Adopt | Self::Update { .. } => true,
            Self::Remove { files: _, stays } => stays.is_empty(),
            Self::Restore(_) => false,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Add => "add",
            Self::Change => "change",
            Self::Destroy => "destroy",
        })
    }
}
