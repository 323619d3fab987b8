//! What the worktree's files last came to, kept beside the overlay: whether it is stale, and its remarks.

use anyhow::Result;
use camino::Utf8Path;
use serde::{Deserialize, Serialize};

use super::inputs::Inputs;
use crate::compose::overlay::Overlay;
use crate::digest::Digest;
use crate::host::fs::{read_named, replace_named};
use crate::names::{LOOK_FILE, OVERLAY};

/// The largest file that is read, in bytes.
const LIMIT: u64 = 16 << 20;
/// The version of the format. Another one is as good as none.
const VERSION: u64 = 1;

/// What an overlay was made from, and what is to be said of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::stack) struct Look {
    version: u64,
    /// The hash of what kinfra itself brings: the slot, the spec, the names.
    key: Digest,
    inputs: Inputs,
    /// The hash of the overlay.
    overlay: Digest,
    /// What is to be said.
    pub(in crate::stack) remarks: Remarks,
}

/// What an overlay leaves out or cannot move.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Remarks {
    /// Ports that slots.toml does not know, each with the line of `[ports]` that would publish it.
    pub unpublished: Vec<(String, String)>,
    /// What else is not as in the project.
    pub notes: Vec<String>,
}

impl Remarks {
    /// What is to be said of an overlay.
    pub(in crate::stack) fn of(overlay: &Overlay) -> Self {
        let unpublished = overlay.unpublished.iter();
        let unpublished = unpublished.map(|(target, line)| (target.to_string(), line.clone()));
        Self { unpublished: unpublished.collect(), notes: overlay.notes.clone() }
    }
}

impl Look {
    pub(in crate::stack) fn new(key: Digest, inputs: Inputs, overlay: &str, remarks: Remarks) -> Self {
        Self { version: VERSION, key, inputs, overlay: Digest::of(overlay.as_bytes()), remarks }
    }

    /// The last look at the files of a slot, if the overlay is still what they come to.
    pub(in crate::stack) fn fresh(dir: &Utf8Path, key: Digest, inputs: &Inputs) -> Option<Self> {
        let read = |name| read_named(&dir.join(name), LIMIT).ok().flatten();
        let look: Self = serde_json::from_slice(&read(LOOK_FILE)?).ok()?;
        let overlay = Digest::of(&read(OVERLAY)?);
        let is_fresh = look.version == VERSION
            && look.key == key
            && look.inputs.give_the_same_as(inputs)
            && look.overlay == overlay;
        is_fresh.then_some(look)
    }

    /// Keeps it for the next run.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(in crate::stack) fn keep(&self, dir: &Utf8Path) -> Result<()> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        replace_named(&dir.join(LOOK_FILE), text.as_bytes())
    }
}
