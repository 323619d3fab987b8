//! What the last start of a slot's stack used, kept in the slot's directory for the proof of later starts.

use anyhow::Result;
use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};

use crate::compose::model::Model;
use crate::host::fs::{read_named, replace_named};
use crate::names::USES_FILE;

/// The largest file that is read, in bytes.
const LIMIT: u64 = 16 << 20;
/// The version of the format.
const VERSION: u64 = 1;

/// What a start used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Uses {
    version: u64,
    /// When, in ISO 8601 with an offset.
    pub(super) at: String,
    /// The worktree that it ran from.
    pub(super) worktree: Utf8PathBuf,
    /// What its files came to, without values of variables.
    pub(super) model: Model,
}

impl Uses {
    /// What a start uses. Values of variables can be secret, and share nothing.
    pub(super) fn new(at: String, worktree: &Utf8Path, mut model: Model) -> Self {
        for service in model.services.values_mut() {
            service.environment.clear();
            service.build.iter_mut().for_each(|build| build.args.clear());
        }
        Self { version: VERSION, at, worktree: worktree.to_owned(), model }
    }

    /// What the last start in a slot's directory used. `None` if there was none, or nothing is known of it.
    pub(super) fn read(dir: &Utf8Path) -> Option<Self> {
        let bytes = read_named(&dir.join(USES_FILE), LIMIT).ok()??;
        serde_json::from_slice::<Self>(&bytes).ok().filter(|uses| uses.version == VERSION)
    }

    /// Keeps it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn keep(&self, dir: &Utf8Path) -> Result<()> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        replace_named(&dir.join(USES_FILE), text.as_bytes())
    }
}
