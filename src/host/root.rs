//! A pool's root: reading it, which takes no lock and writes nothing, and writing it, which needs the lock.

use std::io;

use anyhow::{Context as _, Error, Result, anyhow};
use camino::{Utf8Path, Utf8PathBuf};

use super::fs::{self, Dir, Found};
use super::lock::{Lock, LockPolicy};
use super::staging::Staging;
use crate::fault::Fault;
use crate::slot::{FileMode, Obstacle, SlotId};

/// The registry's name in the root.
pub const REGISTRY: &str = "registry.json";
/// The name of the registry's backup: what it was before the last save.
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
    Fault::unreadable(format!(
        "{what}; nothing was changed; `kinfra doctor --repair` shows what can be restored"
    ))
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
            Err(error) => Err(unreadable(&format!("{error:#}")).into()),
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
        match self.dir.read(Utf8Path::new(REGISTRY), REGISTRY_LIMIT) {
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
        temporary.empty()?;
        // The next save would replace it.
        if let Some(obstacle) = self.dir.obstacle(BACKUP)?.filter(|obstacle| *obstacle != Obstacle::File) {
            let path = self.path().join(BACKUP);
            let message = format!("`{path}` is {obstacle}: move it away while no kinfra runs");
            return Err(Fault::unreadable(message).into());
        }
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

impl Drop for LockedRoot {
    /// What a failure left staged goes at once. What cannot go now, the next writer sweeps.
    fn drop(&mut self) {
        let _ = self.temporary.empty();
    }
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
        self.stage_state(REGISTRY, new)?;
        self.check_lock()?;
        if self.root.registry()?.as_deref() != read {
            return Err(self.was_changed());
        }
        match read {
            None if !self.temporary.rename_new(REGISTRY, self.dir(), REGISTRY)? => {
                return Err(self.was_changed());
            }
            None => {}
            Some(old) if self.temporary.exchange(REGISTRY, self.dir(), REGISTRY)? => {
                // What comes out is what was there, whoever put it there since the check.
                if !self.staged_is(REGISTRY, old) {
                    self.give_back(new)?;
                    return Err(self.was_changed());
                }
                self.temporary.rename_over(REGISTRY, self.dir(), BACKUP)?;
            }
            // Where names cannot be exchanged, a program that saves just now is not noticed.
            Some(old) => {
                if !self.dir().link(REGISTRY, &self.temporary, BACKUP) {
                    self.stage_state(BACKUP, old)?;
                }
                self.temporary.rename_over(BACKUP, self.dir(), BACKUP)?;
                self.temporary.rename_over(REGISTRY, self.dir(), REGISTRY)?;
            }
        }
        self.dir().sync()?;
        // A backup without a registry means that the registry vanished, so the first backup comes after it.
        self.ensure_backup(new)
    }

    /// Puts another program's registry back in the place of `ours`. If that program has saved again by then, once more.
    fn give_back(&self, ours: &str) -> Result<()> {
        self.temporary.exchange(REGISTRY, self.dir(), REGISTRY)?;
        if !self.staged_is(REGISTRY, ours) {
            self.temporary.exchange(REGISTRY, self.dir(), REGISTRY)?;
        }
        Ok(())
    }

    fn staged_is(&self, name: &str, text: &str) -> bool {
        let staged = self.temporary.read(Utf8Path::new(name), REGISTRY_LIMIT);
        matches!(staged, Ok(Found::This(content)) if content.bytes == text.as_bytes())
    }

    fn was_changed(&self) -> Error {
        let path = self.root.registry_path();
        let message =
            format!("`{path}` was changed by another program meanwhile: nothing was saved, run again");
        Fault::refused(message).into()
    }

    /// Makes a backup of the registry if there is none. `text` is the registry's.
    pub fn ensure_backup(&self, text: &str) -> Result<()> {
        if self.dir().has(BACKUP)? { Ok(()) } else { self.replace_backup(text) }
    }

    /// Puts a registry in the place of one that cannot be read, which stays under the name `aside`.
    pub fn replace_broken_registry(&self, new: &str, aside: &str) -> Result<()> {
        self.stage_state(REGISTRY, new)?;
        self.check_lock()?;
        // By a second name, so that there is a registry at every moment. What is no file can only be moved.
        if self.dir().has(REGISTRY)?
            && !self.dir().link(REGISTRY, self.dir(), aside)
            && !self.dir().rename_new(REGISTRY, self.dir(), aside)?
        {
            let message =
                format!("`{}` is there already: run again in a second", self.root.path().join(aside));
            return Err(Fault::refused(message).into());
        }
        self.dir().sync()?;
        self.temporary.rename_over(REGISTRY, self.dir(), REGISTRY)?;
        self.dir().sync()
    }

    /// Replaces the backup.
    pub fn replace_backup(&self, text: &str) -> Result<()> {
        self.stage_state(BACKUP, text)?;
        self.temporary.rename_over(BACKUP, self.dir(), BACKUP)?;
        self.dir().sync()
    }

    fn dir(&self) -> &Dir {
        &self.root.dir
    }

    /// Writes a file of the root's state where nobody looks for it, durably.
    fn stage_state(&self, name: &str, text: &str) -> Result<()> {
        let file = self.temporary.write_new(name, text.as_bytes(), FileMode::PRIVATE)?;
        // The library's own would try again when it fails with EINTR, and what it failed to write may be lost by then.
        rustix::fs::fsync(&file)
            .with_context(|| format!("could not sync `{}`", self.temporary.path().join(name)))
    }

    fn check_lock(&self) -> Result<()> {
        if self.lock.is_held(self.dir())? {
            return Ok(());
        }
        let path = self.root.path().join(LOCK);
        Err(Fault::locked(format!("`{path}` was replaced while kinfra held it: nothing was saved")).into())
    }
}
