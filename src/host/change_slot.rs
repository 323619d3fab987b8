//! Changing the files of a slot directory. A file is changed only if it still has the content that the plan
//! saw.

use std::collections::BTreeSet;

use anyhow::{Context as _, Error, Result, anyhow, bail};
use camino::{Utf8Path, Utf8PathBuf};

use super::clock;
use super::create_slot::FileToCreate;
use super::fs::{Dir, Found};
use super::root::LockedRoot;
use crate::digest::Digest;
use crate::fault::Fault;
use crate::file::{FileMode, RelPath};
use crate::names::is_derived;
use crate::slot::SlotId;

/// The directory in the root that keeps copies of overwritten files.
pub const BACKUPS: &str = "backups";
/// The name in the temporary directory of a file that is to be removed.
const LEAVING: &str = "leaving";
/// The name in the temporary directory of a file that is being written.
const COPY: &str = "copy";
/// The largest file that is changed, in bytes.
const LIMIT: u64 = 256 << 20;

/// A slot's directory, opened to change files in it.
#[derive(Debug)]
pub struct SlotFiles<'a> {
    root: &'a LockedRoot,
    slot: SlotId,
    dir: Dir,
}

impl<'a> SlotFiles<'a> {
    /// Opens the directory of a slot. `None` if there is none.
    ///
    /// # Errors
    /// [`Fault`] when something else has its name.
    pub fn open(root: &'a LockedRoot, slot: SlotId) -> Result<Option<Self>> {
        match root.root().slot(slot)? {
            Found::This(dir) => Ok(Some(Self { root, slot, dir })),
            Found::Nothing => Ok(None),
            Found::Other(obstacle) => {
                let blocked = Fault::failed(format!("the directory of slot {slot} is {obstacle}"));
                Err(blocked.advise("move it away").into())
            }
        }
    }

    /// Keeps a copy of a file below `backups`, durably. Returns the path of the copy.
    pub fn back_up(&self, path: &RelPath, expected: Digest) -> Result<Utf8PathBuf> {
        let (parent, name) = self.parent(path)?;
        let Found::This(content) = parent.read(Utf8Path::new(name), LIMIT)? else {
            return Err(self.changed(path));
        };
        if Digest::of(&content.bytes) != expected {
            return Err(self.changed(path));
        }
        let temporary = self.root.temporary();
        let copy = temporary.write_new(COPY, &content.bytes, content.mode)?;
        rustix::fs::fsync(&copy).with_context(|| format!("could not sync a copy of `{path}`"))?;
        let below = Utf8Path::new(BACKUPS).join(self.slot.directory());
        let below = path.as_path().parent().map_or(below.clone(), |parent| below.join(parent));
        let dir = self.root.root().dir().make_dir(&below)?;
        let stamp = clock::stamp();
        let mut kept = format!("{name}.{stamp}");
        let mut again = 2;
        while !temporary.rename_new(COPY, &dir, &kept)? {
            kept = format!("{name}.{stamp}-{again}");
            again += 1;
        }
        for ancestor in below.ancestors() {
            if let Found::This(dir) = self.root.root().dir().dir(ancestor)? {
                dir.sync()?;
            }
        }
        Ok(dir.path().join(kept))
    }

    /// Creates a file that kinfra can make again after a power cut. Returns `false`, and writes nothing, if
    /// something has its name.
    pub fn add(&self, file: &FileToCreate<'_>) -> Result<bool> {
        let (path, temporary) = (file.path.as_path(), self.root.temporary());
        let name = path.file_name().with_context(|| format!("`{path}` does not name a file"))?;
        let parent = self.dir.make_dir(path.parent().unwrap_or(Utf8Path::new("")))?;
        temporary.write_small(COPY, file.text.as_bytes(), file.mode)?;
        let is_new = temporary.rename_new(COPY, &parent, name)?;
        if !is_new {
            temporary.remove_file(COPY)?;
        }
        Ok(is_new)
    }

    /// Replaces a file by its staged new version.
    ///
    /// # Errors
    /// [`Fault`] when the file no longer has the `expected` content. It is then left as it is.
    pub fn replace(&self, path: &RelPath, expected: Digest) -> Result<()> {
        let (parent, name) = self.parent(path)?;
        let staged = Utf8Path::new(&self.slot.directory()).join(path.as_path());
        let Found::This((from, _)) = self.root.temporary().parent_of(&staged)? else {
            bail!("staged `{path}` vanished")
        };
        let from = from.ok_or_else(|| anyhow!("`{staged}` is not below the temporary directory"))?;
        if from.exchange(name, &parent, name)? {
            // The exchange returns the file that was in place. Another program may have changed it since it
            // was read.
            if !has_content(&from, name, expected)? {
                from.exchange(name, &parent, name)?;
                return Err(self.changed(path));
            }
        } else if has_content(&parent, name, expected)? {
            from.rename_over(name, &parent, name)?;
        } else {
            return Err(self.changed(path));
        }
        parent.sync()
    }

    /// Removes a file, and then each directory above it that is empty. `expected` is `None` if the file is
    /// already gone.
    ///
    /// # Errors
    /// [`Fault`] when the file no longer has the `expected` content. It is then left as it is.
    pub fn remove(&self, path: &RelPath, expected: Option<Digest>) -> Result<()> {
        if let Some(expected) = expected {
            self.remove_file(path, expected)?;
        }
        for dir in path.as_path().ancestors().skip(1) {
            let Some(name) = dir.file_name() else { break };
            let Found::This((above, _)) = self.dir.parent_of(dir)? else { continue };
            let above = above.as_ref().unwrap_or(&self.dir);
            if !above.remove_if_empty(name)? {
                break;
            }
            above.sync()?;
        }
        Ok(())
    }

    fn remove_file(&self, path: &RelPath, expected: Digest) -> Result<()> {
        let (parent, name) = self.parent(path)?;
        let temporary = self.root.temporary();
        if !parent.rename_new(name, temporary, LEAVING)? {
            bail!("`{}` is taken", temporary.path().join(LEAVING));
        }
        if !has_content(temporary, LEAVING, expected)? {
            temporary.rename_new(LEAVING, &parent, name)?;
            return Err(self.changed(path));
        }
        temporary.remove_file(LEAVING)?;
        parent.sync()
    }

    /// Sets the permissions of a file.
    pub fn set_mode(&self, path: &RelPath, mode: FileMode) -> Result<()> {
        let (parent, name) = self.parent(path)?;
        parent.set_mode(name, mode)
    }

    /// Removes the slot's directory if it is empty but for derived files. Returns whether it is gone.
    /// [`Staging::finish`](super::create_slot::Staging::finish) makes that durable.
    pub fn remove_dir(self) -> Result<bool> {
        let names = self.dir.others(&BTreeSet::new())?;
        if names.iter().all(|name| is_derived(name)) {
            names.iter().try_for_each(|name| self.dir.remove_file(name))?;
        }
        self.root.root().dir().remove_if_empty(&self.slot.directory())
    }

    fn parent<'b>(&self, path: &'b RelPath) -> Result<(Dir, &'b str)> {
        let Found::This((parent, name)) = self.dir.parent_of(path.as_path())? else {
            bail!("the directory of `{path}` in slot {} vanished", self.slot);
        };
        let Found::This(parent) =
            parent.map_or_else(|| self.dir.dir(Utf8Path::new("")), |parent| Ok(Found::This(parent)))?
        else {
            bail!("the directory of slot {} vanished", self.slot);
        };
        Ok((parent, name))
    }

    fn changed(&self, path: &RelPath) -> Error {
        let path = self.dir.path().join(path.as_path());
        let changed =
            Fault::failed(format!("`{path}` was changed by another program, so kinfra left it as it is"));
        changed.advise("run the command again").into()
    }
}

/// Whether a file in a directory is a regular file with this content.
fn has_content(dir: &Dir, name: &str, expected: Digest) -> Result<bool> {
    let found = dir.read(Utf8Path::new(name), LIMIT)?;
    Ok(matches!(found, Found::This(content) if Digest::of(&content.bytes) == expected))
}
