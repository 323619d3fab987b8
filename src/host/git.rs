//! What there is to know of git without running it.

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
    let text = String::from_utf8(read_named(path, LIMIT).ok()??).ok()?;
    Some(text.trim_end().to_owned())
}

/// The directory of git's that lists a worktree among others, if it is a linked one.
pub fn repo_of(worktree: &Utf8Path) -> Option<Utf8PathBuf> {
    let git = worktree.join(line(&worktree.join(".git"))?.strip_prefix("gitdir: ")?);
    canonical(&git.join(line(&git.join("commondir"))?)).ok()
}

/// The directory `info` of the repository that a directory is in, which all its worktrees share (gitrepository-layout(5)).
pub fn info_of(dir: &Utf8Path) -> Option<Utf8PathBuf> {
    let top = top_of(dir).ok()??;
    let git = top.join(".git");
    let repo = if is_directory(&git) { git } else { repo_of(top)? };
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
pub fn listing(repo: &Utf8Path, worktree: &Utf8Path) -> Listing {
    if !is_directory(&repo.join("objects")) {
        return Listing::NoRepo;
    }
    let worktrees = repo.join("worktrees");
    let names = Dir::open(&worktrees).ok().and_then(|dir| dir.names().ok()).unwrap_or_default();
    for name in names.iter().filter_map(|name| name.to_str()) {
        let entry = worktrees.join(name);
        let Some(git) = line(&entry.join("gitdir")) else { continue };
        // Git may have it relative to the entry.
        if normal(&entry.join(git)) == worktree.join(".git") {
            let is_locked = exists(&entry.join("locked")).unwrap_or(true);
            return if is_locked { Listing::Locked } else { Listing::Listed };
        }
    }
    Listing::Absent
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
