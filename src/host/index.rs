//! The files of this user's index of pools: one file for each pool.

use std::io;

use anyhow::Result;
use camino::{Utf8Path, Utf8PathBuf};

use super::closed::Closed;
use super::fs::{self, Dir};
use super::lock::{Hold, Lock, LockPolicy};
use crate::fault::Fault;

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

/// What is said first where it cannot be read: no pool is trusted by mistake.
const UNREAD: &str = "your index of pools, which remembers what you applied, cannot be read";

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
    /// [`Fault`] when another process holds it; or why it cannot be made.
    pub fn lock(&self, policy: &LockPolicy<'_>) -> Result<IndexLock> {
        let dir = Dir::make(&self.path)?;
        dir.check_owner(INDEX)?;
        let policy = LockPolicy { network: true, ..*policy };
        Ok(IndexLock { _lock: Lock::acquire(&dir, LOCK, Hold::Alone, &policy)? })
    }

    /// The files, sorted by name. Empty if the index does not exist.
    ///
    /// # Errors
    /// [`Fault`] when the directory cannot be listed, or is not this user's alone.
    pub fn files(&self) -> Result<Vec<IndexFile>, Fault> {
        let Some(dir) = self.open()? else { return Ok(Vec::new()) };
        let names = dir.names().map_err(|error| self.unreadable(None, &format!("{error:#}")))?;
        let names = names.into_iter().filter_map(|name| name.into_string().ok());
        let names = names.filter(|name| Utf8Path::new(name).extension() == Some("json"));
        let read = names.filter_map(|name| Some((read(&self.path.join(&name)).transpose()?, name)));
        Ok(read.map(|(text, name)| (name, text)).collect())
    }

    /// The text of the file of this name. `None` if there is none.
    ///
    /// # Errors
    /// [`Fault`] when it cannot be read, or another user may have put it there.
    pub fn text(&self, name: &str) -> Result<Option<String>, Fault> {
        if self.open()?.is_none() {
            return Ok(None);
        }
        read(&self.path.join(name)).map_err(|why| self.unreadable(Some(name), &why))
    }

    /// Opens its directory. `None` if there is none.
    fn open(&self) -> Result<Option<Dir>, Fault> {
        let dir = match Dir::open(&self.path) {
            Ok(dir) => dir,
            Err(error) if error.kind() == io::ErrorKind::NotFound && !fs::is_link(&self.path) => {
                return Ok(None);
            }
            Err(error) => return Err(self.unreadable(None, &error.to_string())),
        };
        match dir.check_owner(INDEX).map_err(anyhow::Error::downcast::<Fault>) {
            Ok(()) => Ok(Some(dir)),
            Err(Ok(fault)) => Err(fault),
            Err(Err(error)) => Err(self.unreadable(None, &format!("{error:#}"))),
        }
    }

    /// The error for an index that cannot be read, or for a file in it.
    pub fn unreadable(&self, name: Option<&str>, why: &str) -> Fault {
        let path = name.map_or_else(|| self.path.clone(), |name| self.path.join(name));
        if let Some(closed) = Closed::on_the_way_to(&path) {
            let elsewhere = "set XDG_STATE_HOME to a directory of yours";
            return Fault::unreadable(format!("{UNREAD}: {closed}")).advise(closed.remedy(elsewhere));
        }
        let is_file = |above: &&Utf8Path| matches!(fs::is_directory_there(above), Ok(Some(false)));
        let what = match self.path.ancestors().find(is_file) {
            Some(file) => format!("`{file}` is a file, where a directory belongs"),
            None => format!("`{path}`: {why}"),
        };
        let advice = match name {
            Some(_) => "move it away, then trust the pool again with `kinfra apply`",
            None => {
                "move it away, then trust each pool again with `kinfra apply` in its project; or set XDG_STATE_HOME to a \
                 directory of yours"
            }
        };
        Fault::unreadable(format!("{UNREAD}: {what}")).advise(advice)
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

/// The text of a file of the index. `None` if there is none.
fn read(path: &Utf8Path) -> Result<Option<String>, String> {
    let bytes = fs::read_named(path, LIMIT).map_err(|error| match Closed::on_the_way_to(path) {
        Some(closed) => closed.to_string(),
        None => error.to_string(),
    })?;
    let text = |bytes| String::from_utf8(bytes).map_err(|_| "it is not UTF-8 text".to_owned());
    bytes.map(text).transpose()
}
