//! Files and directories by the paths that users give. Links are followed.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::time::SystemTime;

use anyhow::{Context as _, Result};
use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::{FileType, Mode, OFlags, Stat, Timespec, Timestamps, UTIME_NOW};
use rustix::io::Errno;

use super::dir::{Dir, obstacle_to_file, read_up_to, space_in};
use crate::registry::Place;
use crate::time::Time;

/// Below how many MiB a disk counts as nearly full.
const LOW_SPACE_MIB: u64 = 64;
/// Below how many new files a disk counts as nearly full.
const FEW_FILES: u64 = 1000;

/// The path without links, `.` and `..`.
///
/// # Errors
/// The system's error, or that the result is not UTF-8.
pub fn canonical(path: &Utf8Path) -> io::Result<Utf8PathBuf> {
    if is_canonical(path) { Ok(path.to_owned()) } else { path.canonicalize_utf8() }
}

/// Whether a path is known to be canonical. Asks the kernel once, where the standard library looks at each
/// directory on the way. `false` also if the kernel cannot tell.
fn is_canonical(path: &Utf8Path) -> bool {
    let below = path.as_str().strip_prefix('/');
    let is_plain = below.is_some_and(|names| names.split('/').all(|name| !["", ".", ".."].contains(&name)));
    is_plain && leads_over_no_link(path)
}

#[cfg(target_os = "linux")]
fn leads_over_no_link(path: &Utf8Path) -> bool {
    use rustix::fs::{CWD, ResolveFlags, openat2};

    let flags = OFlags::PATH | OFlags::CLOEXEC;
    openat2(CWD, path.as_std_path(), flags, Mode::empty(), ResolveFlags::NO_SYMLINKS).is_ok()
}

#[cfg(not(target_os = "linux"))]
fn leads_over_no_link(_: &Utf8Path) -> bool {
    false
}

/// The path without links, as far as it exists.
pub fn real(path: &Utf8Path) -> Utf8PathBuf {
    let exists = path.ancestors().find_map(|above| Some((canonical(above).ok()?, above)));
    let real = exists.and_then(|(real, above)| Some((real, path.strip_prefix(above).ok()?)));
    real.map_or_else(|| path.to_owned(), |(real, below)| if below == "" { real } else { real.join(below) })
}

/// Reads a file. `None` if nothing is at the path.
///
/// # Errors
/// When it is larger than `limit` bytes, is not a regular file, or cannot be read.
pub fn read_named(path: &Utf8Path, limit: u64) -> io::Result<Option<Vec<u8>>> {
    read_with(path, limit, OFlags::empty())
}

/// [`read_named`], but a link at the path is not followed.
///
/// # Errors
/// As [`read_named`], or that a link is there.
pub fn read_unlinked(path: &Utf8Path, limit: u64) -> io::Result<Option<Vec<u8>>> {
    read_with(path, limit, OFlags::NOFOLLOW)
}

fn read_with(path: &Utf8Path, limit: u64, flags: OFlags) -> io::Result<Option<Vec<u8>>> {
    let flags = flags | OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let handle = match rustix::fs::open(path.as_std_path(), flags, Mode::empty()) {
        Ok(handle) => handle,
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
        Err(errno) => return Err(errno.into()),
    };
    let stat = rustix::fs::fstat(&handle)?;
    if let Some(obstacle) = obstacle_to_file(&stat) {
        return Err(io::Error::other(format!("it is {obstacle}")));
    }
    read_up_to(File::from(handle), stat.st_size, limit).map(Some)
}

/// Writes a file for its owner only, durably and atomically. Replaces what is there.
///
/// # Errors
/// When it cannot be written. The old file is then still in place.
pub fn replace_named(path: &Utf8Path, bytes: &[u8]) -> Result<()> {
    let (parent, name) = path.parent().zip(path.file_name()).context("it names no file")?;
    let dir = Dir::open(parent).with_context(|| format!("could not open `{parent}`"))?;
    dir.replace_file(name, bytes, &format!(".{name}.{}.tmp", std::process::id()))?;
    dir.sync()
}

/// Whether a file was kept from being written: by its mode, by a disk that is read-only, or by a sandbox.
pub fn is_kept(error: &anyhow::Error) -> bool {
    matches!(kind_of(error), Some(io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem))
}

/// What to do where a disk, or what this user may have of it, is full. `None` if the error has another cause.
pub fn room_for(error: &anyhow::Error) -> Option<&'static str> {
    matches!(kind_of(error), Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded))
        .then_some("make room on that disk")
}

fn kind_of(error: &anyhow::Error) -> Option<io::ErrorKind> {
    let cause = error.root_cause();
    let by_code = |code: &Errno| io::Error::from(*code).kind();
    cause.downcast_ref().map(io::Error::kind).or_else(|| cause.downcast_ref().map(by_code))
}

/// The free space of the file system that a path is on: in MiB, and in files. `None` if nothing is there.
pub fn free_space(path: &Utf8Path) -> Option<(u64, u64)> {
    if is_full_in_a_test(path) {
        return Some((0, 0));
    }
    rustix::fs::statvfs(path.as_std_path()).ok().map(|stat| space_in(&stat))
}

/// A test fills no disk: it says which path is on one that is full. Only debug builds hear it.
#[expect(clippy::disallowed_methods, reason = "a release reads no variable here")]
fn is_full_in_a_test(path: &Utf8Path) -> bool {
    cfg!(debug_assertions) && std::env::var("KINFRA_TEST_FULL_DISK").is_ok_and(|full| full == path.as_str())
}

/// Whether a disk with so much free space is nearly full.
pub fn is_low((mib, files): (u64, u64)) -> bool {
    mib < LOW_SPACE_MIB || files < FEW_FILES
}

/// Whether a directory is at the path. `false` also if the system cannot tell.
pub fn is_directory(path: &Utf8Path) -> bool {
    stat(path).is_ok_and(is_dir)
}

/// Whether a directory is at the path, or the system cannot tell.
pub fn may_be_directory(path: &Utf8Path) -> bool {
    stat(path).map_or(true, is_dir)
}

fn is_dir(stat: Option<Stat>) -> bool {
    stat.is_some_and(|stat| FileType::from_raw_mode(stat.st_mode).is_dir())
}

/// Whether what was at a path was removed, as far as this machine can tell. Only it and the directory above
/// it are missing: where more is, it was never here. What is there can be written by this user, and is not
/// empty, as the place of a disk that is not mounted is.
pub fn was_removed(path: &Utf8Path) -> bool {
    let near = path.ancestors().skip(1).take(2);
    let there = near.map(|above| (above, exists(above).unwrap_or(false))).find(|(_, is_there)| *is_there);
    let Some((there, _)) = there.filter(|_| exists(path).is_ok_and(|is_there| !is_there)) else {
        return false;
    };
    let is_empty = there.read_dir_utf8().map_or(true, |mut entries| entries.next().is_none());
    let is_writable = rustix::fs::access(there.as_std_path(), rustix::fs::Access::WRITE_OK).is_ok();
    is_writable && !is_empty
}

/// Whether a symbolic link is at the path.
pub fn is_link(path: &Utf8Path) -> bool {
    let stat = rustix::fs::lstat(path.as_std_path());
    stat.is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode).is_symlink())
}

/// Whether anything is at the path.
///
/// # Errors
/// When the system cannot tell.
pub fn exists(path: &Utf8Path) -> io::Result<bool> {
    stat(path).map(|stat| stat.is_some())
}

/// Whether a directory is at the path. `None` if nothing is.
///
/// # Errors
/// When the system cannot tell.
pub fn is_directory_there(path: &Utf8Path) -> io::Result<Option<bool>> {
    Ok(stat(path)?.map(|stat| is_dir(Some(stat))))
}

/// The time of the last change to a file's content. `None` if nothing is at the path.
///
/// # Errors
/// When the system cannot tell.
pub fn modified(path: &Utf8Path) -> io::Result<Option<Time>> {
    let micros = |stat: Stat| {
        let nanoseconds = i64::try_from(stat.st_mtime_nsec).unwrap_or_default();
        stat.st_mtime.saturating_mul(1_000_000).saturating_add(nanoseconds / 1_000)
    };
    Ok(stat(path)?.map(|stat| Time::from_unix_micros(micros(stat))))
}

/// Sets the time of the last change of a file to now. Makes an empty file if there is none.
///
/// # Errors
/// The system's.
pub fn touch(path: &Utf8Path) -> io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let file = rustix::fs::open(path.as_std_path(), flags, Mode::RUSR | Mode::WUSR)?;
    let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
    Ok(rustix::fs::futimens(file, &Timestamps { last_access: now, last_modification: now })?)
}

/// Where on the disk a directory is.
///
/// # Errors
/// The system's.
pub fn place_of(directory: &Utf8Path) -> io::Result<Place> {
    let meta = directory.as_std_path().metadata()?;
    let born = meta.created().ok().and_then(|born| born.duration_since(SystemTime::UNIX_EPOCH).ok());
    let born = born.and_then(|born| i64::try_from(born.as_nanos()).ok());
    Ok(Place { device: meta.dev(), inode: meta.ino(), born })
}

/// The mount point of the file system that holds a directory.
///
/// # Errors
/// When the system cannot tell.
pub fn mount_of(directory: &Utf8Path) -> io::Result<&Utf8Path> {
    let (mut mount, mut own) = (directory, stat(directory)?);
    while let Some(parent) = mount.parent() {
        let above = stat(parent)?;
        if are_apart(own, above) {
            break;
        }
        (mount, own) = (parent, above);
    }
    Ok(mount)
}

/// Whether the path is a mount point.
///
/// # Errors
/// When the system cannot tell.
pub fn is_mount(path: &Utf8Path) -> io::Result<bool> {
    let Some(above) = path.parent() else { return Ok(true) };
    Ok(are_apart(stat(path)?, stat(above)?))
}

/// Whether a directory is on another file system than the one above it.
fn are_apart(own: Option<Stat>, above: Option<Stat>) -> bool {
    own.zip(above).is_some_and(|(own, above)| own.st_dev != above.st_dev)
}

/// What is at the path. `None` if nothing is, or no file can have this path.
fn stat(path: &Utf8Path) -> io::Result<Option<Stat>> {
    match rustix::fs::stat(path.as_std_path()) {
        Ok(stat) => Ok(Some(stat)),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NAMETOOLONG | Errno::INVAL) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a test writes what it looks at")]
    fn a_file_is_read_to_its_end_whatever_its_size_was_said_to_be() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        std::io::Write::write_all(&mut file, b"ten bytes.").unwrap();
        let read = |size, limit| read_up_to(std::fs::File::open(file.path()).unwrap(), size, limit);
        for size in [0, 3, 9, 10, 11, 99] {
            assert_eq!(read(size, 10).unwrap(), b"ten bytes.", "{size}");
            assert!(read(size, 9).is_err(), "{size}");
        }
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a test writes what it looks at")]
    fn a_path_is_resolved_as_the_system_does() {
        let dir = tempfile::tempdir().unwrap();
        let top = Utf8Path::from_path(dir.path()).unwrap().canonicalize_utf8().unwrap();
        std::fs::create_dir_all(top.join("a/b")).unwrap();
        std::fs::write(top.join("a/file"), "").unwrap();
        std::os::unix::fs::symlink("a", top.join("link")).unwrap();
        std::os::unix::fs::symlink("missing", top.join("dangling")).unwrap();
        let ways = ["", "a/b", "a/file", "a/./b", "a/b/", "a//b", "a/b/..", "link", "link/b", "link/../a"];
        for way in ways.iter().chain(&["a/file/", "dangling", "missing", "a/missing/b"]) {
            let path = Utf8PathBuf::from(format!("{top}/{way}"));
            let by_system = path.canonicalize_utf8();
            assert_eq!(canonical(&path).ok(), by_system.ok(), "{way}");
        }
        assert_eq!(canonical("/..".into()).unwrap(), "/");
        assert_eq!(canonical(".".into()).unwrap(), Utf8PathBuf::from(".").canonicalize_utf8().unwrap());
        #[cfg(target_os = "linux")]
        assert!(is_canonical(&top.join("a/b")) && !is_canonical(&top.join("link/b")));
    }

    #[test]
    fn a_directory_is_on_the_mount_that_holds_it() {
        assert_eq!(mount_of(Utf8Path::new("/")).unwrap(), "/");
        let dir = tempfile::tempdir().unwrap();
        let below = Utf8Path::from_path(dir.path()).unwrap();
        let mount = mount_of(below).unwrap();
        assert!(below.starts_with(mount) && is_mount(mount).unwrap(), "{mount}");
        let between = below.ancestors().take_while(|above| *above != mount);
        assert!(between.clone().all(|above| !is_mount(above).unwrap()), "{mount}");
        #[cfg(target_os = "linux")]
        assert_eq!(mount_of(Utf8Path::new("/proc/self")).unwrap(), "/proc");
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a test writes what it looks at")]
    fn what_was_never_here_was_not_removed() {
        let dir = tempfile::tempdir().unwrap();
        let top = Utf8Path::from_path(dir.path()).unwrap();
        let removed = |below: &str| was_removed(&top.join(below));
        assert!(!removed("pool"), "the place of a disk that is not mounted is empty");
        std::fs::write(top.join("file"), "").unwrap();
        assert!(removed("pool") && removed(".shop/pool"));
        assert!(!removed("home/.shop/pool"), "a home directory that this machine does not have");
        assert!(!removed("file"));
    }
}
