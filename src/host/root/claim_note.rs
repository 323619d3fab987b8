//! The note in a slot's directory that says which claim it is used under. It is written after the registry is
//! saved, and removed before, so that a registry which does not know the claim is an older one.

use anyhow::{Result, bail};
use camino::Utf8Path;

use super::locked::LockedRoot;
use super::open::Root;
use crate::file::{FileMode, Obstacle};
use crate::host::fs::Found;
use crate::names::CLAIM_FILE;
use crate::slot::SlotId;

/// The most that is read of it, in bytes.
const LIMIT: u64 = 64 << 10;

impl Root {
    /// The note of a slot. `None` if it has none. One that cannot be read is empty.
    ///
    /// # Errors
    /// When the slot's directory cannot be read.
    pub fn claim_note(&self, slot: SlotId) -> Result<Option<String>> {
        let Found::This(dir) = self.slot(slot)? else { return Ok(None) };
        Ok(match dir.read(Utf8Path::new(CLAIM_FILE), LIMIT) {
            Ok(Found::Nothing) => None,
            Ok(Found::This(content)) => Some(String::from_utf8(content.bytes).unwrap_or_default()),
            Ok(Found::Other(_)) | Err(_) => Some(String::new()),
        })
    }
}

impl LockedRoot {
    /// Writes the note of a slot. A power cut may leave it empty.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_claim_note(&self, slot: SlotId, text: &str) -> Result<()> {
        if self.root().claim_note(slot)?.as_deref() == Some(text) {
            return Ok(());
        }
        let Found::This(dir) = self.root().slot(slot)? else { return Ok(()) };
        self.temporary().write_small(CLAIM_FILE, text.as_bytes(), FileMode::PRIVATE)?;
        self.temporary().rename_over(CLAIM_FILE, &dir, CLAIM_FILE)
    }

    /// Removes the note of a slot.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove_claim_note(&self, slot: SlotId) -> Result<()> {
        match self.root().slot(slot)? {
            Found::This(dir) => dir.remove_file(CLAIM_FILE),
            Found::Other(Obstacle::Forbidden) => {
                let path = self.root().path().join(slot.directory());
                bail!("`{}` could not be removed: `{path}` is not readable", path.join(CLAIM_FILE))
            }
            Found::Nothing | Found::Other(_) => Ok(()),
        }
    }
}
