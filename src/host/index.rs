//! The files of this user's index of pools: one file for each pool.

use anyhow::{Context as _, Result};
use camino::{Utf8Path, Utf8PathBuf};

use super::fs::{self, Dir};
use super::lock::{Hold, Lock, LockPolicy};

/// The largest entry that is read, in bytes.
const LIMIT: u64 = 1 << 20;

/// What the directory is, for messages.
const INDEX: &str = "the index of pools";
/// The name of its lock: made once, never renamed or removed.
const LOCK: &str = ".lock";

/// The directory of the index.
#[derive(Debug, Clone)]
pub struct Index {
    path: Utf8PathBuf,
}

/// The lock of the index, held until it is dropped. Other pools can be read meanwhile, and none be noted.
#[derive(Debug)]
pub struct IndexLock {
    _lock: Lock,
}

/// A file of the index: its name, and its text or the reason why it cannot be read.
pub type IndexFile = (String, Result<String, String>);

impl Index {
    /// The index below `state`, the user's directory for state (`XDG_STATE_HOME`).
    pub fn below(state: &Utf8Path) -> Self {
        Self { path: state.join("kinfra/pools") }
    }

    /// The path of its directory, for messages.
    pub fn path(&self) -> &Utf8Path {
        &self.path
    }

    /// Takes the lock. A process that holds that of a root may wait for this one, never the other way round.
    /// Homes are on network file systems more often than roots, so one is accepted.
    ///
    /// # Errors
    /// [`Fault`](crate::fault::Fault) when another process holds it; or why it cannot be made.
    pub fn lock(&self, policy: &LockPolicy<'_>) -> Result<IndexLock> {
        let dir = Dir::make(&self.path)?;
        dir.check_owner(INDEX)?;
        let policy = LockPolicy { network: true, ..*policy };
        Ok(IndexLock { _lock: Lock::acquire(&dir, LOCK, Hold::Alone, &policy)? })
    }

    /// The files, sorted by name. Empty if the index does not exist.
    ///
    /// # Errors
    /// When the directory cannot be listed, or is not this user's alone.
    pub fn files(&self) -> Result<Vec<IndexFile>> {
        if !fs::exists(&self.path).with_context(|| format!("could not examine `{}`", self.path))? {
            return Ok(Vec::new());
        }
        let dir = Dir::open(&self.path).with_context(|| format!("could not open `{}`", self.path))?;
        dir.check_owner(INDEX)?;
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

    /// The text of the file of this name, if there is one and no other user may have put it there.
    pub fn text(&self, name: &str) -> Option<String> {
        let dir = Dir::open(&self.path).ok()?;
        dir.check_owner(INDEX).ok()?;
        let bytes = fs::read_named(&self.path.join(name), LIMIT).ok()??;
        String::from_utf8(bytes).ok()
    }

    /// Writes a file, atomically and durably, also while others write it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn replace(&self, name: &str, text: &str) -> Result<()> {
        fs::replace_named(&self.path.join(name), text.as_bytes())
    }

    /// Writes a file, atomically and durably, then removes the files in `gone`.
    ///
    /// # Errors
    /// When the file cannot be written. A file that cannot be removed stays for the next save.
    pub fn save(&self, name: &str, text: &str, gone: &[&str]) -> Result<()> {
        let dir = Dir::make(&self.path)?;
        dir.check_owner(INDEX)?;
        let temporary = format!("{name}.tmp");
        dir.remove_file(&temporary)?;
        dir.replace_file(name, text.as_bytes(), &temporary)?;
        for name in gone {
            let _ = dir.remove_file(name);
        }
        dir.sync()
    }
}
