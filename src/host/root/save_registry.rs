//! Saving the registry and its backup: staged, exchanged, looked at, synced. A crash at any moment leaves a
//! whole registry.

use anyhow::{Result, anyhow};
use camino::Utf8Path;

use super::journal::Added;
use super::locked::{LockedRoot, REPLACES};
use super::open::{BACKUP, REGISTRY, REGISTRY_LIMIT, RegistryText};
use crate::digest::Digest;
use crate::fault::Fault;
use crate::history::Change;
use crate::host::fs::{self, Found};

impl LockedRoot {
    /// Replaces the registry and its backup, durably and each atomically. `read` is what the new one was made
    /// from, and `change` what the journal says of it. Gives the registry as it is then.
    ///
    /// # Errors
    /// [`Fault`] when the registry on disk is no longer the one that was read: another program's save is not
    /// lost.
    pub fn save(
        &self,
        read: Option<&RegistryText>,
        new: String,
        change: Option<&Change>,
    ) -> Result<RegistryText> {
        if u64::try_from(new.len()).unwrap_or(u64::MAX) > REGISTRY_LIMIT {
            let (path, limit) = (self.root.registry_path(), REGISTRY_LIMIT >> 20);
            return Err(anyhow!("`{path}` would be larger than {limit} MiB, so it was not saved"));
        }
        // Both before either is in place: a disk that has no room for one changes nothing.
        self.stage_state(REGISTRY, &new)?;
        self.stage_state(BACKUP, &new)?;
        self.check_lock()?;
        if self.dir().stamp(REGISTRY) != read.and_then(|read| read.stamp) {
            return Err(self.was_changed());
        }
        // Before the save: no change that is saved is missing, and one that is not saved is taken out.
        let added = change.and_then(|change| self.record(change));
        // That took a moment. Where another process has the lock by now, it may have added a line, too.
        if let Err(lost) = self.check_lock() {
            added.into_iter().filter(|_| self.check_lock().is_ok()).for_each(Added::take_back);
            return Err(lost);
        }
        let replaced = read.map_or_else(
            || self.temporary.rename_new(REGISTRY, self.dir(), REGISTRY).map(|is_new| is_new.then_some(None)),
            |old| self.exchange_registry(&old.text).map(Some),
        );
        let Ok(Some(marker)) = replaced else {
            added.into_iter().for_each(Added::take_back);
            return Err(replaced.err().unwrap_or_else(|| self.was_changed()));
        };
        if read.is_none() {
            // A backup without a registry means that the registry vanished, so the first backup comes after
            // it.
            self.dir().sync()?;
        }
        self.temporary.rename_over(BACKUP, self.dir(), BACKUP)?;
        self.dir().sync()?;
        // What was replaced, and the marker.
        self.temporary.remove_file(REGISTRY)?;
        marker.map_or(Ok(()), |marker| self.temporary.remove_file(&marker))?;
        Ok(RegistryText { text: new.into(), stamp: self.dir().stamp(REGISTRY) })
    }

    /// Exchanges the staged registry for the one in place, which should be `old`. If it is another, a program
    /// saved in between, and its registry is put back. Gives the marker: it tells the next writer, after a
    /// crash here, what should have come out.
    fn exchange_registry(&self, old: &str) -> Result<Option<String>> {
        let replaces = format!("{REPLACES}{}", Digest::of(old.as_bytes()));
        let is_marked = self.temporary.link(REGISTRY, &self.temporary, &replaces);
        let exchanged =
            if is_marked { self.temporary.exchange(REGISTRY, self.dir(), REGISTRY) } else { Ok(false) };
        if !matches!(exchanged, Ok(true)) {
            self.temporary.remove_file(&replaces)?;
        }
        if !exchanged? {
            // This file system cannot exchange names: a program that saves between these two calls is not
            // noticed.
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

    /// Puts back a registry that another program saved just before the exchange. Says whether there was one.
    /// `is_old` says whether a text is the one that was to be replaced.
    pub(super) fn give_back(&self, replaces: &str, is_old: impl Fn(&[u8]) -> bool) -> Result<bool> {
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
            // That program has saved once more in between.
            self.temporary.exchange(REGISTRY, self.dir(), REGISTRY)?;
        }
        self.dir().sync()?;
        Ok(true)
    }

    /// Makes a backup of the registry if there is none. `text` is the registry's.
    pub fn ensure_backup(&self, text: &str) -> Result<()> {
        if self.dir().has(BACKUP)? { Ok(()) } else { self.replace_backup(text) }
    }

    /// Replaces a registry that cannot be read, and keeps it under the name `aside`. `broken` is what could
    /// be read of it.
    ///
    /// # Errors
    /// [`Fault`] when it is no longer that one.
    pub fn replace_broken_registry(&self, new: &str, broken: &str, aside: &str) -> Result<()> {
        self.stage_state(REGISTRY, new)?;
        self.check_lock()?;
        if !self.dir().has(REGISTRY)? {
            if !self.temporary.rename_new(REGISTRY, self.dir(), REGISTRY)? {
                return Err(self.was_changed());
            }
            return self.dir().sync();
        }
        // In the root and not among the staged files, which are swept: killed in between, both are there.
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
}
