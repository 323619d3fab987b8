//! A directory by its handle, and reading what is in it. No path below a [`Dir`] follows a symbolic link.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt as _;

use anyhow::{Context as _, Result};
use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat, StatVfs};
use rustix::io::{Errno, retry_on_intr};

use super::stamp::Stamp;
use crate::fault::Fault;
use crate::file::{FileMode, Obstacle};
use crate::host::owner;
use crate::shown::size_of;

/// An open directory.
#[derive(Debug)]
pub struct Dir {
    pub(super) handle: OwnedFd,
    /// The path at the time of opening, for messages only.
    pub(super) path: Utf8PathBuf,
}

/// The result of looking for something at a name in a directory.
#[derive(Debug)]
pub enum Found<T> {
    /// Nothing has that name.
    Nothing,
    /// The thing looked for.
    This(T),
    /// Something of another kind.
    Other(Obstacle),
}

/// A regular file that was read.
#[derive(Debug)]
pub struct Content {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Its permissions.
    pub mode: FileMode,
    /// What the system says of it.
    pub(in crate::host) stat: Stat,
}

impl Content {
    /// Refuses the file if it belongs to another user, or others can change it. `what` is what it is, and
    /// `path` where it was read.
    ///
    /// # Errors
    /// [`Fault`] names the owner, and says what to do.
    pub fn check_owner(&self, what: &str, path: &Utf8Path) -> Result<(), Fault> {
        owner::check(&self.stat, what, path)
    }
}

impl Dir {
    /// Opens a directory by its path, following links.
    ///
    /// # Errors
    /// The system's error, such as `ENOENT` or `ENOTDIR`.
    pub fn open(path: &Utf8Path) -> io::Result<Self> {
        let handle = rustix::fs::open(path.as_std_path(), dir_flags(), Mode::empty())?;
        Ok(Self { handle, path: path.to_owned() })
    }

    /// Refuses the directory if it belongs to another user, or others can change it. `what` is what it is.
    ///
    /// # Errors
    /// [`Fault`] names the owner, and says what to do.
    pub fn check_owner(&self, what: &str) -> Result<()> {
        let stat =
            rustix::fs::fstat(&self.handle).with_context(|| format!("could not examine `{}`", self.path))?;
        Ok(owner::check(&stat, what, &self.path)?)
    }

    /// [`Dir::check_owner`] of a file in the directory. A name of nothing passes, and of anything but a
    /// regular file.
    ///
    /// # Errors
    /// As [`Dir::check_owner`].
    pub fn check_owner_of_file(&self, name: &str, what: &str) -> Result<()> {
        let path = self.path.join(name);
        match rustix::fs::statat(&self.handle, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if FileType::from_raw_mode(stat.st_mode).is_file() => {
                Ok(owner::check(&stat, what, &path)?)
            }
            Ok(_) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(errno).with_context(|| format!("could not examine `{path}`")),
        }
    }

    /// The path at the time of opening, for messages only.
    pub fn path(&self) -> &Utf8Path {
        &self.path
    }

    /// Opens the directory at a relative path, one component at a time. Follows no link.
    pub fn dir(&self, path: &Utf8Path) -> Result<Found<Self>> {
        let mut found = None;
        for name in path {
            match found.as_ref().unwrap_or(self).child(name)? {
                Found::This(child) => found = Some(child),
                blocked @ (Found::Nothing | Found::Other(_)) => return Ok(blocked),
            }
        }
        found.map_or_else(|| self.duplicate(), Ok).map(Found::This)
    }

    pub(super) fn child(&self, name: &str) -> Result<Found<Self>> {
        let path = self.path.join(name);
        match rustix::fs::openat(&self.handle, name, dir_flags() | OFlags::NOFOLLOW, Mode::empty()) {
            Ok(handle) => Ok(Found::This(Self { handle, path })),
            Err(Errno::NOENT) => Ok(Found::Nothing),
            Err(Errno::NOTDIR | Errno::LOOP | Errno::MLINK) => {
                Ok(self.obstacle(name)?.map_or(Found::Nothing, Found::Other))
            }
            Err(Errno::ACCESS) => Ok(Found::Other(Obstacle::Forbidden)),
            Err(errno) => Err(errno).with_context(|| format!("could not open `{path}`")),
        }
    }

    /// Reads the regular file at a relative path, up to `limit` bytes. Does not block on a FIFO.
    ///
    /// # Errors
    /// When the file is larger than `limit`, or the system fails.
    pub fn read(&self, path: &Utf8Path, limit: u64) -> Result<Found<Content>> {
        let (parent, name) = match self.parent_of(path)? {
            Found::This(found) => found,
            Found::Nothing => return Ok(Found::Nothing),
            Found::Other(obstacle) => return Ok(Found::Other(obstacle)),
        };
        let full = self.path.join(path);
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let parent = parent.as_ref().unwrap_or(self);
        let handle = match rustix::fs::openat(&parent.handle, name, flags, Mode::empty()) {
            Ok(handle) => handle,
            Err(Errno::NOENT) => return Ok(Found::Nothing),
            Err(Errno::LOOP | Errno::MLINK) => return Ok(Found::Other(Obstacle::Symlink)),
            Err(Errno::ACCESS) => return Ok(Found::Other(Obstacle::Forbidden)),
            // The system's answers for a socket, and for a device without a driver.
            Err(Errno::NXIO | Errno::NODEV | Errno::OPNOTSUPP) => return Ok(Found::Other(Obstacle::Special)),
            Err(errno) => return Err(errno).with_context(|| format!("could not open `{full}`")),
        };
        let stat = rustix::fs::fstat(&handle).with_context(|| format!("could not examine `{full}`"))?;
        if let Some(obstacle) = obstacle_to_file(&stat) {
            return Ok(Found::Other(obstacle));
        }
        let bytes = read_up_to(File::from(handle), stat.st_size, limit)
            .with_context(|| format!("could not read `{full}`"))?;
        Ok(Found::This(Content { bytes, mode: FileMode::from_bits(stat.st_mode), stat }))
    }

    /// The names in the directory, sorted.
    pub fn names(&self) -> Result<Vec<OsString>> {
        let list = || -> io::Result<Vec<OsString>> {
            let mut names = Vec::new();
            for entry in rustix::fs::Dir::read_from(&self.handle)? {
                let name = OsString::from_vec(entry?.file_name().to_bytes().to_vec());
                if name != "." && name != ".." {
                    names.push(name);
                }
            }
            names.sort();
            Ok(names)
        };
        list().with_context(|| format!("could not list `{}`", self.path))
    }

    /// The paths in the directory that are not in `known`, sorted, for messages. Leaves out the directories
    /// that lead to a path in `known`.
    pub fn others(&self, known: &BTreeSet<&Utf8Path>) -> Result<Vec<String>> {
        let mut others = Vec::new();
        self.add_others(Utf8Path::new(""), known, &mut others)?;
        others.sort();
        Ok(others)
    }

    fn add_others(
        &self,
        below: &Utf8Path,
        known: &BTreeSet<&Utf8Path>,
        others: &mut Vec<String>,
    ) -> Result<()> {
        let entries =
            rustix::fs::Dir::read_from(&self.handle).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        for entry in entries.with_context(|| format!("could not list `{}`", self.path))? {
            let name = entry.file_name().to_string_lossy();
            let path = below.join(&*name);
            if name == "." || name == ".." || known.contains(path.as_path()) {
                continue;
            }
            let leads_to_known = known.iter().any(|known| known.starts_with(&path));
            match leads_to_known.then(|| self.child(&name)).transpose()? {
                Some(Found::This(child)) => child.add_others(&path, known, others)?,
                Some(Found::Nothing) => {}
                Some(Found::Other(_)) | None => others.push(path.into_string()),
            }
        }
        Ok(())
    }

    /// Opens a file in the directory for reading. `None` if nothing has that name.
    ///
    /// # Errors
    /// [`Fault`] when it is not a regular file.
    pub fn open_file(&self, name: &str) -> Result<Option<File>> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        match rustix::fs::openat(&self.handle, name, flags, Mode::empty()) {
            Err(Errno::NOENT) => Ok(None),
            opened => self.open_regular(name, opened).map(Some),
        }
    }

    /// The opened file. Refuses anything but a regular file.
    pub(super) fn open_regular(&self, name: &str, opened: rustix::io::Result<OwnedFd>) -> Result<File> {
        let path = self.path.join(name);
        let refuse = |obstacle| {
            Fault::unreadable(format!("`{path}` is {obstacle}")).advise("move it away while no kinfra runs")
        };
        match opened {
            Ok(handle) => {
                let stat =
                    rustix::fs::fstat(&handle).with_context(|| format!("could not examine `{path}`"))?;
                obstacle_to_file(&stat)
                    .map_or_else(|| Ok(File::from(handle)), |obstacle| Err(refuse(obstacle).into()))
            }
            Err(Errno::LOOP | Errno::MLINK) => Err(refuse(Obstacle::Symlink).into()),
            Err(Errno::ISDIR) => Err(refuse(Obstacle::Directory).into()),
            Err(Errno::NXIO) => Err(refuse(Obstacle::Special).into()),
            Err(errno) => Err(errno).with_context(|| format!("could not open `{path}`")),
        }
    }

    /// The permission bits of a file or directory. `None` for a link, and if they cannot be read.
    pub fn mode_of(&self, name: &str) -> Option<u32> {
        let stat = rustix::fs::statat(&self.handle, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
        (!FileType::from_raw_mode(stat.st_mode).is_symlink()).then_some(stat.st_mode & 0o7777)
    }

    /// Whether it is a file that may be executed, or a link to one.
    pub fn is_program(&self, name: &str) -> bool {
        let stat = rustix::fs::statat(&self.handle, name, AtFlags::empty());
        stat.is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode).is_file() && stat.st_mode & 0o111 != 0)
    }

    /// The target of a symbolic link. `None` if there is no such link, or its target is not UTF-8.
    pub fn link_target(&self, name: &str) -> Option<String> {
        rustix::fs::readlinkat(&self.handle, name, Vec::new()).ok()?.into_string().ok()
    }

    /// The free space of the directory's file system: in MiB, and in files.
    pub fn free_space(&self) -> Result<(u64, u64)> {
        let stat = rustix::fs::fstatvfs(&self.handle)
            .with_context(|| format!("could not examine the disk of `{}`", self.path))?;
        Ok(space_in(&stat))
    }

    /// Whether a name in the directory is still the name of this open file.
    pub fn still_names(&self, name: &str, file: &File) -> io::Result<bool> {
        let ours = rustix::fs::fstat(file)?;
        match rustix::fs::statat(&self.handle, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(theirs) => Ok((ours.st_dev, ours.st_ino) == (theirs.st_dev, theirs.st_ino)),
            Err(Errno::NOENT) => Ok(false),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Whether the path that the directory was opened by still leads to it.
    pub fn is_at_its_path(&self) -> Result<bool> {
        let path = &self.path;
        let examined = || -> rustix::io::Result<bool> {
            let ours = rustix::fs::fstat(&self.handle)?;
            match rustix::fs::stat(path.as_std_path()) {
                Ok(theirs) => Ok((ours.st_dev, ours.st_ino) == (theirs.st_dev, theirs.st_ino)),
                Err(Errno::NOENT | Errno::NOTDIR) => Ok(false),
                Err(errno) => Err(errno),
            }
        };
        examined().with_context(|| format!("could not examine `{path}`"))
    }

    /// What tells this version of a file from the next; `None` if nothing has this name.
    pub fn stamp(&self, name: &str) -> Option<Stamp> {
        rustix::fs::statat(&self.handle, name, AtFlags::SYMLINK_NOFOLLOW).ok().as_ref().map(Stamp::of)
    }

    /// Whether `name` here and `other` in `other_dir` are the same file.
    pub fn same_file(&self, name: &str, other_dir: &Self, other: &str) -> Result<bool> {
        let look =
            |dir: &Self, name: &str| match rustix::fs::statat(&dir.handle, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => Ok(Some((stat.st_dev, stat.st_ino))),
                Err(Errno::NOENT) => Ok(None),
                Err(errno) => {
                    Err(errno).with_context(|| format!("could not examine `{}`", dir.path.join(name)))
                }
            };
        let one = look(self, name)?;
        Ok(one.is_some() && one == look(other_dir, other)?)
    }

    /// Whether anything has this name in the directory.
    pub fn has(&self, name: &str) -> Result<bool> {
        match rustix::fs::statat(&self.handle, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(_) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(errno) => Err(errno).with_context(|| format!("could not examine `{}`", self.path.join(name))),
        }
    }

    /// The directory that holds a relative path, and the path's last component. The directory is `None` if it
    /// is this one.
    pub fn parent_of<'a>(&self, path: &'a Utf8Path) -> Result<Found<(Option<Self>, &'a str)>> {
        let name = path.file_name().with_context(|| format!("`{path}` does not name a file"))?;
        let Some(parent) = path.parent().filter(|parent| !parent.as_str().is_empty()) else {
            return Ok(Found::This((None, name)));
        };
        Ok(match self.dir(parent)? {
            Found::This(parent) => Found::This((Some(parent), name)),
            Found::Nothing => Found::Nothing,
            Found::Other(obstacle) => Found::Other(obstacle),
        })
    }

    /// The kind of thing that has this name in the directory. `None` if nothing has it.
    pub fn obstacle(&self, name: &str) -> Result<Option<Obstacle>> {
        match rustix::fs::statat(&self.handle, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(obstacle_to_file(&stat).unwrap_or(Obstacle::File))),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(errno).with_context(|| format!("could not examine `{}`", self.path.join(name))),
        }
    }

    /// Its handle as a file, to be locked.
    pub(in crate::host) fn as_file(&self) -> Result<File> {
        Ok(File::from(self.duplicate()?.handle))
    }

    pub(super) fn duplicate(&self) -> Result<Self> {
        let handle = self.handle.try_clone();
        let handle = handle.with_context(|| format!("could not open `{}` again", self.path))?;
        Ok(Self { handle, path: self.path.clone() })
    }
}

pub(super) fn dir_flags() -> OFlags {
    OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC
}

/// Why this is not a regular file. `None` if it is one.
pub(super) fn obstacle_to_file(stat: &Stat) -> Option<Obstacle> {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => None,
        FileType::Symlink => Some(Obstacle::Symlink),
        FileType::Directory => Some(Obstacle::Directory),
        FileType::Fifo
        | FileType::Socket
        | FileType::CharacterDevice
        | FileType::BlockDevice
        | FileType::Unknown => Some(Obstacle::Special),
    }
}

/// The free space that the system tells of: in MiB, and in files.
pub(super) fn space_in(stat: &StatVfs) -> (u64, u64) {
    // A file system without a fixed number of files reports 0 of 0.
    let files = if stat.f_files == 0 { u64::MAX } else { stat.f_favail };
    (stat.f_bavail.saturating_mul(stat.f_frsize) >> 20, files)
}

/// Whether the system reported the error, so that it says nothing about the file's content.
pub fn is_system_error(error: &anyhow::Error) -> bool {
    let by_code = |error: &io::Error| error.raw_os_error().is_some();
    error.downcast_ref::<Errno>().is_some() || error.downcast_ref().is_some_and(by_code)
}

/// Reads a file of about `size` bytes. Refuses one of more than `limit` bytes.
pub(super) fn read_up_to(file: File, size: i64, limit: u64) -> io::Result<Vec<u8>> {
    // One byte more than the size: a file that ends where the system says is read with one call.
    let (size, most) = (u64::try_from(size).unwrap_or(0), limit + 1);
    let mut bytes = vec![0; usize::try_from(size.saturating_add(1).min(most)).unwrap_or(0)];
    let read = retry_on_intr(|| rustix::io::read(&file, &mut bytes))?;
    bytes.truncate(read);
    let read = u64::try_from(read).unwrap_or(u64::MAX);
    if read != size {
        file.take(most.saturating_sub(read)).read_to_end(&mut bytes)?;
    }
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > limit {
        return Err(io::Error::other(format!("it is larger than {}", size_of(limit))));
    }
    Ok(bytes)
}
