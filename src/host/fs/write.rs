//! Changing what is in a directory, always by its handle.

use std::fs::File;
use std::io::{self, Write as _};

use anyhow::{Context as _, Result, bail};
use camino::Utf8Path;
use rustix::fs::{Access, AtFlags, FileType, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use super::{Dir, Found, dir_flags};
use crate::fault::Fault;
use crate::file::FileMode;

/// The mode of directories that kinfra makes: for their owner only.
const PRIVATE_DIR: Mode = Mode::RWXU;

/// Gives what kinfra makes the modes it asks for, whatever umask it was started with: one of 0777 would lock it out of
/// its own files, and setting modes by name afterwards could reach through a link. Gives back the one it replaced.
pub fn set_umask() -> Umask {
    Umask(rustix::process::umask(Mode::RWXG | Mode::RWXO))
}

/// The umask that kinfra was started with.
#[derive(Debug, Clone, Copy)]
pub struct Umask(Mode);

impl Umask {
    /// Puts it back, for a program that takes kinfra's place.
    pub fn restore(self) {
        rustix::process::umask(self.0);
    }
}

/// A private directory outside every pool, for other programs to read from. It is removed when it is dropped.
#[derive(Debug)]
pub struct Scratch {
    dir: Dir,
    above: Dir,
    name: String,
}

impl Scratch {
    /// Makes one where the system has its temporary files.
    pub fn new() -> Result<Self> {
        let path = std::env::temp_dir();
        let path = Utf8Path::from_path(&path)
            .with_context(|| format!("the path of `{}` is not UTF-8", path.display()))?;
        let above = Dir::open(path).with_context(|| format!("could not open `{path}`"))?;
        // Nobody else's directory: others may write there.
        for count in 0..=u8::MAX {
            let name = format!("kinfra-{}-{count}", std::process::id());
            match rustix::fs::mkdirat(&above.handle, &name, PRIVATE_DIR) {
                Ok(()) => {
                    let Found::This(dir) = above.child(&name)? else { bail!("`{path}/{name}` vanished") };
                    return Ok(Self { dir, above, name });
                }
                Err(Errno::EXIST) => {}
                Err(errno) => return Err(errno).with_context(|| format!("could not make `{path}/{name}`")),
            }
        }
        bail!("could not make a directory in `{path}`: remove those named `kinfra-…` there")
    }

    /// The directory.
    pub fn dir(&self) -> &Dir {
        &self.dir
    }
}

/// Writes a file that the user names, durably and atomically, for its owner only. What is there is replaced.
///
/// # Errors
/// What keeps it from being written; then what is there stays.
pub fn replace_named(path: &Utf8Path, bytes: &[u8]) -> Result<()> {
    let (parent, name) = path.parent().zip(path.file_name()).context("it names no file")?;
    let dir = Dir::open(parent).with_context(|| format!("could not open `{parent}`"))?;
    let temporary = format!(".{name}.{}.tmp", std::process::id());
    let written = dir.write_new(&temporary, bytes, FileMode::PRIVATE).and_then(|file| {
        rustix::fs::fsync(&file).with_context(|| format!("could not sync `{}`", parent.join(&temporary)))?;
        dir.rename_over(&temporary, &dir, name)
    });
    if let Err(error) = written {
        let _ = dir.remove_file(&temporary);
        return Err(error);
    }
    dir.sync()
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = self.dir.empty().and_then(|()| self.above.remove_if_empty(&self.name));
    }
}

impl Dir {
    /// Opens the directory at an absolute path, making it and the directories above it if they are missing, so that a
    /// power cut does not take their names from what is durable in them.
    pub fn make(path: &Utf8Path) -> Result<Self> {
        let (above, below) = path
            .ancestors()
            .find_map(|above| Some((Self::open(above).ok()?, path.strip_prefix(above).ok()?)))
            .with_context(|| format!("no directory above `{path}` can be opened"))?;
        let dir = above.make_dir(below)?;
        let mut parent = above;
        for name in below {
            parent.sync()?;
            if let Found::This(child) = parent.dir(Utf8Path::new(name))? {
                parent = child;
            }
        }
        Ok(dir)
    }

    /// Opens the directory at a relative path, making what is missing of it.
    pub fn make_dir(&self, path: &Utf8Path) -> Result<Self> {
        let mut made = None;
        for name in path {
            let above = made.as_ref().unwrap_or(self);
            let child = above.path.join(name);
            match rustix::fs::mkdirat(&above.handle, name, PRIVATE_DIR) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => {
                    return Err(errno).with_context(|| format!("could not make directory `{child}`"));
                }
            }
            made = match above.child(name)? {
                Found::This(dir) => Some(dir),
                Found::Nothing => bail!("`{child}` vanished while it was made"),
                Found::Other(obstacle) => {
                    let message = format!("`{child}` is {obstacle}, where a directory belongs: move it away");
                    return Err(Fault::refused(message).into());
                }
            };
        }
        made.map_or_else(|| self.duplicate(), Ok)
    }

    /// Writes a file that must not exist yet. Its mode is set before its content.
    pub fn write_new(&self, name: &str, bytes: &[u8], mode: FileMode) -> Result<File> {
        let write = || -> io::Result<File> {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOFOLLOW;
            let handle = rustix::fs::openat(&self.handle, name, flags, Mode::RUSR | Mode::WUSR)?;
            if mode != FileMode::PRIVATE {
                rustix::fs::fchmod(&handle, Mode::from_raw_mode(mode.bits().into()))?;
            }
            let mut file = File::from(handle);
            file.write_all(bytes)?;
            Ok(file)
        };
        write().with_context(|| format!("could not write `{}`", self.path.join(name)))
    }

    /// [`Dir::write_new`] for a file that can be made again if a power cut takes it: it is then there as it was written, or
    /// empty, or not at all. What a page holds is written as a whole or not, and what is longer is synced.
    pub fn write_small(&self, name: &str, bytes: &[u8], mode: FileMode) -> Result<()> {
        const PAGE: usize = 4096;
        let file = self.write_new(name, bytes, mode)?;
        if bytes.len() > PAGE {
            rustix::fs::fsync(&file).with_context(|| format!("could not sync `{}`", self.path.join(name)))?;
        }
        Ok(())
    }

    /// Moves a file or directory to a name where nothing may be. Says whether something was there.
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

    /// [`Dir::rename_new`] for file systems that cannot rename without replacing: a hard link never replaces, and a
    /// directory replaces at most an empty one.
    fn move_new(&self, from: &str, to: &Self, name: &str) -> rustix::io::Result<()> {
        let stat = rustix::fs::statat(&self.handle, from, AtFlags::SYMLINK_NOFOLLOW)?;
        if FileType::from_raw_mode(stat.st_mode).is_dir() {
            return rustix::fs::renameat(&self.handle, from, &to.handle, name);
        }
        rustix::fs::linkat(&self.handle, from, &to.handle, name, AtFlags::empty())?;
        rustix::fs::unlinkat(&self.handle, from, AtFlags::empty())
    }

    /// Two names change places at once. Says whether the file system could.
    pub fn exchange(&self, one: &str, to: &Self, other: &str) -> Result<bool> {
        match rustix::fs::renameat_with(&self.handle, one, &to.handle, other, RenameFlags::EXCHANGE) {
            Ok(()) => Ok(true),
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => Ok(false),
            Err(errno) => Err(errno).with_context(|| format!("could not replace `{}`", to.path.join(other))),
        }
    }

    /// Moves a file to a name, replacing a file that is there.
    pub fn rename_over(&self, from: &str, to: &Self, name: &str) -> Result<()> {
        rustix::fs::renameat(&self.handle, from, &to.handle, name)
            .with_context(|| format!("could not replace `{}`", to.path.join(name)))?;
        // Between two hard links of one file a rename does nothing and leaves the source.
        self.remove_file(from)
    }

    /// Gives a file a second name. Says whether the file system could.
    pub fn link(&self, from: &str, to: &Self, name: &str) -> bool {
        rustix::fs::linkat(&self.handle, from, &to.handle, name, AtFlags::empty()).is_ok()
    }

    /// Removes a directory if it is empty. Says whether it is gone.
    pub fn remove_if_empty(&self, name: &str) -> Result<bool> {
        match rustix::fs::unlinkat(&self.handle, name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => Ok(true),
            Err(Errno::NOTEMPTY | Errno::EXIST) => Ok(false),
            Err(errno) => Err(errno).with_context(|| format!("could not remove `{}`", self.path.join(name))),
        }
    }

    /// Gives a regular file in the directory other permissions, durably.
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
            Err(errno) => Err(errno).with_context(|| format!("could not remove `{}`", self.path.join(name))),
        }
    }

    /// Removes everything in the directory, itself not. Links are removed, not followed.
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
                    return Err(errno)
                        .with_context(|| format!("could not remove `{path}`: remove it by hand"));
                }
            }
        }
        Ok(())
    }

    /// Opens a file in the directory for reading and writing, making it if it is missing.
    ///
    /// # Errors
    /// [`Fault`] when it is no regular file.
    pub fn open_or_make(&self, name: &str) -> Result<File> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let private = Mode::RUSR | Mode::WUSR;
        let file = self.open_regular(name, rustix::fs::openat(&self.handle, name, flags, private))?;
        // One that was there already keeps its mode when it is opened.
        let closed = rustix::fs::fstat(&file).and_then(|stat| {
            let mode = Mode::from_raw_mode(stat.st_mode);
            if mode.intersects(Mode::RWXG | Mode::RWXO) { rustix::fs::fchmod(&file, private) } else { Ok(()) }
        });
        closed.with_context(|| format!("could not set the mode of `{}`", self.path.join(name)))?;
        Ok(file)
    }

    /// Adds lines to the end of a file that is not kinfra's, making it if it is missing.
    pub fn append(&self, name: &str, lines: &str) -> Result<()> {
        let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let opened = rustix::fs::openat(&self.handle, name, flags, Mode::from_raw_mode(0o644));
        let mut file = self.open_regular(name, opened)?;
        file.write_all(lines.as_bytes())
            .with_context(|| format!("could not write `{}`", self.path.join(name)))
    }

    /// Whether this process may make files in the directory.
    pub fn is_writable(&self) -> bool {
        rustix::fs::accessat(&self.handle, ".", Access::WRITE_OK | Access::EXEC_OK, AtFlags::empty()).is_ok()
    }

    /// Makes what the directory lists durable.
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

    /// Makes everything on the directory's file system durable. Says whether the system can.
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
