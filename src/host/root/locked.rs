//! Writing a pool's root: the registry, its backup, new files. The holder of a [`LockedRoot`] is the only
//! writer.

use anyhow::{Context as _, Error, Result};
use camino::Utf8Path;

use super::open::{BACKUP, LOCK, REGISTRY, Root, TEMPORARY};
use crate::digest::Digest;
use crate::fault::Fault;
use crate::file::FileMode;
use crate::host::closed::Closed;
use crate::host::create_slot::Staging;
use crate::host::fs::Dir;
use crate::host::lock::{Hold, Lock, LockPolicy};

/// The prefix of a staged registry's second name, its marker. The hash of the text that it replaces follows.
pub(super) const REPLACES: &str = "replaces-";

/// A root whose lock is held: the right to write.
#[derive(Debug)]
pub struct LockedRoot {
    pub(super) root: Root,
    lock: Lock,
    pub(super) temporary: Dir,
}

/// What an earlier run left in the temporary directory.
enum Left {
    Nothing,
    Temps,
    /// A save that was cut short, by its marker.
    Save(String),
}

impl Drop for LockedRoot {
    /// Removes the staged files of a failed run, unless they are needed to complete a save, or may be another
    /// writer's because the lock was replaced. The next writer completes the save, and removes what could not
    /// be removed now.
    fn drop(&mut self) {
        if matches!(self.left(), Ok(Left::Temps)) && self.check_lock().is_ok() {
            let _ = self.temporary.empty();
        }
    }
}

impl Root {
    /// Takes the lock. `None` if the root's path leads elsewhere by then: the root was moved away, and what
    /// is at its path now has a lock of its own.
    ///
    /// # Errors
    /// [`Fault`] when another process holds it.
    pub fn lock(self, policy: &LockPolicy<'_>) -> Result<Option<LockedRoot>> {
        let lock = || Closed::to_writing(&self.path().join(LOCK));
        if let Some(closed) = Closed::to_new_files(self.path()).or_else(lock) {
            return Err(Fault::from(closed).into());
        }
        let lock = Lock::acquire(&self.dir, LOCK, Hold::Alone, policy)?;
        if !self.dir.is_at_its_path()? {
            return Ok(None);
        }
        let temporary = self.dir.make_dir(Utf8Path::new(TEMPORARY))?;
        self.check_backup()?;
        let locked = LockedRoot { root: self, lock, temporary };
        locked.sweep()?;
        Ok(Some(locked))
    }

    /// The error for a root that was moved away meanwhile.
    pub fn was_moved(&self) -> Fault {
        let path = self.path();
        Fault::locked(format!("root `{path}` was moved or replaced meanwhile: nothing was saved"))
            .advise("run again")
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

    /// Completes or takes back a save that was cut short, and removes everything that was on its way.
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
        self.forget_unsaved();
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

    pub(super) fn was_changed(&self) -> Error {
        let path = self.root.registry_path();
        let what = format!("`{path}` was changed by another program meanwhile: nothing was saved");
        Fault::refused(what).advise("run again").into()
    }

    pub(super) fn dir(&self) -> &Dir {
        &self.root.dir
    }

    /// Stages a file of the root's state, durably.
    pub(super) fn stage_state(&self, name: &str, text: &str) -> Result<()> {
        let file = self.temporary.write_new(name, text.as_bytes(), FileMode::PRIVATE)?;
        // `File::sync_all` tries again after EINTR. By then the kernel may have dropped what it failed to
        // write.
        rustix::fs::fsync(&file)
            .with_context(|| format!("could not sync `{}`", self.temporary.path().join(name)))
    }

    pub(super) fn check_lock(&self) -> Result<()> {
        if !self.dir().is_at_its_path()? {
            return Err(self.root.was_moved().into());
        }
        if self.lock.is_held(self.dir())? {
            return Ok(());
        }
        let path = self.root.path().join(LOCK);
        Err(Fault::locked(format!("`{path}` was replaced while kinfra held it: nothing was saved")).into())
    }
}
