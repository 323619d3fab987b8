//! A temporary directory outside every pool.

use anyhow::{Context as _, Result, bail};
use camino::Utf8Path;
use rustix::io::Errno;

use super::dir::{Dir, Found};
use super::write::PRIVATE_DIR;
use crate::fault::Fault;

/// A private temporary directory, for files that another program reads. Dropping it removes it.
#[derive(Debug)]
pub struct Scratch {
    dir: Dir,
    parent: Dir,
    name: String,
}

impl Scratch {
    /// Makes a directory in the system's directory for temporary files.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn new() -> Result<Self> {
        let path = std::env::temp_dir();
        let path = Utf8Path::from_path(&path)
            .with_context(|| format!("the path of `{}` is not UTF-8", path.display()))?;
        let parent = Dir::open(path).with_context(|| format!("could not open `{path}`"))?;
        for count in 0..=u8::MAX {
            let name = format!("kinfra-{}-{count}", std::process::id());
            match rustix::fs::mkdirat(&parent.handle, &name, PRIVATE_DIR) {
                Ok(()) => {
                    let Found::This(dir) = parent.child(&name)? else { bail!("`{path}/{name}` vanished") };
                    return Ok(Self { dir, parent, name });
                }
                // Never use a directory that is there already: another user may have made it, and may write
                // there.
                Err(Errno::EXIST) => {}
                Err(errno) => return Err(errno).with_context(|| format!("could not make `{path}/{name}`")),
            }
        }
        let full = format!("could not make a directory in `{path}`: all names `kinfra-…` are taken");
        Err(Fault::failed(full).advise("remove the directories named `kinfra-…` there").into())
    }

    /// The open directory.
    pub fn dir(&self) -> &Dir {
        &self.dir
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = self.dir.empty().and_then(|()| self.parent.remove_if_empty(&self.name));
    }
}
