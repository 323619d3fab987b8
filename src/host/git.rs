//! What there is to know of git without running it.

use std::io;

use anyhow::{Context as _, Result};
use camino::{Utf8Component, Utf8Path, Utf8PathBuf};

use super::fs::{canonical, exists, is_directory, read_named};

/// The most that git writes into the files that are read here, in bytes.
const LIMIT: u64 = 64 << 10;

/// The top of the repository or worktree that a directory is in: the nearest parent that holds `.git`, be it a
/// directory or, in a linked worktree, a file.
pub fn top_of(dir: &Utf8Path) -> Result<Option<&Utf8Path>> {
    for parent in dir.ancestors() {
        let path = parent.join(".git");
        if exists(&path).with_context(|| format!("could not examine `{path}`"))? {
            return Ok(Some(parent));
        }
    }
    Ok(None)
}

/// The branch that is checked out where a directory is, if one is and git's files tell.
pub fn branch_of(dir: &Utf8Path) -> Option<String> {
    let top = top_of(dir).ok()??;
    let git = top.join(".git");
    // In a linked worktree `.git` is a file that says where its own directory is.
    let git = if is_directory(&git) { git } else { top.join(line(&git)?.strip_prefix("gitdir: ")?) };
    Some(line(&git.join("HEAD"))?.strip_prefix("ref: refs/heads/")?.to_owned())
}

fn line(path: &Utf8Path) -> Option<String> {
    Some(text(path).ok()??.trim_end().to_owned())
}

/// The directory of git's that stands for a worktree, if it is a linked one.
///
/// # Errors
/// When git's files cannot be read.
pub fn entry_of(worktree: &Utf8Path) -> io::Result<Option<Utf8PathBuf>> {
    if is_directory(&worktree.join(".git")) {
        return Ok(None);
    }
    let Some(line) = text_of(worktree, ".git")? else { return Ok(None) };
    let Some(entry) = line.strip_prefix("gitdir: ").map(|entry| worktree.join(entry)) else {
        return Ok(None);
    };
    // A submodule's has none: it is listed nowhere.
    if text_of(&entry, "commondir")?.is_none() {
        return Ok(None);
    }
    canonical(&entry).map(Some)
}

/// The repository that a directory of git's which stands for a linked worktree is in.
fn repo_of(entry: &Utf8Path) -> Option<&Utf8Path> {
    entry.parent()?.parent()
}

/// The directory `info` of the repository that a directory is in, which all its worktrees share (gitrepository-layout(5)).
pub fn info_of(dir: &Utf8Path) -> Option<Utf8PathBuf> {
    let top = top_of(dir).ok()??;
    let git = top.join(".git");
    let repo = if is_directory(&git) { git } else { repo_of(&entry_of(top).ok()??)?.to_owned() };
    // What only looks like a repository is left alone.
    is_directory(&repo.join("objects")).then(|| repo.join("info"))
}

/// What git knows of a linked worktree, as `git worktree list` tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listing {
    /// Git does not know it any more: it was removed.
    Absent,
    /// Git knows it.
    Listed,
    /// Git knows it, and was told to keep it, be it there or not.
    Locked,
    /// Git knows it elsewhere, and it is there.
    Moved,
    /// There is no such repository.
    NoRepo,
}

/// Looks up a linked worktree by the directory of git's that stands for it. Reads git's own files, which takes no process.
///
/// # Errors
/// When they cannot be read: that says nothing about the worktree.
pub fn listing(entry: &Utf8Path, worktree: &Utf8Path) -> Result<Listing> {
    if !repo_of(entry).map_or(Ok(false), |repo| exists(&repo.join("objects")))? {
        return Ok(Listing::NoRepo);
    }
    let Some(git) = text_of(entry, "gitdir")? else { return Ok(Listing::Absent) };
    // Git may have it relative to the entry.
    let git = normal(&entry.join(git));
    if git != worktree.join(".git") && exists(&git)? {
        return Ok(Listing::Moved);
    }
    Ok(if exists(&entry.join("locked"))? { Listing::Locked } else { Listing::Listed })
}

/// The line in a file of a directory of git's.
fn text_of(dir: &Utf8Path, name: &str) -> io::Result<Option<String>> {
    Ok(text(&dir.join(name))?.map(|text| text.trim_end().to_owned()))
}

fn text(path: &Utf8Path) -> io::Result<Option<String>> {
    read_named(path, LIMIT)?.map(|bytes| String::from_utf8(bytes).map_err(io::Error::other)).transpose()
}

/// A path without `.` and `..`, whether it is there or not.
fn normal(path: &Utf8Path) -> Utf8PathBuf {
    let mut normal = Utf8PathBuf::new();
    for component in path.components() {
        match component {
            Utf8Component::ParentDir => drop(normal.pop()),
            Utf8Component::CurDir => {}
            Utf8Component::Prefix(_) | Utf8Component::RootDir | Utf8Component::Normal(_) => {
                normal.push(component);
            }
        }
    }
    normal
}
