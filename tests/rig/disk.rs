//! File systems of a test's own.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::must;
use crate::support::Running;

/// A mounted file system, until it is dropped.
pub(crate) struct Mount {
    at: PathBuf,
}

impl Mount {
    /// Mounts an empty file system in memory.
    pub(crate) fn memory(at: &Path, options: &str) -> Self {
        must(Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(at));
        Self { at: at.to_owned() }
    }

    /// Mounts the file system in an image.
    pub(crate) fn image(image: &Image, at: &Path, options: &str) -> Self {
        let options = format!("loop,{options}");
        must(Command::new("mount").args(["-o", &options]).arg(image.path()).arg(at));
        Self { at: at.to_owned() }
    }

    /// Changes options of it, such as its size.
    pub(crate) fn remount(&self, options: &str) {
        let options = format!("remount,{options}");
        must(Command::new("mount").args(["-o", &options]).arg(&self.at));
    }

    /// Lets nothing more be written to one in memory. [`Mount::remount`] with a size ends it.
    pub(crate) fn fill(&self) {
        let stat = rustix::fs::statvfs(&self.at).expect("its space");
        let used = (stat.f_blocks - stat.f_bfree) * stat.f_frsize / 1024;
        self.remount(&format!("size={}k", used.max(4)));
    }

    /// Unmounts it now.
    pub(crate) fn end(self) {
        drop(self);
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let ended = Running::piped(Command::new("umount").arg(&self.at)).outcome();
        if !ended.status.success() {
            // A test that failed may have left something open; the machine must not keep the mount.
            Running::piped(Command::new("umount").arg("--lazy").arg(&self.at)).outcome();
        }
    }
}

/// A disk: a file with a file system in it, removed when it is dropped.
pub(crate) struct Image {
    file: tempfile::TempPath,
}

impl Image {
    /// A disk with an empty ext4 on it.
    pub(crate) fn ext4(mib: u64, options: &[&str]) -> Self {
        let image = Self::new();
        File::options()
            .write(true)
            .open(image.path())
            .and_then(|file| file.set_len(mib << 20))
            .expect("an empty disk");
        must(Command::new("mkfs.ext4").args(["-q", "-F", "-m", "0"]).args(options).arg(image.path()));
        image
    }

    /// The bytes on the disk. If it is mounted, these are what a power cut at this moment leaves.
    pub(crate) fn copy(&self) -> Self {
        let copy = Self::new();
        fs::copy(self.path(), copy.path()).expect("a copy of a disk");
        copy
    }

    pub(crate) fn path(&self) -> &Path {
        &self.file
    }

    /// In memory where possible. The tests only ask what reaches the image.
    fn new() -> Self {
        let memory = Path::new("/dev/shm");
        let file = if memory.is_dir() {
            tempfile::NamedTempFile::new_in(memory)
        } else {
            tempfile::NamedTempFile::new()
        };
        Self { file: file.expect("a file for a disk").into_temp_path() }
    }
}

/// The command of a machine, run by a shell that mounts something first, where nothing else sees it. The
/// script gets a path as `$0`, and ends in `exec "$@"`. Needs root.
pub(crate) fn among_mounts(kinfra: &Command, script: &str, named: &Path) -> Command {
    let mut unshare = Command::new("unshare");
    unshare.args(["--mount", "sh", "-c", script]).arg(named);
    unshare.arg(kinfra.get_program()).args(kinfra.get_args()).env_clear();
    unshare.envs(kinfra.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let path = kinfra.get_envs().find(|(name, _)| *name == "PATH").and_then(|(_, path)| path);
    let path = path.expect("a path").to_str().expect("UTF-8");
    unshare.env("PATH", format!("{path}:/usr/bin:/bin"));
    unshare
}
