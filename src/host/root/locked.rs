//! Writing a pool's root: the registry, its backup, new files. The holder of a [`LockedRoot`] is the only
//! writer.

use anyhow::{Context as _, Error, Result, anyhow};
use camino::Utf8Path;

use super::open::{BACKUP, LOCK, REGISTRY, REGISTRY_LIMIT, RegistryText, Root, TEMPORARY};
use crate::digest::Digest;
use crate::fault::Fault;
use crate::file::FileMode;
use crate::host::fs::{self, Dir, Found};
use crate::host::lock::{Lock, LockPolicy};
use crate::host::staging::Staging;

/// The prefix of a staged registry's second name, its marker. The hash of the text that it replaces follows.
const REPLACES: &str = "replaces-";

/// A root whose lock is held: the right to write.
#[derive(Debug)]
pub struct LockedRoot {
    root: Root,
    lock: Lock,
    temporary: Dir,
}

/// What an earlier run left in the temporary directory.
enum Left {
    Nothing,
    Temps,
    /// A save that was cut short, by its marker.
    Save(String),
}

impl Drop for LockedRoot {
    /// Removes the staged files of a failed run, unless they are needed to complete a save. The next writer
    /// completes the save, and removes what could not be removed now.
    fn drop(&mut self) {
        if matches!(self.left(), Ok(Left::Temps)) {
            let _ = self.temporary.empty();
        }
    }
}

impl Root {
    /// Takes the lock.
    ///
    /// # Errors
    /// [`Fault`] when another process holds it.
    pub fn lock(self, policy: &LockPolicy<'_>) -> Result<LockedRoot> {
        let lock = Lock::acquire(&self.dir, policy)?;
        let temporary = self.dir.make_dir(Utf8Path::new(TEMPORARY))?;
        self.check_backup()?;
        let locked = LockedRoot { root: self, lock, temporary };
        locked.sweep()?;
        Ok(locked)
    }
}

impl LockedRoot {
    /// The root, for reading.
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// The directory for files on their way into or out of the root.
    pub(in crate::host) fn temporary(&self) -> &Dir {
        &self.temporary
    }

    /// Begins to write new files.
    pub fn stage(&self) -> Staging<'_> {
        Staging::new(&self.root.dir, &self.temporary)
    }

    /// Replaces the registry and its backup, durably and each atomically. `read` is the registry that the new
    /// one was made from. Returns the saved registry.
    ///
    /// # Errors
    /// [`Fault`] when the registry on disk is no longer the one that was read. Another program's save is
    /// kept.
    pub fn save(&self, read: Option<&RegistryText>, new: &str) -> Result<RegistryText> {
        if u64::try_from(new.len()).unwrap_or(u64::MAX) > REGISTRY_LIMIT {
            let (path, limit) = (self.root.registry_path(), REGISTRY_LIMIT >> 20);
            return Err(anyhow!("`{path}` would be larger than {limit} MiB, so it was not saved"));
        }
        // Stage both before either is moved into place, so that a full disk changes nothing.
        self.stage_state(REGISTRY, new)?;
        self.stage_state(BACKUP, new)?;
        self.check_lock()?;
        if self.dir().stamp(REGISTRY) != read.and_then(|read| read.stamp) {
            return Err(self.was_changed());
        }
        let marker = match read {
            None => {
                if !self.temporary.rename_new(REGISTRY, self.dir(), REGISTRY)? {
                    return Err(self.was_changed());
                }
                // A backup without a registry means that the registry vanished, so the first backup comes
                // after it.
                self.dir().sync()?;
                None
            }
            Some(old) => self.exchange_registry(&old.text)?,
        };
        self.temporary.rename_over(BACKUP, self.dir(), BACKUP)?;
        self.dir().sync()?;
        // The old registry, and the marker.
        self.temporary.remove_file(REGISTRY)?;
        marker.map_or(Ok(()), |marker| self.temporary.remove_file(&marker))?;
        Ok(RegistryText { text: new.to_owned(), stamp: self.dir().stamp(REGISTRY) })
    }

    /// Exchanges the staged registry for the one in place, which should be `old`. If it is another, a program
    /// saved in between, and its registry is put back. Returns the marker. After a crash here, the marker
    /// tells the next writer which registry should have been in place.
    fn exchange_registry(&self, old: &str) -> Result<Option<String>> {
        let replaces = format!("{REPLACES}{}", Digest::of(old.as_bytes()));
        let is_marked = self.temporary.link(REGISTRY, &self.temporary, &replaces);
        let exchanged =
            if is_marked { self.temporary.exchange(REGISTRY, self.dir(), REGISTRY) } else { Ok(false) };
        if !matches!(exchanged, Ok(true)) {
            self.temporary.remove_file(&replaces)?;
        }
        if !exchanged? {
            // This file system cannot exchange names. A save by another program between these two calls is
            // not noticed.
            if self.root.registry()?.as_deref() != Some(old) {
                return Err(self.was_changed());
            }
            return self.temporary.rename_over(REGISTRY, self.dir(), REGISTRY).map(|()| None);
        }
        if self.give_back(&replaces, |bytes| bytes == old.as_bytes())? {
            Err(self.was_changed())
        } else {
            Ok(Some(replaces))
        }
    }

    /// Puts back a registry that another program saved just before the exchange. Returns whether there was
    /// one. `is_old` says whether a text is the registry that should be replaced.
    fn give_back(&self, replaces: &str, is_old: impl Fn(&[u8]) -> bool) -> Result<bool> {
        if !self.dir().same_file(REGISTRY, &self.temporary, replaces)? {
            return Ok(false);
        }
        match self.temporary.read(Utf8Path::new(REGISTRY), REGISTRY_LIMIT) {
            Ok(Found::Nothing) => return Ok(false),
            Ok(Found::This(content)) if is_old(&content.bytes) => return Ok(false),
            Err(error) if fs::is_system_error(&error) => return Err(error),
            Ok(Found::This(_) | Found::Other(_)) | Err(_) => {}
        }
        self.temporary.exchange(REGISTRY, self.dir(), REGISTRY)?;
        if !self.temporary.same_file(REGISTRY, &self.temporary, replaces)? {
            // That program saved once more in between.
            self.temporary.exchange(REGISTRY, self.dir(), REGISTRY)?;
        }
        self.dir().sync()?;
        Ok(true)
    }

    /// Completes or undoes a save that was cut short, and removes all temporary files.
    fn sweep(&self) -> Result<()> {
        match self.left()? {
            Left::Nothing => return Ok(()),
            Left::Temps => {}
            Left::Save(replaces) => {
                let was_saved = self.dir().same_file(REGISTRY, &self.temporary, &replaces)?;
                if was_saved
                    && !self.give_back(&replaces, |bytes| {
                        replaces == format!("{REPLACES}{}", Digest::of(bytes))
                    })?
                    && let Some(text) = self.root.registry()?
                {
                    self.temporary.remove_file(BACKUP)?;
                    self.replace_backup(&text)?;
                }
            }
        }
        self.temporary.empty()
    }

    /// What is in the temporary directory.
    fn left(&self) -> Result<Left> {
        let names = self.temporary.names()?;
        let mut texts = names.iter().filter_map(|name| name.to_str());
        Ok(match texts.find(|name| name.starts_with(REPLACES)) {
            Some(replaces) => Left::Save(replaces.to_owned()),
            None if names.is_empty() => Left::Nothing,
            None => Left::Temps,
        })
    }

    fn was_changed(&self) -> Error {
        let path = self.root.registry_path();
        let what = format!("`{path}` was changed by another program meanwhile: nothing was saved");
        Fault::refused(what).advise("run again").into()
    }

    /// Makes a backup of the registry if there is none. `text` is the registry's.
    pub fn ensure_backup(&self, text: &str) -> Result<()> {
        if self.dir().has(BACKUP)? { Ok(()) } else { self.replace_backup(text) }
    }

    /// Replaces a registry that cannot be read, and keeps it under the name `aside`. `broken` is its readable
    /// text.
    ///
    /// # Errors
    /// [`Fault`] when the registry on disk is no longer that one.
    pub fn replace_broken_registry(&self, new: &str, broken: &str, aside: &str) -> Result<()> {
        self.stage_state(REGISTRY, new)?;
        self.check_lock()?;
        if !self.dir().has(REGISTRY)? {
            if !self.temporary.rename_new(REGISTRY, self.dir(), REGISTRY)? {
                return Err(self.was_changed());
            }
            return self.dir().sync();
        }
        // The broken one goes into the root, because staged files are removed by the next writer. So a kill
        // in between loses neither.
        if !self.temporary.rename_new(REGISTRY, self.dir(), aside)? {
            let what = format!("`{}` is there already", self.root.path().join(aside));
            return Err(Fault::refused(what).advise("run again in a second").into());
        }
        if !self.dir().exchange(aside, self.dir(), REGISTRY)? {
            self.dir().remove_file(aside)?;
            let path = self.root.registry_path();
            let what = format!("`{path}` cannot be replaced here");
            return Err(Fault::refused(what).advise("move it away and run again").into());
        }
        if self.root.legible(aside) != broken {
            self.dir().exchange(aside, self.dir(), REGISTRY)?;
            self.dir().remove_file(aside)?;
            return Err(self.was_changed());
        }
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

    /// Stages a file of the root's state, durably.
    fn stage_state(&self, name: &str, text: &str) -> Result<()> {
        let file = self.temporary.write_new(name, text.as_bytes(), FileMode::PRIVATE)?;
        // `File::sync_all` tries again after EINTR. By then the kernel may have dropped what it failed to
        // write.
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
