//! The part of a worktree that a claim writes: one file beside the user's own, and git's list that hides it.

use std::io::ErrorKind;

use anyhow::{Context as _, Result, bail};
use camino::Utf8Path;

use super::fs::{Dir, Found, Missing};
use super::{git, owner};
use crate::fault::Fault;
use crate::file::{FileMode, Obstacle};

/// The most that the file may be, in bytes.
const LIMIT: u64 = 16 << 20;
/// The suffix of a file's name while it is written or removed.
const TEMPORARY: &str = ".kinfra-tmp";
/// Git's own list of hidden files, in `info` of the repository (gitignore(5)).
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
    /// When it exists, or may exist, and cannot be opened.
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

    /// The content of the file with this name.
    ///
    /// # Errors
    /// When it cannot be read.
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

    /// Refuses to write here under `sudo`, if the directory is another user's.
    ///
    /// # Errors
    /// [`Fault`] names the owner.
    pub fn check_sudo(&self) -> Result<()> {
        Ok(owner::check_sudo(self.dir.path())?)
    }

    /// Writes a complete file if nothing has its name. Returns whether it did.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_new(&self, name: &str, text: &str) -> Result<bool> {
        let temporary = self.clear(name)?;
        self.dir.write_small(&temporary, text.as_bytes(), FileMode::PRIVATE)?;
        let is_new = self.dir.rename_new(&temporary, &self.dir, name)?;
        if !is_new {
            self.dir.remove_file(&temporary)?;
        }
        Ok(is_new)
    }

    /// Removes a file if `is_ours` accepts its content. Returns whether it is gone.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove(&self, name: &str, is_ours: impl Fn(&[u8]) -> bool) -> Result<bool> {
        let temporary = self.clear(name)?;
        match self.read(name)? {
            Found::Nothing => return Ok(true),
            Found::This(content) if is_ours(&content) => {}
            Found::Other(Obstacle::Forbidden) => bail!("`{}` may not be read", self.dir.path().join(name)),
            Found::This(_) | Found::Other(_) => return Ok(false),
        }
        // Move it out of reach and check it once more, so that a change made meanwhile is not lost.
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

    /// Hides files of this name from git in all worktrees of the repository.
    ///
    /// # Errors
    /// As [`exclude_from_git`].
    pub fn exclude_from_git(&self, name: &str) -> Result<()> {
        exclude_from_git(self.dir.path(), &[name, &format!("{name}{TEMPORARY}")])
    }

    /// The temporary name of a file. Removes what a run that was cut short left there.
    fn clear(&self, name: &str) -> Result<String> {
        let temporary = format!("{name}{TEMPORARY}");
        self.dir.remove_file(&temporary)?;
        Ok(temporary)
    }
}

/// Hides what these lines name from git in all worktrees of the repository that holds a directory, by
/// `info/exclude`, which is never committed. Leaves a list alone that is no plain file.
///
/// # Errors
/// When that file cannot be written.
pub fn exclude_from_git(dir: &Utf8Path, names: &[&str]) -> Result<()> {
    let Some(info) = git::info_of(dir) else { return Ok(()) };
    let info = Dir::make(&info)?;
    let text = match info.read(Utf8Path::new(EXCLUDE), LIMIT)? {
        Found::This(content) => String::from_utf8_lossy(&content.bytes).into_owned(),
        Found::Nothing => String::new(),
        // A link leads to a file that other repositories may share.
        Found::Other(_) => return Ok(()),
    };
    let missing = names.iter().filter(|name| !text.lines().any(|line| line.trim_end() == **name));
    let mut lines: String = missing.flat_map(|name| [*name, "\n"]).collect();
    if lines.is_empty() {
        return Ok(());
    }
    if !text.is_empty() && !text.ends_with('\n') {
        lines.insert(0, '\n');
    }
    info.append(EXCLUDE, &lines, Missing::Make)
}
