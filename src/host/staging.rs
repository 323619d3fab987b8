//! New files in three passes: staged under the root's temporary directory, made durable together, moved into place.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};

use super::fs::{Dir, Found};
use crate::file::{FileMode, RelPath};
use crate::slot::SlotId;

/// Up to how many files are synced one by one; beyond, the whole file system is.
const SYNC_EACH: usize = 64;

/// A file that is to be in a slot directory and is not there yet.
#[derive(Debug, Clone, Copy)]
pub struct NewFile<'a> {
    /// Where it goes, below the slot directory.
    pub path: &'a RelPath,
    /// What is in it.
    pub text: &'a str,
    /// Its permissions.
    pub mode: FileMode,
}

/// New files on their way into slot directories.
#[derive(Debug)]
pub struct Staging<'a> {
    root: &'a Dir,
    temporary: &'a Dir,
    /// What was staged, below the temporary directory.
    files: Vec<Utf8PathBuf>,
    dirs: BTreeSet<Utf8PathBuf>,
}

impl<'a> Staging<'a> {
    pub(super) fn new(root: &'a Dir, temporary: &'a Dir) -> Self {
        Self { root, temporary, files: Vec::new(), dirs: BTreeSet::new() }
    }

    /// First pass: writes a slot's new files where nobody looks for them.
    pub fn stage(&mut self, slot: SlotId, files: &[NewFile<'_>]) -> Result<()> {
        let slot = Utf8PathBuf::from(slot.directory());
        let dir = self.temporary.make_dir(&slot)?;
        self.dirs.insert(slot.clone());
        for NewFile { path, text, mode } in files {
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

    /// Second pass: makes everything that was staged durable.
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

    /// Third pass: moves a slot's staged files into place, replacing nothing.
    pub fn publish(&self, slot: SlotId, files: &[NewFile<'_>]) -> Result<()> {
        let name = slot.directory();
        if self.temporary.rename_new(&name, self.root, &name)? {
            return Ok(());
        }
        let path = self.root.path().join(&name);
        let (from, to) =
            match (self.temporary.dir(Utf8Path::new(&name))?, self.root.dir(Utf8Path::new(&name))?) {
                (Found::This(from), Found::This(to)) => (from, to),
                (_, Found::Other(obstacle)) => bail!("`{path}` is {obstacle}, where a directory belongs"),
                _ => bail!("`{path}` vanished while it was written"),
            };
        for NewFile { path, .. } in files {
            let path = path.as_path();
            let below = path.parent().unwrap_or(Utf8Path::new(""));
            let name = path.file_name().with_context(|| format!("`{path}` does not name a file"))?;
            let Found::This(from) = from.dir(below)? else { bail!("staged `{path}` vanished") };
            let into = to.make_dir(below)?;
            if !from.rename_new(name, &into, name)? {
                bail!(
                    "`{}` appeared while kinfra was writing it: it was left as it is",
                    to.path().join(path)
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

    /// Makes the new slot directories durable in the root, and removes what was staged and not moved.
    pub fn finish(self) -> Result<()> {
        self.root.sync()?;
        self.temporary.empty()
    }
}
