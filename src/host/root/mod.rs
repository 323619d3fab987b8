//! A pool's root: reading it, which takes no lock and writes nothing. Writing it needs the lock, and is in `locked`.

use std::io;

use anyhow::{Context as _, Result, anyhow};
use camino::{Utf8Path, Utf8PathBuf};

use super::fs::{self, Dir, Found};
use super::lock::{Lock, LockPolicy};
use crate::fault::Fault;
use crate::file::Obstacle;
use crate::slot::SlotId;

mod locked;

pub use locked::LockedRoot;

/// The registry's name in the root.
pub const REGISTRY: &str = "registry.json";
/// The name of the registry's backup: a copy of it as last saved.
pub const BACKUP: &str = "registry.json.bak";
/// The lock's name in the root.
pub const LOCK: &str = super::lock::NAME;
/// Where everything in the root is written before it is moved into place.
pub const TEMPORARY: &str = ".tmp";
/// The most that a registry may be, in bytes.
const REGISTRY_LIMIT: u64 = 64 << 20;

/// A pool's root that exists.
#[derive(Debug)]
pub struct Root {
    dir: Dir,
}

/// The path of a root without links, as far as it exists.
///
/// # Errors
/// [`Fault`] when the path, or something on its way, is no directory, or lies in a slot of another pool.
pub fn resolve(path: &Utf8Path) -> Result<Utf8PathBuf> {
    let refuse = |why: String| Err(Fault::refused(format!("root `{path}` cannot be used: {why}")).into());
    let mut missing = Vec::new();
    for ancestor in path.ancestors() {
        match fs::canonical(ancestor) {
            Ok(mut resolved) => {
                resolved.extend(missing.iter().rev());
                refuse_inside_slot(path, &resolved)?;
                return Ok(resolved);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if fs::is_link(ancestor) {
                    return refuse(format!("`{ancestor}` is a symbolic link to nothing"));
                }
                match ancestor.file_name() {
                    Some(name) => missing.push(name),
                    None if ancestor.as_str().is_empty() => {}
                    None => {
                        return refuse(
                            "it goes up with `..` from a directory that does not exist".to_owned(),
                        );
                    }
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
                let on_the_way =
                    path.ancestors().find(|ancestor| fs::exists(ancestor).unwrap_or(false)).unwrap_or(path);
                return refuse(format!("`{on_the_way}` is a file, not a directory"));
            }
            Err(error) if fs::is_link(ancestor) => return refuse(format!("`{ancestor}`: {error}")),
            Err(error) => return Err(error).with_context(|| format!("could not resolve root `{path}`")),
        }
    }
    Err(anyhow!("could not resolve root `{path}`"))
}

/// A pool in a slot of another would be taken for that slot's files.
fn refuse_inside_slot(path: &Utf8Path, resolved: &Utf8Path) -> Result<()> {
    for ancestor in resolved.ancestors() {
        let is_slot = ancestor.file_name().and_then(SlotId::of_directory).is_some();
        let Some(owner) = ancestor.parent().filter(|_| is_slot) else { continue };
        let registry = owner.join(REGISTRY);
        if fs::exists(&registry).with_context(|| format!("could not examine `{registry}`"))? {
            let message =
                format!("root `{path}` is inside a slot of the pool in `{owner}`: choose a root outside it");
            return Err(Fault::refused(message).into());
        }
    }
    Ok(())
}

/// The registry, or what it depends on, cannot be trusted.
pub fn unreadable(what: &str) -> Fault {
    Fault::unreadable(what).unchanged().advise("`kinfra doctor --repair` shows what can be restored")
}

impl Root {
    /// Opens a root; `None` if there is none.
    ///
    /// # Errors
    /// [`Fault`] when it is no directory.
    pub fn open(path: &Utf8Path) -> Result<Option<Self>> {
        match Dir::open(path) {
            Ok(dir) => Ok(Some(Self { dir })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
                Err(Fault::refused(format!("root `{path}` is a file, not a directory")).into())
            }
            Err(error) => Err(error).with_context(|| format!("could not open root `{path}`")),
        }
    }

    /// Opens a root, making it and the directories above it if they are missing.
    pub fn make(path: &Utf8Path) -> Result<Self> {
        if let Some(root) = Self::open(path)? {
            return Ok(root);
        }
        Ok(Self { dir: Dir::make(path)? })
    }

    /// The text of the registry; `None` if this root never had one.
    ///
    /// # Errors
    /// [`Fault`] when it vanished, is no regular file, is too large or is not text.
    pub fn registry(&self) -> Result<Option<String>> {
        let text = self.state(REGISTRY)?;
        if text.is_some() || !self.dir.has(BACKUP)? {
            return Ok(text);
        }
        // Between the two looks the first save may have come, which makes the registry before its backup.
        let text = self.state(REGISTRY)?;
        if text.is_none() {
            let (path, backup) = (self.registry_path(), self.path().join(BACKUP));
            return Err(unreadable(&format!("`{path}` vanished, but `{backup}` is there")).into());
        }
        Ok(text)
    }

    /// The text of the registry's backup, if there is one.
    ///
    /// # Errors
    /// [`Fault`] when it is no regular file, is too large or is not text.
    pub fn backup(&self) -> Result<Option<String>> {
        self.state(BACKUP)
    }

    fn state(&self, name: &str) -> Result<Option<String>> {
        let path = self.path().join(name);
        match self.dir.read(Utf8Path::new(name), REGISTRY_LIMIT) {
            Ok(Found::This(content)) => match String::from_utf8(content.bytes) {
                Ok(text) => Ok(Some(text)),
                Err(error) => {
                    Err(unreadable(&format!("`{path}` is not text: {}", error.utf8_error())).into())
                }
            },
            Ok(Found::Nothing) => Ok(None),
            // Nothing is wrong with it that could be repaired.
            Ok(Found::Other(Obstacle::Forbidden)) => {
                let message =
                    format!("`{path}` is not readable: allow its owner, and only its owner, to read it");
                Err(Fault::unreadable(message).into())
            }
            Ok(Found::Other(obstacle)) => Err(unreadable(&format!("`{path}` is {obstacle}")).into()),
            Err(error) if fs::is_system_error(&error) => Err(error),
            Err(error) => Err(unreadable(&format!("{error:#}")).into()),
        }
    }

    /// Refuses a backup that is no regular file: the next save would replace it.
    ///
    /// # Errors
    /// [`Fault`] when it is none.
    pub fn check_backup(&self) -> Result<()> {
        match self.dir.obstacle(BACKUP)? {
            None | Some(Obstacle::File) => Ok(()),
            Some(obstacle) => {
                let path = self.path().join(BACKUP);
                let message = format!("`{path}` is {obstacle}: move it away while no kinfra runs");
                Err(Fault::unreadable(message).into())
            }
        }
    }

    /// Whether a run that was cut short left something to put in order: temps, or a registry without its backup.
    pub fn is_untidy(&self) -> Result<bool> {
        if let Found::This(temporary) = self.dir.dir(Utf8Path::new(TEMPORARY))?
            && !temporary.names()?.is_empty()
        {
            return Ok(true);
        }
        Ok(self.dir.has(REGISTRY)? && !self.dir.has(BACKUP)?)
    }

    /// What can be read of a registry that cannot be trusted; empty when nothing can.
    pub fn broken_registry(&self) -> String {
        self.legible(REGISTRY)
    }

    fn legible(&self, name: &str) -> String {
        match self.dir.read(Utf8Path::new(name), REGISTRY_LIMIT) {
            Ok(Found::This(content)) => String::from_utf8_lossy(&content.bytes).into_owned(),
            Ok(Found::Nothing | Found::Other(_)) | Err(_) => String::new(),
        }
    }

    /// Who holds the lock, if somebody does.
    pub fn lock_holder(&self) -> Result<Option<String>> {
        Lock::holder(&self.dir)
    }

    /// The root's directory, for looking at.
    pub fn dir(&self) -> &Dir {
        &self.dir
    }

    /// Where the root is, for messages.
    pub fn path(&self) -> &Utf8Path {
        self.dir.path()
    }

    /// Where the registry is, for messages.
    pub fn registry_path(&self) -> Utf8PathBuf {
        self.dir.path().join(REGISTRY)
    }

    /// The slots that have something in the root under the name of their directory.
    pub fn slots(&self) -> Result<Vec<SlotId>> {
        Ok(self.dir.names()?.iter().filter_map(|name| SlotId::of_directory(name.to_str()?)).collect())
    }

    /// The directory of a slot.
    pub fn slot(&self, slot: SlotId) -> Result<Found<Dir>> {
        self.dir.dir(Utf8Path::new(&slot.directory()))
    }

    /// Takes the lock.
    ///
    /// # Errors
    /// [`Fault`] when somebody else holds it.
    pub fn lock(self, policy: &LockPolicy<'_>) -> Result<LockedRoot> {
        let lock = Lock::acquire(&self.dir, policy)?;
        let temporary = self.dir.make_dir(Utf8Path::new(TEMPORARY))?;
        self.check_backup()?;
        let locked = LockedRoot { root: self, lock, temporary };
        locked.sweep()?;
        Ok(locked)
    }
}
