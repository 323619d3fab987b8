//! Changing what is in a directory, by its handle.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;

use anyhow::{Context as _, Result, bail};
use camino::Utf8Path;
use rustix::fs::{Access, AtFlags, FileType, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use super::dir::{Dir, Found, dir_flags};
use crate::fault::Fault;
use crate::file::FileMode;
use crate::host::owner;

/// The mode of every directory that kinfra makes: for its owner only.
pub(super) const PRIVATE_DIR: Mode = Mode::RWXU;

/// What to do about a file that is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// Make it, with mode 0644.
    Make,
    /// Add nothing: its owner removed it.
    Skip,
}

impl Dir {
    /// Opens the directory at an absolute path. Makes it and its parents if they are missing, durably: a
    /// power cut cannot lose a new directory once files in it are durable.
    pub fn make(path: &Utf8Path) -> Result<Self> {
        let (above, below) = path
            .ancestors()
            .find_map(|above| Some((Self::open(above).ok()?, path.strip_prefix(above).ok()?)))
            .with_context(|| format!("no directory above `{path}` can be opened"))?;
        // Not given to the owner of what is above it: it is this user's.
        let dir = above.make_below(below, |_, _| Ok(()))?;
        let mut parent = above;
        for name in below {
            parent.sync()?;
            if let Found::This(child) = parent.dir(Utf8Path::new(name))? {
                parent = child;
            }
        }
        Ok(dir)
    }

    /// Opens the directory at a relative path. Makes each missing component.
    ///
    /// # Errors
    /// [`Fault`] when something else has the name of a component.
    pub fn make_dir(&self, path: &Utf8Path) -> Result<Self> {
        self.make_below(path, |made, above| owner::give(&made.handle, &above.handle))
    }

    /// [`Dir::make_dir`], where `give` is done to what is new, and what is above it.
    fn make_below(
        &self,
        path: &Utf8Path,
        give: impl Fn(&Self, &Self) -> rustix::io::Result<()>,
    ) -> Result<Self> {
        let mut made = None;
        for name in path {
            let above = made.as_ref().unwrap_or(self);
            let child = above.path.join(name);
            owner::check_sudo(&above.path)?;
            let is_new = match rustix::fs::mkdirat(&above.handle, name, PRIVATE_DIR) {
                Ok(()) => true,
                Err(Errno::EXIST) => false,
                Err(errno) => {
                    return Err(errno).with_context(|| format!("could not make directory `{child}`"));
                }
            };
            made = match above.child(name)? {
                Found::This(dir) => {
                    if is_new {
                        give(&dir, above)
                            .with_context(|| format!("could not give `{child}` to its owner"))?;
                    }
                    Some(dir)
                }
                Found::Nothing => bail!("`{child}` vanished while it was made"),
                Found::Other(obstacle) => {
                    let blocked =
                        Fault::refused(format!("`{child}` is {obstacle}, where a directory belongs"));
                    return Err(blocked.advise("move it away").into());
                }
            };
        }
        made.map_or_else(|| self.duplicate(), Ok)
    }

    /// Makes a directory in this one, with this mode, if nothing has its name. Opens it.
    ///
    /// # Errors
    /// [`Fault`] when something else has the name.
    pub fn make_child(&self, name: &str, mode: FileMode) -> Result<Self> {
        let path = self.path.join(name);
        owner::check_sudo(&self.path)?;
        let is_new = match rustix::fs::mkdirat(&self.handle, name, PRIVATE_DIR) {
            Ok(()) => true,
            Err(Errno::EXIST) => false,
            Err(errno) => return Err(errno).with_context(|| format!("could not make directory `{path}`")),
        };
        let child = self.make_dir(Utf8Path::new(name))?;
        if is_new {
            owner::give(&child.handle, &self.handle)
                .and_then(|()| rustix::fs::fchmod(&child.handle, Mode::from_raw_mode(mode.bits().into())))
                .with_context(|| format!("could not set the owner and the mode of `{path}`"))?;
        }
        Ok(child)
    }

    /// Writes a file that must not exist yet. Sets its mode before its content.
    pub fn write_new(&self, name: &str, bytes: &[u8], mode: FileMode) -> Result<File> {
        owner::check_sudo(&self.path)?;
        let write = || -> io::Result<File> {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOFOLLOW;
            let handle = rustix::fs::openat(&self.handle, name, flags, Mode::RUSR | Mode::WUSR)?;
            owner::give(&handle, &self.handle)?;
            if mode != FileMode::PRIVATE {
                rustix::fs::fchmod(&handle, Mode::from_raw_mode(mode.bits().into()))?;
            }
            let mut file = File::from(handle);
            file.write_all(bytes)?;
            Ok(file)
        };
        write().with_context(|| format!("could not write `{}`", self.path.join(name)))
    }

    /// Writes a new file as [`Dir::write_new`] does, for a file that kinfra can make again after a power cut.
    /// The file is then complete, empty or missing, never partial: the system writes a page as a whole, and a
    /// longer file is synced.
    pub fn write_small(&self, name: &str, bytes: &[u8], mode: FileMode) -> Result<()> {
        const PAGE: usize = 4096;
        let file = self.write_new(name, bytes, mode)?;
        if bytes.len() > PAGE {
            rustix::fs::fsync(&file).with_context(|| format!("could not sync `{}`", self.path.join(name)))?;
        }
        Ok(())
    }

    /// Replaces a file atomically by a private one with these bytes, or makes it. Writes them to `temporary`
    /// first. Does not sync the directory.
    pub fn replace_file(&self, name: &str, bytes: &[u8], temporary: &str) -> Result<()> {
        let replaced = self.write_new(temporary, bytes, FileMode::PRIVATE).and_then(|file| {
            rustix::fs::fsync(&file)
                .with_context(|| format!("could not sync `{}`", self.path.join(temporary)))?;
            self.rename_over(temporary, self, name)
        });
        if replaced.is_err() {
            let _ = self.remove_file(temporary);
        }
        replaced
    }

    /// Moves a file or directory to a new name. Returns `false`, and moves nothing, if the name is taken.
    pub fn rename_new(&self, from: &str, to: &Self, name: &str) -> Result<bool> {
        let renamed = rustix::fs::renameat_with(&self.handle, from, &to.handle, name, RenameFlags::NOREPLACE);
        let renamed = match renamed {
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => self.move_new(from, to, name),
            renamed => renamed,
        };
        match renamed {
            Ok(()) => Ok(true),
            Err(Errno::EXIST | Errno::NOTEMPTY) => Ok(false),
            Err(errno) => Err(errno).with_context(|| format!("could not create `{}`", to.path.join(name))),
        }
    }

    /// [`Dir::rename_new`] for a file system without `RENAME_NOREPLACE`. Making a hard link never replaces a
    /// file, and renaming a directory replaces at most an empty directory.
    fn move_new(&self, from: &str, to: &Self, name: &str) -> rustix::io::Result<()> {
        let stat = rustix::fs::statat(&self.handle, from, AtFlags::SYMLINK_NOFOLLOW)?;
        if FileType::from_raw_mode(stat.st_mode).is_dir() {
            return rustix::fs::renameat(&self.handle, from, &to.handle, name);
        }
        rustix::fs::linkat(&self.handle, from, &to.handle, name, AtFlags::empty())?;
        rustix::fs::unlinkat(&self.handle, from, AtFlags::empty())
    }

    /// Exchanges two files or directories atomically. Returns `false` if the file system cannot.
    pub fn exchange(&self, one: &str, to: &Self, other: &str) -> Result<bool> {
        match rustix::fs::renameat_with(&self.handle, one, &to.handle, other, RenameFlags::EXCHANGE) {
            Ok(()) => Ok(true),
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => Ok(false),
            Err(errno) => Err(errno).with_context(|| format!("could not replace `{}`", to.path.join(other))),
        }
    }

    /// Moves a file to a name. Replaces a file that has it.
    pub fn rename_over(&self, from: &str, to: &Self, name: &str) -> Result<()> {
        rustix::fs::renameat(&self.handle, from, &to.handle, name)
            .with_context(|| format!("could not replace `{}`", to.path.join(name)))?;
        // If both names are hard links to one file, the rename succeeds and leaves the source in place.
        self.remove_file(from)
    }

    /// Gives a file a second name. Returns `false` if that fails.
    pub fn link(&self, from: &str, to: &Self, name: &str) -> bool {
        rustix::fs::linkat(&self.handle, from, &to.handle, name, AtFlags::empty()).is_ok()
    }

    /// Removes a directory if it is empty. Returns whether it is gone.
    pub fn remove_if_empty(&self, name: &str) -> Result<bool> {
        match rustix::fs::unlinkat(&self.handle, name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => Ok(true),
            Err(Errno::NOTEMPTY | Errno::EXIST) => Ok(false),
            Err(errno) => Err(errno).with_context(|| format!("could not remove `{}`", self.path.join(name))),
        }
    }

    /// Sets the permissions of a regular file, durably.
    pub fn set_mode(&self, name: &str, mode: FileMode) -> Result<()> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let file = self.open_regular(name, rustix::fs::openat(&self.handle, name, flags, Mode::empty()))?;
        rustix::fs::fchmod(&file, Mode::from_raw_mode(mode.bits().into()))
            .and_then(|()| rustix::fs::fsync(&file))
            .with_context(|| format!("could not set the mode of `{}`", self.path.join(name)))
    }

    /// Removes a file, if it is there.
    pub fn remove_file(&self, name: &str) -> Result<()> {
        match rustix::fs::unlinkat(&self.handle, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            // A disk that is read-only says so of any name.
            Err(Errno::ROFS) if matches!(self.has(name), Ok(false)) => Ok(()),
            Err(errno) => Err(errno).with_context(|| format!("could not remove `{}`", self.path.join(name))),
        }
    }

    /// Removes everything in the directory. Removes links, does not follow them.
    pub fn empty(&self) -> Result<()> {
        for name in self.names()? {
            let path = self.path.join(&*name.to_string_lossy());
            let opened =
                rustix::fs::openat(&self.handle, &name, dir_flags() | OFlags::NOFOLLOW, Mode::empty());
            let removed = match opened {
                Ok(handle) => {
                    Self { handle, path: path.clone() }.empty()?;
                    rustix::fs::unlinkat(&self.handle, &name, AtFlags::REMOVEDIR)
                }
                Err(Errno::NOTDIR | Errno::LOOP | Errno::MLINK) => {
                    rustix::fs::unlinkat(&self.handle, &name, AtFlags::empty())
                }
                Err(errno) => Err(errno),
            };
            match removed {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(errno) => {
                    return Err(errno).with_context(|| {
                        Fault::failed(format!("could not remove `{path}`")).advise("remove it by hand")
                    });
                }
            }
        }
        Ok(())
    }

    /// Opens a file in the directory for reading and writing. Makes it if it is missing.
    ///
    /// # Errors
    /// [`Fault`] when it is not a regular file.
    pub fn open_or_make(&self, name: &str) -> Result<File> {
        let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let private = Mode::RUSR | Mode::WUSR;
        owner::check_sudo(&self.path)?;
        let file = self.open_regular(name, self.make_or_open(name, flags, private))?;
        // Opening a file that was there does not change its mode.
        let made_private = rustix::fs::fstat(&file).and_then(|stat| {
            let mode = Mode::from_raw_mode(stat.st_mode);
            if mode.intersects(Mode::RWXG | Mode::RWXO) { rustix::fs::fchmod(&file, private) } else { Ok(()) }
        });
        made_private.with_context(|| format!("could not set the mode of `{}`", self.path.join(name)))?;
        Ok(file)
    }

    /// Opens a file in the directory for reading, and for adding to its end. Makes it, private, if it is
    /// missing. What is there keeps its owner and its mode. Never follows a link.
    ///
    /// # Errors
    /// [`Fault`] when it is not a regular file.
    pub fn open_to_add(&self, name: &str) -> Result<File> {
        let flags = OFlags::RDWR | OFlags::APPEND | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        owner::check_sudo(&self.path)?;
        self.open_regular(name, self.make_or_open(name, flags, Mode::RUSR | Mode::WUSR))
    }

    /// Opens a file, and makes it if it is missing. What is there already keeps its owner: it may be a second
    /// name of another file.
    fn make_or_open(&self, name: &str, flags: OFlags, mode: Mode) -> rustix::io::Result<OwnedFd> {
        match rustix::fs::openat(&self.handle, name, flags | OFlags::CREATE | OFlags::EXCL, mode) {
            Ok(file) => owner::give(&file, &self.handle).map(|()| file),
            Err(Errno::EXIST) => rustix::fs::openat(&self.handle, name, flags | OFlags::CREATE, mode),
            Err(errno) => Err(errno),
        }
    }

    /// Adds lines to the end of a file, which may be another program's. Never follows a link.
    pub fn append(&self, name: &str, lines: &str, missing: Missing) -> Result<()> {
        let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        owner::check_sudo(&self.path)?;
        let opened = match missing {
            Missing::Make => self.make_or_open(name, flags, Mode::from_raw_mode(0o644)),
            Missing::Skip => rustix::fs::openat(&self.handle, name, flags, Mode::empty()),
        };
        if missing == Missing::Skip && matches!(opened, Err(Errno::NOENT)) {
            return Ok(());
        }
        let mut file = self.open_regular(name, opened)?;
        file.write_all(lines.as_bytes())
            .with_context(|| format!("could not write `{}`", self.path.join(name)))
    }

    /// Whether this process may make files in the directory.
    pub fn is_writable(&self) -> bool {
        rustix::fs::accessat(&self.handle, ".", Access::WRITE_OK | Access::EXEC_OK, AtFlags::empty()).is_ok()
    }

    /// Makes the names in the directory durable.
    pub fn sync(&self) -> Result<()> {
        rustix::fs::fsync(&self.handle).with_context(|| format!("could not sync `{}`", self.path))
    }

    /// Makes the content of a file below the directory durable.
    pub fn sync_file(&self, path: &Utf8Path) -> Result<()> {
        let Found::This((parent, name)) = self.parent_of(path)? else {
            bail!("`{}` vanished before it was synced", self.path.join(path));
        };
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let parent = parent.as_ref().unwrap_or(self);
        rustix::fs::openat(&parent.handle, name, flags, Mode::empty())
            .and_then(rustix::fs::fsync)
            .with_context(|| format!("could not sync `{}`", self.path.join(path)))
    }

    /// Makes everything on the directory's file system durable. Returns `false` if the system has no call for
    /// that.
    pub fn sync_file_system(&self) -> Result<bool> {
        #[cfg(target_os = "linux")]
        {
            rustix::fs::syncfs(&self.handle)
                .with_context(|| format!("could not sync the file system of `{}`", self.path))?;
            Ok(true)
        }
        #[cfg(not(target_os = "linux"))]
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_go_to_a_file_and_never_through_a_link() {
        let scratch = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(scratch.path()).unwrap();
        let dir = Dir::open(path).unwrap();
        dir.append("list", "lost\n", Missing::Skip).unwrap();
        dir.append("list", "a\n", Missing::Make).unwrap();
        dir.append("list", "b\n", Missing::Skip).unwrap();
        let holds_both = || match dir.read(Utf8Path::new("list"), 100).unwrap() {
            Found::This(content) => content.bytes == b"a\nb\n",
            Found::Nothing | Found::Other(_) => false,
        };
        assert!(holds_both());
        std::os::unix::fs::symlink(path.join("list"), path.join("link")).unwrap();
        std::os::unix::fs::symlink(path.join("nothing"), path.join("dangling")).unwrap();
        for name in ["link", "dangling"] {
            dir.append(name, "c\n", Missing::Make).unwrap_err();
        }
        assert!(holds_both());
        assert!(!path.join("nothing").exists());
    }
}
