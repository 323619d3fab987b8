//! What a worktree has that may be nowhere else: changes, commits, and what git is in the middle of.

use anyhow::Result;
use camino::{Utf8Path, Utf8PathBuf};

use super::fs::exists;
use super::git::confirmed_git_dir;
use super::git_hidden::{has_own_commits, ignored, modules, unreadable};
use super::git_program::Git;

/// The files that git has in the middle of something, in a worktree's own git directory, and what that is.
const IN_PROGRESS: [(&str, &str); 7] = [
    ("rebase-merge", "a rebase"),
    ("rebase-apply", "a rebase"),
    ("MERGE_HEAD", "a merge"),
    ("CHERRY_PICK_HEAD", "a cherry-pick"),
    ("REVERT_HEAD", "a revert"),
    ("sequencer", "a series of cherry-picks or reverts"),
    ("BISECT_LOG", "a bisect"),
];

/// What git says of the files of a worktree.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Changes {
    /// Tracked files that are not as the last commit has them, and what is staged.
    pub changed: Vec<Utf8PathBuf>,
    /// Files that git does not know, and that it is not told to ignore.
    pub untracked: Vec<Utf8PathBuf>,
    /// Repositories that git does not know, in directories of the worktree.
    pub repositories: Vec<Utf8PathBuf>,
    /// Repositories with changes or commits of their own, in what git ignores.
    pub ignored: Vec<Utf8PathBuf>,
    /// Directories that git cannot list.
    pub unreadable: Vec<Utf8PathBuf>,
    /// Submodules with changes.
    pub submodules: Vec<Utf8PathBuf>,
    /// Files whose changes git was told not to look at (`assume-unchanged`, `skip-worktree`).
    pub unseen: Vec<Utf8PathBuf>,
}

impl Changes {
    /// Asks git.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn of(worktree: &Git) -> Result<Self> {
        let arguments = ["status", "--porcelain=v2", "-z", "--no-renames", "--untracked-files=all"];
        let arguments = [arguments.as_slice(), &["--ignore-submodules=none"]].concat();
        let (text, messages) = worktree.heard(&arguments)?;
        let mut changes = Self { unseen: unseen(worktree)?, ..parse(&text) };
        changes.unreadable = unreadable(&messages);
        changes.ignored = ignored(worktree)?;
        let checked_out = submodules(worktree)?.into_iter();
        let with_work = checked_out.filter(|it| has_own_commits(&worktree.at(&worktree.dir().join(it))));
        for submodule in with_work.chain(modules(worktree)?) {
            if !changes.submodules.contains(&submodule) {
                changes.submodules.push(submodule);
            }
        }
        Ok(changes)
    }

    /// Whether there are none.
    pub fn is_none(&self) -> bool {
        self == &Self::default()
    }
}

/// Reads what `git status` prints.
fn parse(text: &str) -> Changes {
    let mut changes = Changes::default();
    for line in text.split('\0') {
        let fields = match line.as_bytes().first() {
            Some(b'1') => 9,
            Some(b'u') => 11,
            Some(b'?') => 2,
            _ => continue,
        };
        let words: Vec<&str> = line.splitn(fields, ' ').collect();
        let (Some(path), Some(submodule)) = (words.last(), words.get(2).or(Some(&"N..."))) else { continue };
        let is_changed_inside = submodule.starts_with('S') && submodule.contains(['M', 'U']);
        let list = match (fields, path.strip_suffix('/')) {
            (2, Some(directory)) => {
                changes.repositories.push(directory.into());
                continue;
            }
            (2, None) => &mut changes.untracked,
            _ if is_changed_inside => &mut changes.submodules,
            _ => &mut changes.changed,
        };
        list.push((*path).into());
    }
    changes
}

/// The files that are there, and that git does not compare.
fn unseen(worktree: &Git) -> Result<Vec<Utf8PathBuf>> {
    let files = worktree.needed(&["ls-files", "-v", "-z"])?;
    let is_unseen = |tag: &str| tag == "S" || tag.starts_with(|c: char| c.is_ascii_lowercase());
    let marked = files.split('\0').filter_map(|line| line.split_once(' ')).filter(|(tag, _)| is_unseen(tag));
    let paths = marked.map(|(_, path)| Utf8PathBuf::from(path));
    Ok(paths.filter(|path| exists(&worktree.dir().join(path)).unwrap_or(true)).collect())
}

/// The submodules that are checked out in a worktree, as far as git keeps their repositories with it.
fn submodules(worktree: &Git) -> Result<Vec<Utf8PathBuf>> {
    let files = worktree.needed(&["ls-files", "--stage", "-z"])?;
    let links = files.split('\0').filter(|line| line.starts_with("160000 "));
    let paths = links.filter_map(|line| line.split_once('\t')).map(|(_, path)| Utf8PathBuf::from(path));
    Ok(paths.filter(|path| exists(&worktree.dir().join(path).join(".git")).unwrap_or(true)).collect())
}

/// What a short look at a worktree says: how much may be nowhere else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Glimpse {
    /// Files that are not committed. A directory that git does not know counts as one.
    pub files: usize,
    /// Commits that are on no remote and not merged.
    pub commits: usize,
    /// What git is in the middle of.
    pub in_progress: Option<&'static str>,
}

/// Takes a short look at a worktree. `others` are the commits that count as merged.
///
/// # Errors
/// When git does not answer.
pub fn glimpse(worktree: &Git, has_commit: bool, has_branch: bool, others: &[String]) -> Result<Glimpse> {
    let text = worktree.needed(&["status", "--porcelain=v2", "-z", "--no-renames"])?;
    let files = text.split('\0').filter(|line| line.starts_with(['1', 'u', '?'])).count();
    let commits = if has_commit { commits(worktree, has_branch, others)? } else { 0 };
    Ok(Glimpse { files, commits, in_progress: in_progress(worktree.dir())? })
}

/// What git is in the middle of in a linked worktree.
///
/// # Errors
/// When git's files cannot be read.
pub fn in_progress(worktree: &Utf8Path) -> Result<Option<&'static str>> {
    let Some(own) = confirmed_git_dir(worktree)? else { return Ok(None) };
    let is_there = |(file, _): &&(&str, &str)| exists(&own.join(file)).unwrap_or(true);
    Ok(IN_PROGRESS.iter().find(is_there).map(|(_, what)| *what))
}

/// How many commits of a worktree are on no remote, and in the history of none of these. Without a branch of
/// its own, those that no branch and no tag has.
///
/// # Errors
/// When git does not answer.
pub fn commits(worktree: &Git, has_branch: bool, others: &[String]) -> Result<usize> {
    let mut arguments = vec!["rev-list", "--count", "HEAD", "--not", "--remotes"];
    if has_branch {
        arguments.extend(others.iter().map(String::as_str));
    } else {
        arguments.extend(["--branches", "--tags"]);
    }
    let count = worktree.needed(&arguments)?;
    Ok(count.trim_end().parse().unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_change_is_told() {
        let text = "1 .M N... 100644 100644 100644 12 12 a file\n\x001 A. N... 0 1 1 0 12 new\0\
                    u UU N... 1 1 1 1 a b c both of us\0? notes.txt\0? lib/\0! out\0\
                    1 .M S..U 160000 160000 160000 1 1 sub\x001 .M SC.. 160000 160000 160000 1 1 moved\0";
        let paths = |paths: &[&str]| paths.iter().map(Utf8PathBuf::from).collect::<Vec<_>>();
        let changes = parse(text);
        assert_eq!(changes.changed, paths(&["a file\n", "new", "both of us", "moved"]));
        assert_eq!(changes.untracked, paths(&["notes.txt"]));
        assert_eq!(changes.repositories, paths(&["lib"]));
        assert_eq!(changes.submodules, paths(&["sub"]));
        assert!(parse("").is_none() && !changes.is_none());
    }
}
