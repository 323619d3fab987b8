//! The files of the index of pools: one a pool, for this user.

use anyhow::{Context as _, Result};
use camino::{Utf8Path, Utf8PathBuf};

use super::fs::{self, Dir};
use crate::file::FileMode;

/// The most that an entry may be, in bytes.
const LIMIT: u64 = 1 << 20;

/// Where the index is.
#[derive(Debug, Clone)]
pub struct Index {
    path: Utf8PathBuf,
}

/// A file of the index: its name, and its text or why there is none.
pub type IndexFile = (String, Result<String, String>);

impl Index {
    /// The index in the directory where programs keep what they know of this machine.
    pub fn below(state: &Utf8Path) -> Self {
        Self { path: state.join("kinfra/pools") }
    }

    /// Where it is, for messages.
    pub fn path(&self) -> &Utf8Path {
        &self.path
    }

    /// Its files, in the order of their names. Without an index there are none.
    ///
    /// # Errors
    /// When the directory cannot be listed.
    pub fn files(&self) -> Result<Vec<IndexFile>> {
        if !fs::exists(&self.path).with_context(|| format!("could not examine `{}`", self.path))? {
            return Ok(Vec::new());
        }
        let dir = Dir::open(&self.path).with_context(|| format!("could not open `{}`", self.path))?;
        let names = dir.names()?.into_iter().filter_map(|name| name.into_string().ok());
        let names = names.filter(|name| Utf8Path::new(name).extension() == Some("json"));
        let read = names.filter_map(|name| {
            let text = match fs::read_named(&self.path.join(&name), LIMIT) {
                Ok(bytes) => String::from_utf8(bytes?).map_err(|_| "it is not UTF-8 text".to_owned()),
                Err(error) => Err(error.to_string()),
            };
            Some((name, text))
        });
        Ok(read.collect())
    }

    /// Writes a file, atomically and durably, and removes those that are `gone`.
    ///
    /// # Errors
    /// When the file cannot be written; one that cannot be removed is left for the next writer.
    pub fn save(&self, name: &str, text: &str, gone: &[&str]) -> Result<()> {
        let dir = Dir::make(&self.path)?;
        let temporary = format!("{name}.tmp");
        dir.remove_file(&temporary)?;
        let saved = dir.write_new(&temporary, text.as_bytes(), FileMode::PRIVATE).and_then(|file| {
            rustix::fs::fsync(&file)
                .with_context(|| format!("could not sync `{}`", self.path.join(&temporary)))?;
            dir.rename_over(&temporary, &dir, name)
        });
        if let Err(error) = saved {
            let _ = dir.remove_file(&temporary);
            return Err(error);
        }
        for name in gone {
            let _ = dir.remove_file(name);
        }
        dir.sync()
    }
}
