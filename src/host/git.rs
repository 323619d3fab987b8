//! What there is to know of git without running it.

use std::io;

use anyhow::{Context as _, Result};
use camino::{Utf8Component, Utf8Path, Utf8PathBuf};

use super::fs::{canonical, exists, is_directory, modified, read_named};
use crate::time::Time;

/// The most that git writes into the files that are read here, in bytes.
const LIMIT: u64 = 64 << 10;

/// The top of the repository or worktree that a directory is in: the nearest parent that holds `.git`, be it a
/// directory or, in a linked worktree, a file. A submodule is part of the worktree that it is in.
pub fn top_of(dir: &Utf8Path) -> Result<Option<&Utf8Path>> {
    let mut submodule = None;
    for parent in dir.ancestors() {
        let path = parent.join(".git");
        if !exists(&path).with_context(|| format!("could not examine `{path}`"))? {
            continue;
        }
        if !is_submodule(parent) {
            return Ok(Some(parent));
        }
        submodule = submodule.or(Some(parent));
    }
    Ok(submodule)
}

/// Whether a directory is a submodule's: its repository is below `modules` in that of another (gitsubmodules(7)).
fn is_submodule(top: &Utf8Path) -> bool {
    let repo = git_dir_of(top).ok().flatten().map(|repo| normal(&repo));
    // A linked worktree of a submodule's repository is wherever somebody made it.
    repo.filter(|repo| !is_there(&repo.join("commondir"))).is_some_and(|repo| {
        let above = repo.ancestors().filter(|above| above.file_name() == Some("modules"));
        let mut above = above.filter_map(Utf8Path::parent);
        above.any(|above| is_there(&above.join("HEAD")))
    })
}

/// The directory that a file `.git` leads to.
fn git_dir_of(top: &Utf8Path) -> io::Result<Option<Utf8PathBuf>> {
    if is_directory(&top.join(".git")) {
        return Ok(None);
    }
    let line = text_of(top, ".git")?;
    Ok(line.and_then(|line| Some(top.join(line.strip_prefix("gitdir: ")?))))
}

fn is_there(path: &Utf8Path) -> bool {
    exists(path).unwrap_or(false)
}

/// The branch that is checked out where a directory is, if one is and git's files tell.
pub fn branch_of(dir: &Utf8Path) -> Option<String> {
    let top = top_of(dir).ok()??;
    let git = git_dir_of(top).ok()?.unwrap_or_else(|| top.join(".git"));
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
    let Some(entry) = git_dir_of(worktree)? else { return Ok(None) };
    // Only a linked worktree's has one; what `git init --separate-git-dir` makes is listed nowhere.
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
    let repo = match (git_dir_of(top).ok()?, entry_of(top).ok()?) {
        (None, _) => top.join(".git"),
        (Some(_), Some(entry)) => repo_of(&entry)?.to_owned(),
        (Some(repo), None) => repo,
    };
    // What only looks like a repository is left alone.
    is_directory(&repo.join("objects")).then(|| repo.join("info"))
}

/// What git knows of a linked worktree, as `git worktree list` tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listing {
    /// Git does not know it any more: it was removed.
    Absent,
    /// Git knows it.
    Listed,
    /// Git knows it, and was told to keep it, be it there or not.
    Locked,
    /// Git knows one of that name elsewhere, and it is there.
    Moved {
        /// Its canonical path.
        to: Utf8PathBuf,
        /// When it was made, as far as the file system tells: it may be another one.
        made: Time,
    },
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
    match place_of(entry)? {
        None => return Ok(Listing::Absent),
        Some((place, made)) if exists(&place.join(".git"))? => {
            let place = canonical(&place)?;
            if place != worktree {
                return Ok(Listing::Moved { to: place, made });
            }
        }
        Some(_) => {}
    }
    Ok(if exists(&entry.join("locked"))? { Listing::Locked } else { Listing::Listed })
}

/// The directory of git's that stands for a linked worktree, if that is where git has it: a copy has the same.
///
/// # Errors
/// When git's files cannot be read.
pub fn own_entry_of(worktree: &Utf8Path) -> Result<Option<Utf8PathBuf>> {
    let Some(entry) = entry_of(worktree)? else { return Ok(None) };
    let place = place_of(&entry)?.and_then(|(place, _)| canonical(&place).ok());
    Ok(place.filter(|place| place == worktree).map(|_| entry))
}

/// Where git has the linked worktree that a directory of its own stands for, and when it was made.
fn place_of(entry: &Utf8Path) -> Result<Option<(Utf8PathBuf, Time)>> {
    let Some(git) = text_of(entry, "gitdir")? else { return Ok(None) };
    // Git writes this file when it makes the worktree, and not again. What the other says may be relative to the entry.
    let made = modified(&entry.join("commondir"))?;
    let place = normal(&entry.join(git)).parent().map(Utf8Path::to_owned);
    Ok(place.zip(made))
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
