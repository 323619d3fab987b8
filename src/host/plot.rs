//! The directory in which a worktree is to be made. While it is being made, no other start takes the place:
//! the directory itself is the lock, and git holds it, too, for as long as it works there.
#![expect(clippy::disallowed_methods, reason = "this is where kinfra makes the directory of a worktree")]

use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind};

use anyhow::{Context as _, Result};
use camino::{Utf8Path, Utf8PathBuf};
use rustix::io::{FdFlags, fcntl_getfd, fcntl_setfd};

use super::fs::{Dir, Umask, canonical};

/// A directory that is held for a worktree.
#[derive(Debug)]
pub struct Plot {
    path: Utf8PathBuf,
    file: File,
    /// What was made for it, the innermost first.
    made: Vec<Utf8PathBuf>,
}

/// What came of taking a place.
#[derive(Debug)]
pub enum Taking {
    /// It is held.
    Taken(Plot),
    /// Something is there.
    Occupied,
    /// Another start makes a worktree there.
    InUse,
}

impl Plot {
    /// Takes a place: makes its directory, or takes an empty one that is there.
    ///
    /// # Errors
    /// When the directory cannot be made or looked at.
    pub fn take(path: &Utf8Path, umask: Umask) -> Result<Taking> {
        let cannot = || format!("could not make `{path}`");
        let made = umask.during(|| make(path)).with_context(cannot)?;
        let Some(made) = made else { return Ok(Taking::Occupied) };
        let dir = match Dir::open(path) {
            Ok(dir) => dir,
            Err(error) if error.kind() == ErrorKind::NotADirectory => return Ok(Taking::Occupied),
            Err(error) => return Err(error).with_context(cannot),
        };
        let file = dir.as_file()?;
        if let Err(TryLockError::WouldBlock) = file.try_lock() {
            return Ok(Taking::InUse);
        }
        // A start that was undone meanwhile has removed it.
        if !dir.is_at_its_path()? {
            return Ok(Taking::InUse);
        }
        if !dir.names()?.is_empty() {
            return Ok(Taking::Occupied);
        }
        let path = canonical(path).with_context(cannot)?;
        Ok(Taking::Taken(Self { path, file, made }))
    }

    /// Holds a directory that is there, whatever is in it. `None` if another start does.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn hold(path: &Utf8Path) -> Result<Option<Self>> {
        let file = Dir::open(path).with_context(|| format!("could not open `{path}`"))?.as_file()?;
        let is_held = matches!(file.try_lock(), Err(TryLockError::WouldBlock));
        let path = canonical(path).with_context(|| format!("`{path}` cannot be resolved"))?;
        Ok((!is_held).then_some(Self { path, file, made: Vec::new() }))
    }

    /// Holds an empty directory that is there, as one that was made for it. `None` if there is none.
    ///
    /// # Errors
    /// When it cannot be looked at.
    pub fn empty(path: &Utf8Path) -> Result<Option<Taking>> {
        let is_empty = || Dir::open(path).map_or(Ok(false), |dir| dir.names().map(|names| names.is_empty()));
        if !is_empty()? {
            return Ok(None);
        }
        let Some(plot) = Self::hold(path)? else { return Ok(Some(Taking::InUse)) };
        let made = vec![plot.path.clone()];
        // A start may have filled it just now.
        Ok(is_empty()?.then_some(Taking::Taken(Self { made, ..plot })))
    }

    /// Its canonical path.
    pub fn path(&self) -> &Utf8Path {
        &self.path
    }

    /// Whether nothing was at its path before.
    pub fn is_new(&self) -> bool {
        !self.made.is_empty()
    }

    /// Removes the directory and those above it that were made for it, as far as nothing is in them.
    pub fn give_up(self) {
        remove(&self.made);
    }

    /// Starts a program that holds the place, too.
    pub(super) fn lend<T>(&self, run: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let before = fcntl_getfd(&self.file)?;
        fcntl_setfd(&self.file, before - FdFlags::CLOEXEC)?;
        let done = run();
        fcntl_setfd(&self.file, before)?;
        done
    }
}

/// Removes directories, the innermost first, as far as nothing is in them.
fn remove(made: &[Utf8PathBuf]) {
    for dir in made {
        if fs::remove_dir(dir).is_err_and(|error| error.kind() != ErrorKind::NotFound) {
            return;
        }
    }
}

/// Makes a directory and those above it. What was made, the innermost first. `None` if a file is in the way.
fn make(path: &Utf8Path) -> io::Result<Option<Vec<Utf8PathBuf>>> {
    let mut made = Vec::new();
    let missing = path.ancestors().take_while(|above| fs::symlink_metadata(above).is_err());
    let missing: Vec<&Utf8Path> = missing.collect();
    for dir in missing.into_iter().rev() {
        match fs::create_dir(dir) {
            Ok(()) => made.insert(0, dir.to_owned()),
            // Another program made it just now.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => {
                remove(&made);
                return Err(error);
            }
        }
    }
    Ok(fs::metadata(path).is_ok_and(|found| found.is_dir()).then_some(made))
}
