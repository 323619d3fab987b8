//! Work that `git status` does not tell of: in submodules that are not checked out, in repositories below
//! what git ignores, and in commits that only a worktree's own references have.

use std::collections::BTreeSet;

use anyhow::Result;
use camino::{Utf8Path, Utf8PathBuf};

use super::fs::{exists, is_directory};
use super::git::confirmed_git_dir;
use super::git_apart::has_changes;
use super::git_program::Git;
use crate::fault::Fault;

/// What git says, while it goes on, of a directory that it cannot list.
const UNREADABLE: &str = "warning: could not open directory '";

/// How the entries of a reflog begin that made a commit. What rewrites history leaves commits behind.
const MAKES_COMMITS: [&str; 6] = ["commit", "cherry-pick", "revert", "am", "merge", "pull"];

/// Lists a reflog, and runs no program that the settings of a stranger's repository name.
const REFLOG: [&str; 3] = ["log", "--walk-reflogs", "--no-show-signature"];

/// How many commits a command names at once.
const AT_ONCE: usize = 1000;

/// The directories that git could not list, from its messages.
pub(super) fn unreadable(messages: &str) -> Vec<Utf8PathBuf> {
    let named = messages.lines().filter_map(|line| line.strip_prefix(UNREADABLE)?.split_once("': "));
    named.map(|(path, _)| Utf8PathBuf::from(path.trim_end_matches('/'))).collect()
}

/// The repositories of submodules that a worktree keeps for itself and that have commits which are on no
/// remote, those of submodules in submodules included. They are there also without the submodule's files.
///
/// # Errors
/// When the worktree's own git directory cannot be read.
pub(super) fn modules(worktree: &Git) -> Result<Vec<Utf8PathBuf>> {
    let Some(own) = confirmed_git_dir(worktree.dir())? else { return Ok(Vec::new()) };
    let (all, mut found, mut left) = (own.join("modules"), Vec::new(), vec![own.join("modules")]);
    while let Some(dir) = left.pop() {
        if is_git_dir(&dir) {
            if has_own_commits(&worktree.at_git_dir(&dir)) {
                let names = dir.strip_prefix(&all).unwrap_or(&dir).components();
                found.push(names.filter(|name| name.as_str() != "modules").collect());
            }
            left.push(dir.join("modules"));
        } else if is_directory(&dir) {
            left.extend(below(&dir).ok_or_else(|| cannot_see(&dir))?);
        }
    }
    Ok(found)
}

fn cannot_see(dir: &Utf8Path) -> Fault {
    Fault::refused(format!("cannot see whether a submodule has work: `{dir}` cannot be read"))
        .advise("make it readable")
}

/// The repositories in what git ignores that have changes, or commits which are on no remote. What cannot be
/// read there does not count, as ignored files do not.
///
/// # Errors
/// When git does not answer.
pub(super) fn ignored(worktree: &Git) -> Result<Vec<Utf8PathBuf>> {
    let arguments = ["ls-files", "--others", "--ignored", "--exclude-standard", "--directory", "-z"];
    let ignored = worktree.needed(&arguments)?;
    let dirs = ignored.split('\0').filter_map(|path| path.strip_suffix('/'));
    let mut left: Vec<Utf8PathBuf> = dirs.map(|dir| worktree.dir().join(dir)).collect();
    let mut found = Vec::new();
    while let Some(dir) = left.pop() {
        let has_work = if exists(&dir.join(".git")).unwrap_or(false) {
            let repository = worktree.at(&dir);
            has_own_commits(&repository) || has_left_behind(&repository) || has_changes(&repository)
        } else if is_git_dir(&dir) {
            // One that is bare has the branches of its remote as its own.
            let repository = worktree.at_git_dir(&dir);
            let has_own = || has_own_commits(&repository) && !has_all_of(worktree, &repository);
            has_any_commit(&repository) && (has_left_behind(&repository) || has_own())
        } else {
            false
        };
        if has_work {
            found.push(dir.strip_prefix(worktree.dir()).unwrap_or(&dir).to_owned());
        }
        left.extend(below(&dir).unwrap_or_default().into_iter().filter(|dir| !dir.ends_with(".git")));
    }
    found.sort();
    Ok(found)
}

/// The directories in a directory. Links are not followed, and names that are no text are left out.
fn below(dir: &Utf8Path) -> Option<Vec<Utf8PathBuf>> {
    let entries = dir.read_dir_utf8().ok()?.filter_map(Result::ok);
    let dirs = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    Some(dirs.map(|entry| entry.path().to_owned()).collect())
}

/// Whether a directory is that of a repository: the `.git` of one, or one that is bare.
fn is_git_dir(dir: &Utf8Path) -> bool {
    let has_dirs = || ["objects", "refs"].iter().all(|name| is_directory(&dir.join(name)));
    exists(&dir.join("HEAD")).unwrap_or(false) && has_dirs()
}

fn has_any_commit(git: &Git) -> bool {
    git.needed(&["rev-list", "--max-count=1", "--all"]).map_or(true, |commit| !commit.is_empty())
}

/// Whether a repository has commits that are on no remote. What cannot be counted may be work.
pub(super) fn has_own_commits(git: &Git) -> bool {
    let count = ["rev-list", "--count", "--all", "HEAD", "--not", "--remotes"];
    git.needed(&count).map_or(true, |count| count.trim_end() != "0")
}

/// Whether a repository has commits that were made without a branch, and that are nowhere else.
fn has_left_behind(git: &Git) -> bool {
    left_behind(git).map_or(true, |commits| !commits.is_empty())
}

/// Whether the branches, tags and remotes of a worktree's repository have every commit that another has.
fn has_all_of(worktree: &Git, other: &Git) -> bool {
    let all = || -> Result<bool> {
        let tips = other.needed(&["rev-list", "--no-walk", "--all"])?;
        let tips: Vec<&str> = tips.lines().collect();
        let elsewhere = ["--not", "--branches", "--tags", "--remotes"];
        for some in tips.chunks(AT_ONCE) {
            let arguments = [&["rev-list", "--max-count=1"][..], some, &elsewhere].concat();
            // Git fails over a commit that it does not have.
            if worktree.ask(&arguments)?.is_none_or(|more| !more.is_empty()) {
                return Ok(false);
            }
        }
        Ok(true)
    };
    all().unwrap_or(false)
}

/// The commits that go with a worktree although no branch, tag or remote has them: those that were made in it
/// without a branch, and those of `refs/worktree`.
///
/// # Errors
/// When git does not answer; [`Fault`] when a reference names no commit.
pub fn left_behind(worktree: &Git) -> Result<Vec<String>> {
    let mut commits = BTreeSet::new();
    let format = "--format=%(refname) %(objecttype) %(objectname)";
    for line in worktree.needed(&["for-each-ref", format, "refs/worktree"])?.lines() {
        let Some((_, commit)) = line.split_once(" commit ") else {
            let what = format!("cannot see whether `{line}` is elsewhere: it is no commit");
            return Err(Fault::refused(what).advise("`git update-ref -d` drops it").into());
        };
        commits.insert(commit.to_owned());
    }
    let log = worktree.needed(&[&REFLOG[..], &["--format=%H %gs", "HEAD"]].concat())?;
    commits.extend(made_in(&log));
    let branches = worktree.needed(&["for-each-ref", "--format=%(refname)", "refs/heads"])?;
    for branch in branches.lines() {
        if commits.is_empty() {
            break;
        }
        // What a branch has had is that branch's.
        let had = worktree.ask(&[&REFLOG[..], &["--format=%H", branch]].concat())?.unwrap_or_default();
        let had: BTreeSet<&str> = had.lines().collect();
        commits.retain(|commit| !had.contains(commit.as_str()));
    }
    let commits: Vec<String> = commits.into_iter().collect();
    let mut left = Vec::new();
    for some in commits.chunks(AT_ONCE) {
        let some = some.iter().map(String::as_str);
        let arguments = ["rev-list", "--topo-order"].into_iter().chain(some);
        let elsewhere = ["--not", "HEAD", "--branches", "--tags", "--remotes"];
        let all = worktree.needed(&arguments.chain(elsewhere).collect::<Vec<_>>())?;
        left.extend(all.lines().map(str::to_owned));
    }
    Ok(left)
}

/// The commits that a reflog says were made. One that was amended is replaced.
fn made_in(log: &str) -> Vec<String> {
    let entries = log.lines().filter_map(|line| line.split_once(' '));
    let mut is_amended = false;
    let mut made = Vec::new();
    for (commit, message) in entries {
        let makes = MAKES_COMMITS.iter().any(|word| message.starts_with(word));
        if makes && !is_amended {
            made.push(commit.to_owned());
        }
        is_amended = message.starts_with("commit (amend)");
    }
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reflog_says_which_commits_were_made_and_stay() {
        let log = "5 checkout: moving from 4 to fix\n4 commit (amend): four\n3 commit: four\n2 rebase (pick): two\n\
                   1 cherry-pick: one\n0 reset: moving to 0\n";
        assert_eq!(made_in(log), ["4", "1"]);
    }

    #[test]
    fn git_s_warnings_name_the_directories_that_it_cannot_list() {
        let messages = "warning: could not open directory 'a b/it's/': Permission denied\nwarning: other\n";
        // As paths, one with a slash at its end is the same.
        let named: Vec<String> = unreadable(messages).into_iter().map(Utf8PathBuf::into_string).collect();
        assert_eq!(named, ["a b/it's"]);
    }
}
