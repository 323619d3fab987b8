//! A pool's root: reading it, which takes no lock and writes nothing, and writing it, which needs the lock.

use std::io;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use camino::{Utf8Path, Utf8PathBuf};

use super::fs::{self, Dir, Found};
use super::lock::Lock;
use super::staging::Staging;
use crate::fault::Fault;
use crate::slot::{FileMode, SlotId};

const REGISTRY: &str = "registry.json";
const BACKUP: &str = "registry.json.bak";
/// Where everything is written before it is moved into place.
const TEMPORARY: &str = ".tmp";
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
    let mut missing = Vec::new();
    for ancestor in path.ancestors() {
        match fs::canonical(ancestor) {
            Ok(mut resolved) => {
                resolved.extend(missing.iter().rev());
                refuse_inside_slot(path, &resolved)?;
                return Ok(resolved);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => missing.extend(ancestor.file_name()),
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
                let on_the_way = path.ancestors().find(|ancestor| fs::exists(ancestor)).unwrap_or(path);
                return Err(Fault::refused(format!(
                    "root `{path}`: `{on_the_way}` is a file, not a directory"
                ))
                .into());
            }
            Err(error) => return Err(error).with_context(|| format!("could not resolve root `{path}`")),
        }
    }
    Err(anyhow!("could not resolve root `{path}`"))
}

/// A pool in a slot of another would be taken for that slot's files.
fn refuse_inside_slot(path: &Utf8Path, resolved: &Utf8Path) -> Result<()> {
    for ancestor in resolved.ancestors() {
        let is_slot = ancestor.file_name().is_some_and(|name| {
            name.strip_prefix("slot-")
                .is_some_and(|id| SlotId::parse_list(id).is_ok_and(|ids| ids.len() == 1))
        });
        let owner = ancestor.parent().filter(|parent| is_slot && fs::exists(&parent.join(REGISTRY)));
        if let Some(owner) = owner {
            let message =
                format!("root `{path}` is inside a slot of the pool in `{owner}`: choose a root outside it");
            return Err(Fault::refused(message).into());
        }
    }
    Ok(())
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
        let (above, below) = path
            .ancestors()
            .skip(1)
            .find_map(|above| Some((Dir::open(above).ok()?, path.strip_prefix(above).ok()?)))
            .ok_or_else(|| anyhow!("no directory above root `{path}` can be opened"))?;
        let dir = above.make_dir(below)?;
        // The names of the new directories must not vanish in a power cut that the registry in them survives.
        let mut parent = above;
        for name in below {
            parent.sync()?;
            if let Found::This(child) = parent.dir(Utf8Path::new(name))? {
                parent = child;
            }
        }
        Ok(Self { dir })
    }

    /// The text of the registry; `None` if this root never had one.
    ///
    /// # Errors
    /// [`Fault`] when it vanished, is no regular file, is too large or is not text.
    pub fn registry(&self) -> Result<Option<String>> {
        let path = self.registry_path();
        let repair = "nothing was changed";
        match self.dir.read(Utf8Path::new(REGISTRY), REGISTRY_LIMIT) {
            Ok(Found::This(content)) => {
                let text = String::from_utf8(content.bytes);
                let text =
                    text.map_err(|_| Fault::unreadable(format!("registry `{path}` is not UTF-8; {repair}")))?;
                Ok(Some(text))
            }
            Ok(Found::Nothing) if self.dir.has(BACKUP)? => {
                let backup = self.dir.path().join(BACKUP);
                let message = format!("registry `{path}` vanished, but `{backup}` is there; {repair}");
                Err(Fault::unreadable(message).into())
            }
            Ok(Found::Nothing) => Ok(None),
            Ok(Found::Other(obstacle)) => {
                Err(Fault::unreadable(format!("registry `{path}` is {obstacle}; {repair}")).into())
            }
            Err(error) => {
                Err(error.context(Fault::unreadable(format!("registry `{path}` cannot be read; {repair}"))))
            }
        }
    }

    /// Where the registry is, for messages.
    pub fn registry_path(&self) -> Utf8PathBuf {
        self.dir.path().join(REGISTRY)
    }

    /// The directory of a slot.
    pub fn slot(&self, slot: SlotId) -> Result<Found<Dir>> {
        self.dir.dir(Utf8Path::new(&slot.directory()))
    }

    /// Takes the lock, waiting at most for `patience`; `command` is what others are told of the holder.
    ///
    /// # Errors
    /// [`Fault`] when somebody else holds it.
    pub fn lock(self, patience: Duration, command: &str) -> Result<LockedRoot> {
        let lock = Lock::acquire(&self.dir, patience, command)?;
        let temporary = self.dir.make_dir(Utf8Path::new(TEMPORARY))?;
        temporary.empty()?;
        Ok(LockedRoot { root: self, lock, temporary })
    }
}

/// A root whose lock is held: the right to write.
#[derive(Debug)]
pub struct LockedRoot {
    root: Root,
    lock: Lock,
    temporary: Dir,
}

impl LockedRoot {
    /// The root, for reading.
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// Begins to write new files.
    pub fn stage(&self) -> Staging<'_> {
        Staging::new(&self.root.dir, &self.temporary)
    }

    /// Replaces the registry, atomically and durably. `read` is the text that the new one was made from.
    ///
    /// # Errors
    /// [`Fault`] when the registry on disk is no longer the one that was read: another program's write is not lost.
    pub fn save_registry(&self, read: Option<&str>, new: &str) -> Result<()> {
        let dir = &self.root.dir;
        let write = |name: &str, text: &str| -> Result<()> {
            let file = self.temporary.write_new(name, text.as_bytes(), FileMode::PRIVATE)?;
            file.sync_all().with_context(|| format!("could not sync `{}`", self.temporary.path().join(name)))
        };
        write(REGISTRY, new)?;
        if !self.lock.is_held(dir)? {
            let path = dir.path().join(super::lock::NAME);
            return Err(Fault::locked(format!(
                "`{path}` was replaced while kinfra held it: nothing was saved"
            ))
            .into());
        }
        if self.root.registry()?.as_deref() != read {
            let path = self.root.registry_path();
            let message =
                format!("`{path}` was changed by another program meanwhile: nothing was saved, run again");
            return Err(Fault::refused(message).into());
        }
        if let Some(old) = read {
            if !dir.link(REGISTRY, &self.temporary, BACKUP) {
                write(BACKUP, old)?;
            }
            self.temporary.rename_over(BACKUP, dir, BACKUP)?;
        }
        self.temporary.rename_over(REGISTRY, dir, REGISTRY)?;
        dir.sync()?;
        if read.is_none() {
            // Only now: a backup without a registry means that the registry vanished.
            write(BACKUP, new)?;
            self.temporary.rename_over(BACKUP, dir, BACKUP)?;
            dir.sync()?;
        }
        Ok(())
    }
}
