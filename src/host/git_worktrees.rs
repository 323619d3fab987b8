//! The worktrees and branches of a repository: which there are, as git lists them, making and removing them.

use anyhow::{Context as _, Result};
use camino::{Utf8Path, Utf8PathBuf};

use super::fs::mounts_below;
use super::git_program::Git;
use super::plot::Plot;
use super::signals::Interrupt;
use crate::fault::Fault;
use crate::identifier::Branch;
use crate::shown::word;

/// The commit that no commit has: a reference with it is not there.
const NONE: &str = "0000000000000000000000000000000000000000";

/// A worktree as git lists it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GitWorktree {
    /// Its path.
    pub path: Utf8PathBuf,
    /// The commit that is checked out.
    pub head: Option<String>,
    /// The branch that is checked out. `None` if there is none, as in the middle of a rebase.
    pub branch: Option<Branch>,
    /// Whether it is a bare repository, which has no files.
    pub is_bare: bool,
    /// Why it is locked, if it is; may be empty.
    pub locked: Option<String>,
    /// Whether its directory is gone.
    pub is_gone: bool,
}

/// The worktrees of a repository, the main one first.
///
/// # Errors
/// When git does not list them.
pub fn list(git: &Git) -> Result<Vec<GitWorktree>> {
    Ok(parse(&git.needed(&["worktree", "list", "--porcelain", "-z"])?))
}

/// Reads git's list: a line for each fact, and an empty one after each worktree.
fn parse(text: &str) -> Vec<GitWorktree> {
    let mut worktrees = Vec::<GitWorktree>::new();
    for line in text.split('\0') {
        let (key, value) = line.split_once(' ').unwrap_or((line, ""));
        if key == "worktree" {
            worktrees.push(GitWorktree { path: value.into(), ..GitWorktree::default() });
            continue;
        }
        let Some(worktree) = worktrees.last_mut() else { continue };
        match key {
            "HEAD" => worktree.head = (!value.bytes().all(|byte| byte == b'0')).then(|| value.to_owned()),
            "branch" => worktree.branch = Branch::of_reference(value),
            "bare" => worktree.is_bare = true,
            "locked" => worktree.locked = Some(value.to_owned()),
            "prunable" => worktree.is_gone = true,
            _ => {}
        }
    }
    worktrees
}

/// Whether git accepts this name for a branch. It also reads names such as `@{-1}`, which mean another.
///
/// # Errors
/// When git does not answer.
pub fn is_valid(git: &Git, branch: &Branch) -> Result<bool> {
    let name = git.ask(&["check-ref-format", "--branch", branch.as_str()])?;
    // What git takes for the current commit is no name of a branch.
    let is_other = ["@", "HEAD"].contains(&branch.as_str());
    Ok(!is_other && name.is_some_and(|name| name.trim_end() == branch.as_str()))
}

/// The commit that a name stands for, if it is one.
///
/// # Errors
/// When git does not answer.
pub fn commit_of(git: &Git, name: &str) -> Result<Option<String>> {
    let name = format!("{name}^{{commit}}");
    let commit = git.ask(&["rev-parse", "--verify", "--quiet", "--end-of-options", &name])?;
    Ok(commit.map(|commit| commit.trim_end().to_owned()))
}

/// The remotes that have a branch of this name, as far as they were fetched.
///
/// # Errors
/// When git does not answer.
pub fn remotes_with(git: &Git, branch: &Branch) -> Result<Vec<String>> {
    let remotes = git.needed(&["remote"])?;
    let mut with = Vec::new();
    for remote in remotes.lines() {
        let reference = format!("refs/remotes/{remote}/{branch}");
        if git.ask(&["show-ref", "--verify", "--quiet", &reference])?.is_some() {
            with.push(remote.to_owned());
        }
    }
    Ok(with)
}

/// Which of several remotes is meant, if the user has said it.
///
/// # Errors
/// When git does not answer.
pub fn default_remote(git: &Git) -> Result<Option<String>> {
    let remote = git.ask(&["config", "--get", "checkout.defaultRemote"])?;
    Ok(remote.map(|remote| remote.trim_end().to_owned()))
}

/// What a new worktree has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Checkout {
    /// A branch that is there.
    Branch,
    /// A new branch, from this commit or name.
    New(String),
    /// A new branch that follows that of a remote.
    Of(String),
}

/// Adds a worktree for a branch, in the directory of a plot.
///
/// # Errors
/// As [`Git::run`].
pub fn add(git: &Git, plot: &Plot, branch: &Branch, what: &Checkout, interrupt: &Interrupt) -> Result<()> {
    let (path, name) = (plot.path().as_str(), branch.as_str());
    let remote = format!("{}/{name}", if let Checkout::Of(remote) = what { remote } else { "" });
    let arguments = match what {
        Checkout::Branch => vec!["worktree", "add", "--quiet", "--", path, name],
        Checkout::New(from) => vec!["worktree", "add", "--quiet", "-b", name, "--", path, from],
        Checkout::Of(_) => vec!["worktree", "add", "--quiet", "--track", "-b", name, "--", path, &remote],
    };
    git.run(&arguments, Some(plot), interrupt)
}

/// Removes a worktree, with its files, also if it has changes or is locked.
///
/// # Errors
/// As [`has_no_mount`] and [`Git::change`].
pub fn remove(git: &Git, worktree: &Utf8Path) -> Result<()> {
    has_no_mount(worktree)?;
    git.change(&["worktree", "remove", "--force", "--force", "--", worktree.as_str()]).map(drop)
}

/// Looks whether something is mounted in a worktree: git would remove the files of another place with it.
///
/// # Errors
/// [`Fault`] names what is mounted.
pub fn has_no_mount(worktree: &Utf8Path) -> Result<()> {
    let mounts =
        mounts_below(worktree).with_context(|| format!("cannot see what is mounted in `{worktree}`"))?;
    let Some(first) = mounts.first() else { return Ok(()) };
    let what = format!("`{first}` is mounted in `{worktree}`: what is in it would be removed, too");
    let commands = mounts.iter().rev().map(|mount| format!("umount {}", word(mount.as_str())));
    let advice = format!("`{}` takes it away", commands.collect::<Vec<_>>().join(" && "));
    Err(Fault::refused(what).advise(advice).into())
}

/// Locks a worktree for a reason, so that no other git removes it or forgets it.
///
/// # Errors
/// As [`Git::change`].
pub fn lock(git: &Git, worktree: &Utf8Path, why: &str) -> Result<()> {
    git.change(&["worktree", "lock", "--reason", why, "--", worktree.as_str()]).map(drop)
}

/// Unlocks a worktree.
///
/// # Errors
/// As [`Git::change`].
pub fn unlock(git: &Git, worktree: &Utf8Path) -> Result<()> {
    git.change(&["worktree", "unlock", "--", worktree.as_str()]).map(drop)
}

/// Removes a branch that is at this commit, with what the configuration says of it. One that moved on stays.
///
/// # Errors
/// When it moved on, or git cannot remove it.
pub fn remove_branch(git: &Git, branch: &Branch, at: &str) -> Result<()> {
    git.change(&["update-ref", "-d", &branch.reference(), at])?;
    // Without a section there is nothing to remove.
    let _ = git.ask(&["config", "--remove-section", &format!("branch.{branch}")]);
    Ok(())
}

/// Makes a reference that is not there yet.
///
/// # Errors
/// [`Fault`] when it is there, or git cannot write it.
pub fn make_reference(git: &Git, reference: &str, commit: &str) -> Result<(), anyhow::Error> {
    let none = NONE.repeat(commit.len().div_ceil(NONE.len()));
    let none = none.get(..commit.len()).ok_or_else(|| Fault::failed("git named a commit that is none"))?;
    git.change(&["update-ref", reference, commit, none]).map(drop)
}

/// Whether a commit is part of another's history.
///
/// # Errors
/// When git does not answer.
pub fn is_part_of(git: &Git, commit: &str, whole: &str) -> Result<bool> {
    Ok(git.ask(&["merge-base", "--is-ancestor", commit, whole])?.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn git_s_list_is_read() {
        let text = "worktree /src/shop\0HEAD 12ab\0branch refs/heads/main\0\0worktree /src/a b\nc\0HEAD 34cd\0\
                    detached\0locked\0\0worktree /gone\0HEAD 0000\0branch refs/heads/impl/x\0locked on a disk\0\
                    prunable gitdir file points to non-existent location\0\0worktree /bare.git\0bare\0\0";
        let of = |path: &str| GitWorktree { path: path.into(), ..GitWorktree::default() };
        let branch = |name: &str| Branch::new(name).ok();
        let expected = [
            GitWorktree { head: Some("12ab".to_owned()), branch: branch("main"), ..of("/src/shop") },
            GitWorktree { head: Some("34cd".to_owned()), locked: Some(String::new()), ..of("/src/a b\nc") },
            GitWorktree {
                branch: branch("impl/x"),
                locked: Some("on a disk".to_owned()),
                is_gone: true,
                ..of("/gone")
            },
            GitWorktree { is_bare: true, ..of("/bare.git") },
        ];
        assert_eq!(parse(text), expected);
    }
}
