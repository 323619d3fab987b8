//! New files in three passes: written to the root's temporary directory, made durable together, moved into
//! place.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};

use super::fs::{Dir, Found};
use crate::fault::Fault;
use crate::file::{FileMode, RelPath};
use crate::slot::SlotId;

/// The most files that are synced one by one. For more, the whole file system is synced.
const SYNC_EACH: usize = 64;

/// A file to create in a slot directory.
#[derive(Debug, Clone, Copy)]
pub struct FileToCreate<'a> {
    /// Its path below the slot directory.
    pub path: &'a RelPath,
    /// Its content.
    pub text: &'a str,
    /// Its permissions.
    pub mode: FileMode,
}

/// New files that are staged, and not yet all in their slot directories.
#[derive(Debug)]
pub struct Staging<'a> {
    root: &'a Dir,
    temporary: &'a Dir,
    /// The staged files, below the temporary directory.
    files: Vec<Utf8PathBuf>,
    /// The directories that hold them.
    dirs: BTreeSet<Utf8PathBuf>,
}

impl<'a> Staging<'a> {
    pub(super) fn new(root: &'a Dir, temporary: &'a Dir) -> Self {
        Self { root, temporary, files: Vec::new(), dirs: BTreeSet::new() }
    }

    /// First pass: writes a slot's new files to the temporary directory.
    pub fn stage(&mut self, slot: SlotId, files: &[FileToCreate<'_>]) -> Result<()> {
        let slot = Utf8PathBuf::from(slot.directory());
        let dir = self.temporary.make_dir(&slot)?;
        self.dirs.insert(slot.clone());
        for FileToCreate { path, text, mode } in files {
            let path = path.as_path();
            let below = path.parent().unwrap_or(Utf8Path::new(""));
            let name = path.file_name().with_context(|| format!("`{path}` does not name a file"))?;
            let parent = if below.as_str().is_empty() { &dir } else { &dir.make_dir(below)? };
            parent.write_new(name, text.as_bytes(), *mode)?;
            self.files.push(slot.join(path));
            self.dirs.extend(below.ancestors().map(|dir| slot.join(dir)));
        }
        Ok(())
    }

    /// Second pass: makes all staged files durable.
    pub fn sync(&self) -> Result<()> {
        if self.files.len() > SYNC_EACH && self.temporary.sync_file_system()? {
            return Ok(());
        }
        for path in &self.files {
            self.temporary.sync_file(path)?;
        }
        for path in &self.dirs {
            if let Found::This(dir) = self.temporary.dir(path)? {
                dir.sync()?;
            }
        }
        Ok(())
    }

    /// Third pass: moves a slot's staged files into place. Replaces nothing.
    ///
    /// # Errors
    /// When another program made a file or directory of that name, or the system fails.
    pub fn publish(&self, slot: SlotId, files: &[FileToCreate<'_>]) -> Result<()> {
        let name = slot.directory();
        if self.temporary.rename_new(&name, self.root, &name)? {
            return Ok(());
        }
        let path = self.root.path().join(&name);
        let (from, to) =
            match (self.temporary.dir(Utf8Path::new(&name))?, self.root.dir(Utf8Path::new(&name))?) {
                (Found::This(from), Found::This(to)) => (from, to),
                (_, Found::Other(obstacle)) => {
                    let blocked = Fault::failed(format!("`{path}` is {obstacle}, where a directory belongs"));
                    return Err(blocked.advise("move it away").into());
                }
                _ => bail!("`{path}` vanished while it was written"),
            };
        for FileToCreate { path, .. } in files {
            let path = path.as_path();
            let below = path.parent().unwrap_or(Utf8Path::new(""));
            let name = path.file_name().with_context(|| format!("`{path}` does not name a file"))?;
            let Found::This(from) = from.dir(below)? else { bail!("staged `{path}` vanished") };
            let into = to.make_dir(below)?;
            if !from.rename_new(name, &into, name)? {
                let path = to.path().join(path);
                bail!(
                    "another program made `{path}` while kinfra was writing it, so kinfra left it as it is"
                );
            }
            for dir in below.ancestors() {
                if let Found::This(dir) = to.dir(dir)? {
                    dir.sync()?;
                }
            }
        }
        Ok(())
    }

    /// Makes the new slot directories durable in the root, and empties the temporary directory.
    pub fn finish(self) -> Result<()> {
        self.root.sync()?;
        self.temporary.empty()
    }
}
