//! What there is to know of git without running it.

use std::io;

use anyhow::{Context as _, Result};
use camino::{Utf8Component, Utf8Path, Utf8PathBuf};

use super::fs::{Dir, canonical, exists, is_directory, read_named};

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

/// The directory of git's that lists a worktree among others, if it is a linked one.
///
/// # Errors
/// When git's files cannot be read.
pub fn repo_of(worktree: &Utf8Path) -> io::Result<Option<Utf8PathBuf>> {
    if is_directory(&worktree.join(".git")) {
        return Ok(None);
    }
    let Some(line) = text_of(worktree, ".git")? else { return Ok(None) };
    let Some(own) = line.strip_prefix("gitdir: ").map(|own| worktree.join(own)) else { return Ok(None) };
    // A submodule's has none: it is listed nowhere.
    let Some(common) = text_of(&own, "commondir")? else { return Ok(None) };
    canonical(&own.join(common)).map(Some)
}

/// The directory `info` of the repository that a directory is in, which all its worktrees share (gitrepository-layout(5)).
pub fn info_of(dir: &Utf8Path) -> Option<Utf8PathBuf> {
    let top = top_of(dir).ok()??;
    let git = top.join(".git");
    let repo = if is_directory(&git) { git } else { repo_of(top).ok()?? };
    // What only looks like a repository is left alone.
    is_directory(&repo.join("objects")).then(|| repo.join("info"))
}

/// What git knows of a linked worktree, as `git worktree list` tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listing {
    /// Git does not know it: it was removed or moved.
    Absent,
    /// Git knows it.
    Listed,
    /// Git knows it, and was told to keep it, be it there or not.
    Locked,
    /// There is no such repository.
    NoRepo,
}

/// Looks up a worktree in the repository that lists it. Reads git's own files, which takes no process.
///
/// # Errors
/// When git's files cannot be read: that says nothing about the worktree.
pub fn listing(repo: &Utf8Path, worktree: &Utf8Path) -> Result<Listing> {
    if !exists(&repo.join("objects"))? {
        return Ok(Listing::NoRepo);
    }
    // Git removes the directory with the last of them.
    let worktrees = repo.join("worktrees");
    if !exists(&worktrees)? {
        return Ok(Listing::Absent);
    }
    for name in Dir::open(&worktrees)?.names()? {
        let entry = worktrees.join(name.to_str().context("git has a worktree whose name is not UTF-8")?);
        let Some(git) = text_of(&entry, "gitdir")? else { continue };
        // Git may have it relative to the entry.
        if normal(&entry.join(git)) == worktree.join(".git") {
            let is_locked = exists(&entry.join("locked"))?;
            return Ok(if is_locked { Listing::Locked } else { Listing::Listed });
        }
    }
    Ok(Listing::Absent)
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
