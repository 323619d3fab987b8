//! A worktree's directory, as far as a claim writes to it: one file beside the user's own, and git's list
//! that hides it.

use std::io::ErrorKind;

use anyhow::{Context as _, Result, bail};
use camino::Utf8Path;

use super::fs::{Dir, Found};
use super::git;
use crate::fault::Fault;
use crate::file::{FileMode, Obstacle};

/// The most that the file may be, in bytes.
const LIMIT: u64 = 16 << 20;
/// What is added to a file's name while it is on its way in or out.
const TEMPORARY: &str = ".kinfra-tmp";
/// The file in which git keeps what a user does not want to see, in `info` of the repository (gitignore(5)).
const EXCLUDE: &str = "exclude";

/// A worktree's directory.
#[derive(Debug)]
pub struct WorktreeDir {
    dir: Dir,
}

impl WorktreeDir {
    /// Opens the directory at an absolute path; `None` if there is none.
    ///
    /// # Errors
    /// When it cannot be opened: it is there, or may be.
    pub fn open(path: &Utf8Path) -> Result<Option<Self>> {
        if !path.is_absolute() {
            return Ok(None);
        }
        match Dir::open(path) {
            Ok(dir) => Ok(Some(Self { dir })),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
            Err(error) => Err(error).with_context(|| format!("could not open `{path}`")),
        }
    }

    /// What is under a name: the content of a file.
    ///
    /// # Errors
    /// When that cannot be read.
    pub fn read(&self, name: &str) -> Result<Found<Vec<u8>>> {
        Ok(match self.dir.read(Utf8Path::new(name), LIMIT)? {
            Found::Nothing => Found::Nothing,
            Found::This(content) => Found::This(content.bytes),
            Found::Other(obstacle) => Found::Other(obstacle),
        })
    }

    /// Whether files can be made in the directory.
    pub fn is_writable(&self) -> bool {
        self.dir.is_writable()
    }

    /// Writes a file, whole, where nothing is. Says whether nothing was there.
    ///
    /// # Errors
    /// What keeps it from being written.
    pub fn write_new(&self, name: &str, text: &str) -> Result<bool> {
        let temporary = self.clear(name)?;
        self.dir.write_small(&temporary, text.as_bytes(), FileMode::PRIVATE)?;
        let is_new = self.dir.rename_new(&temporary, &self.dir, name)?;
        if !is_new {
            self.dir.remove_file(&temporary)?;
        }
        Ok(is_new)
    }

    /// Removes a file if its content is what `is_ours` takes it for. Says whether it is gone.
    ///
    /// # Errors
    /// What keeps it from being removed.
    pub fn remove(&self, name: &str, is_ours: impl Fn(&[u8]) -> bool) -> Result<bool> {
        let temporary = self.clear(name)?;
        match self.read(name)? {
            Found::Nothing => return Ok(true),
            Found::This(content) if is_ours(&content) => {}
            Found::Other(Obstacle::Forbidden) => bail!("`{}` may not be read", self.dir.path().join(name)),
            Found::This(_) | Found::Other(_) => return Ok(false),
        }
        // Out of reach before it is looked at once more: what is written to it meanwhile is not lost.
        if !self.dir.rename_new(name, &self.dir, &temporary)? {
            return Ok(false);
        }
        let now = self.read(&temporary)?;
        let is_gone = matches!(&now, Found::This(content) if is_ours(content));
        if is_gone {
            self.dir.remove_file(&temporary)?;
        } else if !self.dir.rename_new(&temporary, &self.dir, name)? {
            let path = self.dir.path();
            let twice = Fault::failed(format!("`{}` was changed twice just now", path.join(name)));
            return Err(twice.advise(format!("save `{}`", path.join(&temporary))).into());
        }
        if matches!(now, Found::Other(Obstacle::Forbidden)) {
            bail!("`{}` may not be read", self.dir.path().join(name));
        }
        Ok(is_gone)
    }

    /// Keeps git from showing files of this name in any worktree of the repository, by its own
    /// `info/exclude`, which is not committed.
    ///
    /// # Errors
    /// When that cannot be written.
    pub fn exclude_from_git(&self, name: &str) -> Result<()> {
        let Some(info) = git::info_of(self.dir.path()) else { return Ok(()) };
        let info = Dir::make(&info)?;
        let text = match info.read(Utf8Path::new(EXCLUDE), LIMIT)? {
            Found::This(content) => String::from_utf8_lossy(&content.bytes).into_owned(),
            Found::Nothing | Found::Other(_) => String::new(),
        };
        let names = [name.to_owned(), format!("{name}{TEMPORARY}")];
        let missing = names.iter().filter(|name| !text.lines().any(|line| line.trim_end() == *name));
        let mut lines: String = missing.flat_map(|name| [name, "\n"]).collect();
        if lines.is_empty() {
            return Ok(());
        }
        if !text.is_empty() && !text.ends_with('\n') {
            lines.insert(0, '\n');
        }
        info.append(EXCLUDE, &lines)
    }

    /// The name for a file on its way, free of what a run left there that was cut short.
    fn clear(&self, name: &str) -> Result<String> {
        let temporary = format!("{name}{TEMPORARY}");
        self.dir.remove_file(&temporary)?;
        Ok(temporary)
    }
}
