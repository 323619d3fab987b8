//! The directory in which `kinfra init` writes a project's files before they get their names.

use std::fs::{File, TryLockError};

use anyhow::{Context as _, Result};
use camino::Utf8Path;

use super::fs::Dir;
use crate::fault::Fault;
use crate::file::Obstacle;

/// Its name.
const NAME: &str = ".kinfra-init";

/// The staging directory of a project. While it is open, no other init of the project runs.
#[derive(Debug)]
pub struct ProjectStaging {
    project: Dir,
    dir: Dir,
    /// Its handle, which is locked. The kernel frees it, however this process ends.
    lock: File,
}

impl ProjectStaging {
    /// Makes the directory, or takes over what an init left that was killed. Its files have numbers for
    /// names: with any other name in it, the directory is not kinfra's.
    ///
    /// # Errors
    /// [`Fault`] when it is not kinfra's, or another init runs.
    pub fn begin(project: Dir) -> Result<Self> {
        let dir = project.make_dir(Utf8Path::new(NAME))?;
        let lock = dir.as_file()?;
        let runs = || Fault::refused(format!("`{NAME}` is in use: another `kinfra init` runs here"));
        match lock.try_lock() {
            Err(TryLockError::WouldBlock) => return Err(runs().advise("wait for it").into()),
            // Where directories cannot be locked, two inits at once still replace nothing.
            Ok(()) | Err(TryLockError::Error(_)) => {}
        }
        if !project.still_names(NAME, &lock).with_context(|| format!("could not examine `{NAME}`"))? {
            return Err(runs().advise("run it again").into());
        }
        let staging = Self { project, dir, lock };
        staging.refuse_foreign()?;
        staging.dir.empty()?;
        Ok(staging)
    }

    fn refuse_foreign(&self) -> Result<()> {
        for name in self.dir.names()? {
            let name = name.to_string_lossy();
            let is_numbered = name.parse::<u32>().is_ok();
            if !is_numbered || self.dir.obstacle(&name)? != Some(Obstacle::File) {
                let what = format!("`{NAME}` is there, and not kinfra's: `{}` is in it", name.escape_debug());
                return Err(Fault::refused(what).advise("move it away first").into());
            }
        }
        Ok(())
    }

    /// The directory.
    pub fn dir(&self) -> &Dir {
        &self.dir
    }

    /// The directory of the project.
    pub fn project(&self) -> &Dir {
        &self.project
    }

    /// Removes the directory, with what is in it.
    ///
    /// # Errors
    /// When something of it stays.
    pub fn end(self) -> Result<()> {
        self.dir.empty()?;
        self.project.remove_if_empty(NAME)?;
        self.project.sync()?;
        drop(self.lock);
        Ok(())
    }
}
