//! The file with the last known state of a registry that is on a server.

use anyhow::Result;
use camino::Utf8Path;

use super::open::{LAST_SEEN, REGISTRY_LIMIT, Root, TEMPORARY};
use crate::file::FileMode;
use crate::host::fs::{Found, read_named};

/// Its text, if it can be read.
pub fn last_seen(root: &Utf8Path) -> Option<String> {
    String::from_utf8(read_named(&root.join(LAST_SEEN), REGISTRY_LIMIT).ok()??).ok()
}

impl Root {
    /// Writes it. A writer that tidies up the root meanwhile may take it away: then the old one stays.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn note_last_seen(&self, text: &str) -> Result<()> {
        let Found::This(temporary) = self.dir.dir(Utf8Path::new(TEMPORARY))? else { return Ok(()) };
        let name = format!("{LAST_SEEN}.{}", std::process::id());
        temporary.write_small(&name, text.as_bytes(), FileMode::PRIVATE)?;
        temporary.rename_over(&name, &self.dir, LAST_SEEN)
    }
}
