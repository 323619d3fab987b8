//! What the last start of a slot's stack used, kept in the slot's directory for the proof of later starts.

use anyhow::Result;
use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};

use crate::compose::model::Model;
use crate::fault::Fault;
use crate::host::fs::{read_named, replace_named};
use crate::names::USES_FILE;

/// The largest file that is read, in bytes.
const LIMIT: u64 = 16 << 20;
/// The version of the format.
const VERSION: u64 = 1;

/// What a start used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(in crate::stack) struct Uses {
    version: u64,
    /// When, in ISO 8601 with an offset.
    pub(in crate::stack) at: String,
    /// The name of the Compose project.
    pub(in crate::stack) project: String,
    /// Whether `down` was asked for since. Then it counts only while it has containers.
    pub(in crate::stack) has_ended: bool,
    /// The worktree that it ran from.
    pub(in crate::stack) worktree: Utf8PathBuf,
    /// What its files came to, without values of variables.
    pub(in crate::stack) model: Model,
}

impl Uses {
    /// What a start of a project uses. Values of variables can be secret, and share nothing.
    pub(in crate::stack) fn new(at: String, project: &str, worktree: &Utf8Path, mut model: Model) -> Self {
        for service in model.services.values_mut() {
            service.environment.clear();
            service.build.iter_mut().for_each(|build| build.args.clear());
        }
        let (project, worktree) = (project.to_owned(), worktree.to_owned());
        Self { version: VERSION, at, project, has_ended: false, worktree, model }
    }

    /// What the last start in a slot's directory used. `None` if there was none.
    ///
    /// # Errors
    /// When it cannot be read: then nothing can be proven against it.
    pub(in crate::stack) fn read(dir: &Utf8Path) -> Result<Option<Self>> {
        let path = dir.join(USES_FILE);
        let unknown = |why: String| {
            let fault = Fault::refused(format!("what a slot was started with is not known: `{path}` {why}"));
            fault.advise("remove the file if the slot's stack has no containers")
        };
        let bytes = read_named(&path, LIMIT).map_err(|error| unknown(format!("cannot be read: {error}")))?;
        let Some(bytes) = bytes else { return Ok(None) };
        let uses: Self =
            serde_json::from_slice(&bytes).map_err(|error| unknown(format!("is broken: {error}")))?;
        if uses.version == VERSION {
            Ok(Some(uses))
        } else {
            Err(unknown("is of another kinfra".to_owned()).into())
        }
    }

    /// Keeps it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(in crate::stack) fn keep(&self, dir: &Utf8Path) -> Result<()> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        replace_named(&dir.join(USES_FILE), text.as_bytes())
    }
}
