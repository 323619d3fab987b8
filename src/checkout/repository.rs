//! A repository and its worktrees, as git lists them.

use anyhow::{Context as _, Result};
use camino::{Utf8Path, Utf8PathBuf};

use crate::fault::Fault;
use crate::file::normal;
use crate::host::fs::{Umask, canonical, is_directory, real};
use crate::host::git;
use crate::host::git_program::Git;
use crate::host::git_worktrees::{GitWorktree, commit_of, list};
use crate::identifier::Branch;
use crate::spec::WorktreePath;

/// The names that a repository's default branch often has.
const USUAL: [&str; 2] = ["main", "master"];

/// A repository.
pub struct Repository {
    /// Git in its main worktree, or in its directory if it is bare.
    pub git: Git,
    /// Its worktrees, the main one first.
    pub worktrees: Vec<GitWorktree>,
}

/// What is merged: into the main worktree, or into the default branch.
pub struct Trunk {
    /// The commits.
    pub commits: Vec<String>,
    /// The branches, which are never removed.
    pub branches: Vec<Branch>,
}

impl Repository {
    /// The repository of a directory.
    ///
    /// # Errors
    /// [`Fault`] when it is in none, or git does not list its worktrees.
    pub fn of(here: &Utf8Path, umask: Umask) -> Result<Self> {
        Self::with(&Git::new(git::top_of(here)?.unwrap_or(here), umask), here)
    }

    /// The repository of a directory, to look at.
    ///
    /// # Errors
    /// As [`Repository::of`].
    pub fn seen_from(here: &Utf8Path) -> Result<Self> {
        Self::with(&Git::reading(git::top_of(here)?.unwrap_or(here)), here)
    }

    fn with(git: &Git, here: &Utf8Path) -> Result<Self> {
        if let Err(why) = git.needed(&["rev-parse", "--git-dir"]) {
            // Git may fail for another reason, as where the repository is another user's.
            if !why.to_string().contains("not a git repository") {
                return Err(why);
            }
            let fault = Fault::refused(format!("`{here}` is in no repository of git"));
            let is_jj = is_directory(&git.dir().join(".jj"));
            let advice =
                is_jj.then_some("`jj workspace add` makes one of jj's workspaces; `kinfra up` starts it");
            return Err(Fault { advice: advice.map(str::to_owned), ..fault }.into());
        }
        let worktrees = list(git)?;
        let main = worktrees.first().context("git lists no worktree")?;
        Ok(Self { git: git.at(&main.path), worktrees })
    }

    /// Its main worktree.
    pub fn main(&self) -> &Utf8Path {
        self.git.dir()
    }

    /// The worktree in which a branch is checked out.
    pub fn with_branch(&self, branch: &Branch) -> Option<&GitWorktree> {
        self.worktrees.iter().find(|worktree| worktree.branch.as_ref() == Some(branch))
    }

    /// The worktree at a path, which may be gone.
    pub fn at(&self, path: &Utf8Path) -> Option<&GitWorktree> {
        let path = real(path);
        self.worktrees.iter().find(|worktree| real(&worktree.path) == path)
    }

    /// Whether what is at a path is one of its worktrees, and not another repository's.
    ///
    /// # Errors
    /// When git does not answer.
    pub fn has(&self, path: &Utf8Path) -> Result<bool> {
        let common = |git: &Git| git.ask(&["rev-parse", "--path-format=absolute", "--git-common-dir"]);
        let top = |git: &Git| git.ask(&["rev-parse", "--show-toplevel"]);
        let there = self.git.at(path);
        let is_top =
            top(&there)?.is_some_and(|top| real(Utf8Path::new(top.trim_end_matches('\n'))) == real(path));
        Ok(is_top && common(&there)? == common(&self.git)?)
    }

    /// Where `template` has the worktree of a branch.
    pub fn place(&self, template: &WorktreePath, branch: &Branch, home: Option<&Utf8Path>) -> Utf8PathBuf {
        let main = canonical(self.main()).unwrap_or_else(|_| self.main().to_owned());
        normal(&template.of(branch, &main, home))
    }

    /// What counts as merged.
    ///
    /// # Errors
    /// When git does not answer.
    pub fn trunk(&self) -> Result<Trunk> {
        let main = self.worktrees.first();
        // Without a branch, what is checked out there may be nowhere else: it is only looked at.
        let with_branch = main.filter(|main| main.branch.is_some());
        let mut commits: Vec<String> = with_branch.and_then(|main| main.head.clone()).into_iter().collect();
        let mut branches: Vec<Branch> =
            with_branch.and_then(|main| main.branch.clone()).into_iter().collect();
        if main.is_some_and(|main| main.is_bare) {
            // A bare repository has a HEAD, which git does not list.
            commits.extend(commit_of(&self.git, "HEAD")?);
            let head = self.git.ask(&["symbolic-ref", "--quiet", "HEAD"])?;
            branches.extend(head.and_then(|head| Branch::of_reference(head.trim_end())));
        }
        let remote = self.git.ask(&["symbolic-ref", "--quiet", "--short", "refs/remotes/origin/HEAD"])?;
        let remote = remote.as_deref().and_then(|name| name.trim_end().strip_prefix("origin/"));
        for name in remote.map_or(USUAL.to_vec(), |name| vec![name]) {
            let Ok(branch) = Branch::new(name) else { continue };
            if let Some(commit) = commit_of(&self.git, &branch.reference())? {
                commits.push(commit);
                branches.push(branch);
            }
        }
        if remote.is_some() {
            commits.extend(commit_of(&self.git, "refs/remotes/origin/HEAD")?);
        }
        Ok(Trunk { commits, branches })
    }
}
