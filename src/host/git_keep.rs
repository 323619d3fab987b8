//! Keeps the work of a worktree in a commit, and leaves the worktree and its index as they are.
#![expect(clippy::disallowed_methods, reason = "this is where kinfra copies git's index")]

use std::fs;
use std::io::ErrorKind;

use anyhow::{Context as _, Result};
use camino::Utf8Path;

use super::fs::Scratch;
use super::git::confirmed_git_dir;
use super::git_hidden::left_behind;
use super::git_program::Git;
use super::git_worktrees::commit_of;
use crate::time::Time;

/// Files in a worktree's own git directory that name commits which may be nowhere else.
const NAME_COMMITS: [&str; 7] = [
    "MERGE_HEAD",
    "CHERRY_PICK_HEAD",
    "REVERT_HEAD",
    "MERGE_AUTOSTASH",
    "rebase-merge/autostash",
    "rebase-merge/orig-head",
    "rebase-apply/autostash",
];

/// How many files a command names at once.
const AT_ONCE: usize = 100;

/// The work of a worktree as a commit: its files, those that git does not know included. Its parents are the
/// commit that is checked out, what is staged if that is something else, what git is in the middle of, and
/// what was left behind. `None` if there is nothing, not even a commit. The same work at the same time is the
/// same commit.
///
/// # Errors
/// When git cannot make it. The worktree and its index are as they were.
pub fn keep(worktree: &Git, message: &str, at: Time) -> Result<Option<String>> {
    let own = confirmed_git_dir(worktree.dir())?.context("git does not know this worktree")?;
    let scratch = Scratch::new()?;
    let index = scratch.dir().path().join("index");
    match fs::copy(own.join("index"), &index) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error).context("could not copy git's index"),
    }
    let git = worktree.with_index(&index, at);
    let head = commit_of(&git, "HEAD")?;
    let staged = staged(&git, &scratch.dir().path().join("staged"), &index, at)?;
    git.change(&["-c", "core.safecrlf=false", "add", "--all", "--", "."])?;
    let files = tree_of(&git)?;
    let tree = |commit: &str| git.needed(&["rev-parse", "--verify", &format!("{commit}^{{tree}}")]);
    let committed = head.as_deref().map(tree).transpose()?.map(|tree| tree.trim_end().to_owned());
    let mut parents: Vec<String> = head.iter().cloned().collect();
    if staged != files && Some(&staged) != committed.as_ref() {
        parents.push(commit(&git, &staged, &parents, &format!("{message} (staged)"))?);
    }
    let left = if head.is_some() { left_behind(&git)? } else { Vec::new() };
    for other in named_in(&git, &own)?.into_iter().chain(left) {
        if !parents.contains(&other) {
            parents.push(other);
        }
    }
    match head {
        Some(head) if parents.len() == 1 && Some(&files) == committed.as_ref() => Ok(Some(head)),
        None if git.needed(&["ls-files"])?.is_empty() => Ok(None),
        Some(_) | None => commit(&git, &files, &parents, message).map(Some),
    }
}

/// What is staged. Of files in conflict nothing is: both sides are in commits.
fn staged(git: &Git, copy: &Utf8Path, index: &Utf8Path, at: Time) -> Result<String> {
    let conflicts = git.needed(&["diff", "--name-only", "--diff-filter=U", "--no-renames", "-z"])?;
    if conflicts.is_empty() {
        return tree_of(git);
    }
    fs::copy(index, copy).context("could not copy git's index")?;
    let git = git.with_index(copy, at);
    let files: Vec<&str> = conflicts.split('\0').filter(|path| !path.is_empty()).collect();
    for some in files.chunks(AT_ONCE) {
        git.change(&[&["update-index", "--force-remove", "--"], some].concat())?;
    }
    tree_of(&git)
}

fn tree_of(git: &Git) -> Result<String> {
    Ok(git.change(&["write-tree"])?.trim_end().to_owned())
}

fn commit(git: &Git, tree: &str, parents: &[String], message: &str) -> Result<String> {
    let parents = parents.iter().flat_map(|parent| ["-p", parent]);
    let arguments: Vec<&str> = ["commit-tree", tree, "-m", message].into_iter().chain(parents).collect();
    Ok(git.change(&arguments)?.trim_end().to_owned())
}

/// The commits that git keeps for what it is in the middle of.
fn named_in(git: &Git, own: &Utf8Path) -> Result<Vec<String>> {
    let mut commits = Vec::new();
    for file in NAME_COMMITS {
        let text = super::fs::read_named(&own.join(file), 4096).ok().flatten().unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        for line in
            text.lines().filter(|line| line.len() >= 40 && line.bytes().all(|it| it.is_ascii_hexdigit()))
        {
            commits.extend(commit_of(git, line)?);
        }
    }
    Ok(commits)
}

/// Whether a file has the same bytes in two directories.
pub fn is_same_file(one: &Utf8Path, other: &Utf8Path, path: &Utf8Path) -> bool {
    const LIMIT: u64 = 16 << 20;
    let read = |dir: &Utf8Path| super::fs::read_named(&dir.join(path), LIMIT).ok().flatten();
    read(one).is_some_and(|bytes| Some(bytes) == read(other))
}
