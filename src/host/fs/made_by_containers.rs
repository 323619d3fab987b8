//! What containers make on the disk of this machine: a directory in the place of a worktree that is gone, and
//! files of another user in a worktree.
#![expect(clippy::disallowed_methods, reason = "this is where kinfra looks at what containers made")]

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;

use camino::{Utf8Path, Utf8PathBuf};

/// The most files and directories that are looked at.
const MOST: usize = 10_000;

/// The most files that are named which stay.
const NAMED: usize = 4;

/// Removes a directory in which there are only directories. Returns what is in it otherwise: the first of its
/// files. A link is not followed. Nothing at the path is as good as nothing in it.
///
/// # Errors
/// When it cannot be read, or an empty directory in it cannot be removed.
pub fn remove_without_files(path: &Utf8Path) -> io::Result<Option<Utf8PathBuf>> {
    let mut directories = Vec::new();
    let mut next = vec![path.to_owned()];
    while let Some(path) = next.pop() {
        match fs::symlink_metadata(&path) {
            Ok(found) if found.is_dir() => next.extend(below(&path)?),
            Ok(_) => return Ok(Some(path)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        }
        if directories.len() == MOST {
            return Ok(Some(path));
        }
        directories.push(path);
    }
    directories.iter().rev().try_for_each(fs::remove_dir).map(|()| None)
}

/// What at these paths, or below them, belongs to another user than the worktree does, without what is in one
/// of these, in the order of their names. Looks at a few thousand files in all, those nearest to the paths
/// first.
pub fn of_another_user(paths: &[Utf8PathBuf], worktree: &Utf8Path) -> Vec<Utf8PathBuf> {
    let Ok(owner) = fs::symlink_metadata(worktree).map(|found| found.uid()) else { return Vec::new() };
    let (mut others, mut left) = (Vec::new(), MOST);
    let mut next = VecDeque::from(paths.to_vec());
    while let Some(path) = next.pop_front() {
        let Some(fewer) = left.checked_sub(1) else { break };
        left = fewer;
        match fs::symlink_metadata(&path) {
            Ok(found) if found.uid() != owner => others.push(path),
            Ok(found) if found.is_dir() => next.extend(below(&path).unwrap_or_default()),
            Ok(_) | Err(_) => {}
        }
    }
    others.sort();
    others
}

/// The first of what is at a path or below it and is no directory with something in it.
pub fn left_at(path: &Utf8Path) -> Vec<Utf8PathBuf> {
    let mut left = Vec::new();
    let mut next = VecDeque::from([path.to_owned()]);
    while let Some(path) = next.pop_front().filter(|_| left.len() < NAMED) {
        match below(&path) {
            Ok(paths) if !paths.is_empty() => next.extend(paths),
            Ok(_) | Err(_) => left.push(path),
        }
    }
    left
}

fn below(directory: &Utf8Path) -> io::Result<Vec<Utf8PathBuf>> {
    directory.read_dir_utf8()?.map(|entry| entry.map(|entry| entry.path().to_owned())).collect()
}
