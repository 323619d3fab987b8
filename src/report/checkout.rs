//! What `start` and `done` say of worktrees.

use anyhow::Error;
use camino::{Utf8Path, Utf8PathBuf};
use serde_json::{Value, json};

use super::claim::{self, release_remarks};
use super::document::{FORMAT_VERSION, document};
use crate::checkout::done::BranchEnd;
use crate::checkout::kept::Kept;
use crate::checkout::work::Work;
use crate::claims::release::Released;
use crate::fault::Fault;
use crate::host::git_work::Changes;
use crate::identifier::Branch;
use crate::registry::Claim;
use crate::shown::{count, printable, word};
use crate::slot::SlotId;
use crate::stack::up::Up;

#[cfg(test)]
#[path = "checkout_tests.rs"]
mod tests;

/// The most files that a message names.
const MOST_NAMED: usize = 3;

/// A worktree that was made or found, with its slot.
#[derive(Debug, Clone, Copy)]
pub struct Started<'a> {
    /// Its branch.
    pub branch: &'a Branch,
    /// Its path.
    pub path: &'a Utf8Path,
    /// Whether this run made it.
    pub is_new: bool,
    /// Its slot.
    pub slot: SlotId,
}

/// That a worktree was made.
pub fn made(path: &Utf8Path, branch: &Branch) -> String {
    format!("Made the worktree {} of branch {}\n", printable(path.as_str()), printable(branch.as_str()))
}

/// What comes next.
pub fn next(path: &Utf8Path) -> String {
    format!("Next: `cd {}`\n", word(path.as_str()))
}

/// That a worktree and its slot stay, although its stack does not run.
pub fn stays(started: &Started<'_>) -> String {
    let Started { branch, path, is_new: _, slot } = started;
    let (shown, path, branch) = (printable(path.as_str()), word(path.as_str()), word(branch.as_str()));
    format!(
        "note: the worktree {shown} stays, and so does its claim of slot {slot}\nhelp: `cd {path}` and mend it, \
         then `kinfra up`; or `kinfra done {branch}` removes both\n"
    )
}

/// What could not be undone.
pub fn not_undone(path: &Utf8Path, error: &Error) -> String {
    format!("warning: not all that was made for {} is undone: {error:#}\n", printable(path.as_str()))
}

/// The worktree as one JSON document, with the start of its stack.
pub fn json(started: &Started<'_>, up: Option<&Up>) -> String {
    let Started { branch, path, is_new, slot } = started;
    let mut value =
        up.map_or_else(|| json!({ "format_version": FORMAT_VERSION, "slot_id": slot }), super::up::value);
    if let Value::Object(object) = &mut value {
        object.insert("branch".to_owned(), json!(branch.as_str()));
        object.insert("path".to_owned(), json!(path));
        object.insert("is_new".to_owned(), json!(is_new));
    }
    document(&value)
}

/// That the work of a worktree is nowhere else, so that it stays. Where it is discarded, what can be kept is
/// not named.
pub fn has_work(path: &Utf8Path, work: &Work, is_discarded: bool) -> Fault {
    let Work {
        changes: Changes { changed, untracked, repositories, ignored, unreadable, submodules, unseen },
        commits,
        left_behind,
        in_progress,
    } = work;
    let files = |files: &[Utf8PathBuf], noun: &str, what: &str| {
        (!files.is_empty()).then(|| format!("{} {what} ({})", count(files.len(), noun), names(files)))
    };
    let that_can_be_kept = [
        in_progress.map(|what| format!("{what} in progress")),
        files(changed, "file", "with changes that are not committed"),
        files(untracked, "file", "that git does not know"),
    ];
    let of_others = [
        files(submodules, "submodule", "with changes or commits of their own"),
        files(repositories, "repository", "that git does not know"),
        files(ignored, "ignored repository", "with changes, or with commits on no remote"),
        files(unreadable, "directory", "that git cannot list"),
        files(unseen, "file", "that git was told not to look at"),
    ];
    let commits = [
        (*commits > 0).then(|| format!("{} on no remote and not merged", count(*commits, "commit"))),
        (*left_behind > 0).then(|| format!("{} that no branch has any more", count(*left_behind, "commit"))),
    ];
    let named = |part: Option<String>| part.filter(|_| !is_discarded);
    let parts = that_can_be_kept.into_iter().map(named);
    let parts = parts.chain(of_others).chain(commits.into_iter().map(named)).flatten();
    let parts: Vec<String> = parts.collect();
    let why = if is_discarded { "that --discard cannot keep" } else { "that may be nowhere else" };
    let what = format!("`{}` has work {why}: {}", printable(path.as_str()), parts.join("; "));
    let advice = if !unreadable.is_empty() {
        "make it readable, or move it away"
    } else if !unseen.is_empty() {
        "`git update-index --no-assume-unchanged --no-skip-worktree FILE` has git look at a file again"
    } else if !work.can_be_kept() {
        "push what is in the submodules and move the repositories away"
    } else {
        "commit and push it, or keep it aside with --discard; `kinfra release` gives the slot back and keeps the worktree"
    };
    Fault::refused(what).advise(advice)
}

fn names(files: &[Utf8PathBuf]) -> String {
    let named: Vec<String> = files.iter().take(MOST_NAMED).map(|file| printable(file.as_str())).collect();
    let more = if files.len() > MOST_NAMED { ", …" } else { "" };
    named.join(", ") + more
}

/// Where work was kept, and how it comes back.
pub fn kept(kept: &Kept) -> String {
    let command = format!("git branch {} {}", word(&kept.branch), word(&kept.reference));
    format!("Kept its work as {}\nhelp: `{command}` makes a branch of it\n", printable(&kept.reference))
}

/// That nothing is left of a worktree, or that there never was one.
pub fn nothing_left(path: &Utf8Path, branch: Option<&Branch>, is_listed: bool) -> Fault {
    let path = printable(path.as_str());
    if is_listed {
        let what = format!("the worktree `{path}` is gone, and holds no slot");
        return Fault::refused(what).advise("`git worktree prune` forgets it");
    }
    let what = branch.map_or_else(
        || format!("`{path}` is no worktree, and holds no slot"),
        |branch| format!("no worktree has branch `{branch}`, and `{path}` holds no slot"),
    );
    Fault::refused(what).advise("`kinfra worktrees` lists them")
}

/// That runs hold slots in a worktree, so that it stays.
pub fn has_runs(path: &Utf8Path, runs: &[(SlotId, Claim)]) -> Option<Fault> {
    let (slot, claim) = runs.first()?;
    let path = printable(path.as_str());
    let owner = claim.claim_owner.as_ref().map(|owner| word(owner.as_str()));
    let flag = owner.as_ref().map_or_else(String::new, |owner| format!(" --owner {owner}"));
    let what = match owner {
        Some(owner) => format!("slot {slot} is held by owner {owner} in `{path}`: a run may go on there"),
        None => format!("slot {slot} is held by a run in `{path}`, which may go on"),
    };
    let advice = format!("`kinfra release --for {}{flag} --wipe` ends its claim", word(&path));
    Some(Fault::refused(what).advise(advice))
}

/// The slot that a worktree gave back, if it held one.
pub fn given_back(released: &Released, path: &Utf8Path) -> String {
    if released.claim.is_none() {
        return String::new();
    }
    release_remarks(released) + &claim::released(released, None, (path, None))
}

/// That a worktree is removed.
pub fn removed(path: &Utf8Path) -> String {
    format!("Removed the worktree {}\n", printable(path.as_str()))
}

/// What became of the branch.
pub fn branch(end: &BranchEnd) -> String {
    let name = |branch: &Branch| printable(branch.as_str());
    match end {
        BranchEnd::None => String::new(),
        BranchEnd::Removed(branch) => format!("Removed branch {}, which is merged\n", name(branch)),
        BranchEnd::NotMerged(branch) => format!("Branch {} stays: it is not merged\n", name(branch)),
        BranchEnd::InUse(branch) => format!("Branch {} stays\n", name(branch)),
    }
}

/// That the shell's directory is gone.
pub fn leave(main: &Utf8Path) -> String {
    format!("Next: `cd {}`, because this directory is gone\n", word(main.as_str()))
}

/// That files of a worktree stay which git could not remove.
pub fn files_left(path: &Utf8Path, files: &[Utf8PathBuf]) -> Fault {
    let below = |file: &Utf8PathBuf| file.strip_prefix(path).unwrap_or(file).to_owned();
    let files: Vec<Utf8PathBuf> = files.iter().map(below).collect();
    let what = format!(
        "its slot is released, and git forgot the worktree, but files of `{}` cannot be removed: {}",
        printable(path.as_str()),
        names(&files)
    );
    Fault::failed(what).advise(format!("`sudo rm -rf {}` removes them", word(path.as_str())))
}
