//! What git's own files say about worktrees. Starts no process.
//!
//! A linked worktree has a git directory of its own, below `worktrees` in that of the repository. Its `.git`
//! is a file that names this directory (gitrepository-layout(5)).

use std::collections::BTreeSet;
use std::io;

use anyhow::{Context as _, Result};
use camino::{Utf8Path, Utf8PathBuf};

use super::fs::{Dir, canonical, exists, is_directory, is_directory_there, modified, read_named};
use crate::file::normal;
use crate::time::Time;

/// The largest of git's files that is read, in bytes.
const LIMIT: u64 = 64 << 10;

/// What `HEAD` names where git keeps references in the reftable format, which only git itself reads.
const REFTABLE: &str = ".invalid";

/// What jj keeps in the top directory of each of its workspaces. Only the first one has a `.git` beside it.
const JJ: &str = ".jj";

/// The top directory of the worktree that holds a directory: the nearest one with a `.git`, or with the `.jj`
/// of a workspace. A submodule belongs to the worktree around it.
///
/// # Errors
/// When the system cannot tell whether there is one.
pub fn top_of(dir: &Utf8Path) -> Result<Option<&Utf8Path>> {
    Ok(find_top(dir)?.map(|top| top.path))
}

/// The top directory of a worktree.
struct Top<'a> {
    path: &'a Utf8Path,
    /// The git directory that its file `.git` names.
    named: Option<Utf8PathBuf>,
}

fn find_top(dir: &Utf8Path) -> Result<Option<Top<'_>>> {
    let mut submodule = None;
    for parent in dir.ancestors() {
        let git = parent.join(".git");
        let there = is_directory_there(&git).with_context(|| format!("could not examine `{git}`"))?;
        let top = match there {
            Some(false) => Top { path: parent, named: named_in(parent).ok().flatten() },
            Some(true) => Top { path: parent, named: None },
            None if is_directory(&parent.join(JJ)) => Top { path: parent, named: None },
            None => continue,
        };
        if !top.is_submodule() {
            return Ok(Some(top));
        }
        submodule = submodule.or(Some(top));
    }
    Ok(submodule)
}

/// The submodule that holds a directory, if the nearest repository is one.
pub fn submodule_of(dir: &Utf8Path) -> Option<&Utf8Path> {
    let nearest = dir.ancestors().find_map(|above| {
        let is_inside = is_directory_there(&above.join(".git")).ok()??;
        let named = if is_inside { None } else { named_in(above).ok().flatten() };
        Some(Top { path: above, named })
    });
    nearest.filter(Top::is_submodule).map(|nearest| nearest.path)
}

/// The directory that a worktree has for itself: its own git directory, or the `.jj` of a workspace. `None`
/// outside of both, and where `.git` leads to a directory that does not lead back: in a copy of a linked
/// worktree, and in a directory that someone made to look like one.
///
/// # Errors
/// When git's files cannot be read.
pub fn own_dir(worktree: &Utf8Path) -> Result<Option<Utf8PathBuf>> {
    let dot_git = worktree.join(".git");
    let git_is_directory = is_directory(&dot_git);
    // No link is on the way to `.git`, so none is on the way to the worktree.
    if git_is_directory && canonical(&dot_git)?.as_str() == dot_git.as_str() {
        return Ok(Some(dot_git));
    }
    let named = if git_is_directory { None } else { named_in(worktree)? };
    let worktree = canonical(worktree)?;
    if let Some(named) = named {
        let git_dir = canonical(&named);
        let is_inside = git_dir.as_ref().is_ok_and(|git_dir| git_dir.starts_with(&worktree));
        if !is_inside && !is_linked(&named)? {
            return Ok(None);
        }
        let git_dir = git_dir?;
        return Ok((is_inside || is_confirmed(&git_dir, &worktree)?).then_some(git_dir));
    }
    let beside = [".git", JJ].map(|name| worktree.join(name));
    for dir in beside.into_iter().filter(|dir| is_directory(dir)) {
        if canonical(&dir)? == dir {
            return Ok(Some(dir));
        }
    }
    Ok(None)
}

impl Top<'_> {
    /// Whether this is a submodule: its git directory is below `modules` in another one (gitsubmodules(7)).
    fn is_submodule(&self) -> bool {
        let git_dir = self.named.as_deref().filter(|git_dir| git_dir.as_str().contains("modules"));
        git_dir.map(normal).is_some_and(|git_dir| {
            let modules = git_dir.ancestors().filter(|above| above.file_name() == Some("modules"));
            let mut outer = modules.filter_map(Utf8Path::parent);
            // A linked worktree of a submodule can be anywhere. It is a worktree of its own.
            outer.any(|outer| is_there(&outer.join("HEAD"))) && !is_there(&git_dir.join("commondir"))
        })
    }
}

/// The git directory that the file `.git` names.
fn named_in(top: &Utf8Path) -> io::Result<Option<Utf8PathBuf>> {
    let line = line_of(&top.join(".git"))?;
    Ok(line.and_then(|line| Some(top.join(line.strip_prefix("gitdir: ")?))))
}

fn is_there(path: &Utf8Path) -> bool {
    exists(path).unwrap_or(false)
}

/// The branch that is checked out in the worktree that holds a directory. `None` if there is none, if git's
/// files cannot be read, or if the directory is missing.
pub fn branch_of(dir: &Utf8Path) -> Option<String> {
    let Top { path, named } = find_top(dir).ok()??;
    if path.as_str() != dir.as_str() && !is_directory(dir) {
        return None;
    }
    branch_in(&named.unwrap_or_else(|| path.join(".git")))
}

/// [`branch_of`], with fewer looks. `None` also if `.git` in the worktree does not name this git directory.
pub fn branch_of_linked(worktree: &Utf8Path, git_dir: &Utf8Path) -> Option<String> {
    let named = named_in(worktree).ok()??;
    if named.as_str() == git_dir.as_str() { branch_in(git_dir) } else { None }
}

fn branch_in(git_dir: &Utf8Path) -> Option<String> {
    let head = line_of(&git_dir.join("HEAD")).ok()??;
    let branch = head.strip_prefix("ref: refs/heads/")?;
    // Where references are in one table, the file only keeps its place (gitrepository-layout(5)).
    (branch != REFTABLE).then(|| branch.to_owned())
}

/// The git directory of a linked worktree, as the worktree names it. `None` for any other directory.
///
/// # Errors
/// When git's files cannot be read.
pub fn linked_git_dir(worktree: &Utf8Path) -> io::Result<Option<Utf8PathBuf>> {
    let is_inside = is_directory(&worktree.join(".git"));
    match GitDir::of(if is_inside { None } else { named_in(worktree)? })? {
        GitDir::Linked(git_dir) => Ok(Some(git_dir)),
        GitDir::Inside | GitDir::Elsewhere(_) => Ok(None),
    }
}

/// Where the git directory of a worktree is.
enum GitDir {
    /// It is the directory `.git` in the worktree.
    Inside,
    /// `.git` names that of a linked worktree. This is its canonical path.
    Linked(Utf8PathBuf),
    /// `.git` names that of the repository.
    Elsewhere(Utf8PathBuf),
}

impl GitDir {
    /// From the one that `.git` names.
    fn of(named: Option<Utf8PathBuf>) -> io::Result<Self> {
        let Some(named) = named else { return Ok(Self::Inside) };
        Ok(if is_linked(&named)? { Self::Linked(canonical(&named)?) } else { Self::Elsewhere(named) })
    }
}

/// Whether a git directory is that of a linked worktree. One made by `git init --separate-git-dir` does not
/// have this file.
fn is_linked(git_dir: &Utf8Path) -> io::Result<bool> {
    Ok(line_of(&git_dir.join("commondir"))?.is_some())
}

/// The git directory of a linked worktree, if that directory names this worktree, too. In a copy of a
/// worktree it names the original.
///
/// # Errors
/// When git's files cannot be read.
pub fn confirmed_git_dir(worktree: &Utf8Path) -> Result<Option<Utf8PathBuf>> {
    let Some(git_dir) = linked_git_dir(worktree)? else { return Ok(None) };
    Ok(is_confirmed(&git_dir, &canonical(worktree)?)?.then_some(git_dir))
}

/// Whether the git directory of a linked worktree names this worktree, whose path is canonical.
fn is_confirmed(git_dir: &Utf8Path, worktree: &Utf8Path) -> Result<bool> {
    let Some(place) = place_named_by(git_dir)? else { return Ok(false) };
    Ok(place == worktree || (exists(&place)? && canonical(&place)? == worktree))
}

/// When git made a linked worktree, from its git directory.
pub fn made(git_dir: &Utf8Path) -> io::Result<Option<Time>> {
    // Git writes `commondir` once, when it makes the worktree.
    modified(&git_dir.join("commondir"))
}

/// The git directory of the repository that holds a directory, canonical. All its worktrees share it.
pub fn repository_of(dir: &Utf8Path) -> Option<Utf8PathBuf> {
    let top = find_top(dir).ok()??;
    repository_at(top.path, &GitDir::of(top.named).ok()?)
}

/// The git directory of the repository, canonical, from the top of one of its worktrees.
fn repository_at(top: &Utf8Path, git_dir: &GitDir) -> Option<Utf8PathBuf> {
    // A directory `.git` without `objects` is not a repository.
    let is_repository = |repo: &Utf8Path| is_directory(&repo.join("objects"));
    let real = |repo: &Utf8Path| is_repository(repo).then(|| canonical(repo).ok()).flatten();
    match git_dir {
        GitDir::Inside => real(&top.join(".git")),
        GitDir::Linked(linked) => {
            repository_of_linked(linked).filter(|repo| is_repository(repo)).map(Utf8Path::to_owned)
        }
        GitDir::Elsewhere(repo) => real(repo),
    }
}

/// Where a directory is in a repository.
pub struct Located<'a> {
    /// The top directory of its worktree, as [`top_of`] says.
    pub top: &'a Utf8Path,
    /// The git directory of the repository, as [`repository_of`] says.
    pub repository: Option<Utf8PathBuf>,
    /// The main worktree, as [`main_worktree_of`] says.
    pub main: Option<Utf8PathBuf>,
}

/// Where a directory is. `None` outside of worktrees.
pub fn located(dir: &Utf8Path) -> Option<Located<'_>> {
    let Top { path: top, named } = find_top(dir).ok()??;
    let git_dir = GitDir::of(named).ok();
    let repository = git_dir.as_ref().and_then(|git_dir| repository_at(top, git_dir));
    let main = match (&git_dir, &repository) {
        (Some(GitDir::Linked(_)), Some(repo)) => {
            let main = repo.parent().filter(|main| repo.file_name() == Some(".git") && is_directory(main));
            main.map(Utf8Path::to_owned)
        }
        // No link is on the way to `.git`, so none is on the way to the worktree.
        (Some(_), Some(repo)) if repo.as_str() == top.join(".git").as_str() => Some(top.to_owned()),
        (Some(_), Some(_)) => canonical(top).ok(),
        (_, _) => None,
    };
    Some(Located { top, repository, main })
}

/// [`repository_of`], if the repository knows of it: anyone can write a `.git` that leads into another one.
pub fn confirmed_repository_of(dir: &Utf8Path) -> Option<Utf8PathBuf> {
    let Top { path, named } = find_top(dir).ok()??;
    confirmed_at(&canonical(path).ok()?, named)
}

/// [`confirmed_repository_of`] a directory whose path is canonical.
pub fn confirmed_repository_of_canonical(dir: &Utf8Path) -> Option<Utf8PathBuf> {
    let Top { path, named } = find_top(dir).ok()??;
    confirmed_at(path, named)
}

fn confirmed_at(top: &Utf8Path, named: Option<Utf8PathBuf>) -> Option<Utf8PathBuf> {
    let git_dir = GitDir::of(named).ok();
    let repository = git_dir.as_ref().and_then(|git_dir| repository_at(top, git_dir));
    let Some((git_dir, repository)) = git_dir.zip(repository) else {
        return confirmed_repository_of(&around_workspace(top)?);
    };
    let is_inside = repository.starts_with(top);
    let is_confirmed = match git_dir {
        GitDir::Inside => repository == top.join(".git"),
        GitDir::Linked(git_dir) => is_inside || is_confirmed(&git_dir, top).ok()?,
        GitDir::Elsewhere(_) => is_inside,
    };
    is_confirmed.then_some(repository)
}

/// The directory around a workspace of jj that has the repository of the workspace, as its `.jj/repo` says. A
/// workspace that has its own stands for itself.
fn around_workspace(top: &Utf8Path) -> Option<Utf8PathBuf> {
    let jj = top.join(JJ);
    let leads = line_of(&jj.join("repo")).ok().flatten().filter(|_| !is_there(&top.join(".git")))?;
    let repo = canonical(&jj.join(leads)).ok()?;
    let around = repo.parent()?.parent()?;
    (repo.ends_with(".jj/repo") && top != around && top.starts_with(around)).then(|| around.to_owned())
}

/// The directory `info` of the repository that holds a directory. All its worktrees share it.
pub fn info_of(dir: &Utf8Path) -> Option<Utf8PathBuf> {
    repository_of(dir).map(|repo| repo.join("info"))
}

/// The main worktree of the repository that holds a directory, canonical. A bare repository has none.
pub fn main_worktree_of(dir: &Utf8Path) -> Option<Utf8PathBuf> {
    located(dir)?.main
}

/// The git directory of the repository, from that of one of its linked worktrees, as git has recorded it.
pub fn repository_of_linked(git_dir: &Utf8Path) -> Option<&Utf8Path> {
    git_dir.parent()?.parent()
}

/// The main worktree of the repository that holds a directory. `None` without a repository, and if it is bare
/// or keeps its git directory elsewhere.
pub fn main_worktree(dir: &Utf8Path) -> Option<Utf8PathBuf> {
    let top = find_top(dir).ok()??;
    let GitDir::Linked(linked) = GitDir::of(top.named).ok()? else { return Some(top.path.to_owned()) };
    let repo = repository_of_linked(&linked)?;
    (repo.file_name() == Some(".git")).then(|| repo.parent().map(Utf8Path::to_owned))?
}

/// The worktrees of the repository that holds a directory, the main one first. Those that git cannot name are
/// left out.
pub fn worktrees_of(dir: &Utf8Path) -> Vec<Utf8PathBuf> {
    let linked = repository_of(dir).map(|repo| repo.join("worktrees"));
    let names = linked.as_ref().and_then(|linked| Dir::open(linked).ok()?.names().ok()).unwrap_or_default();
    let place = |name: &str| Some(worktree_named_by(&linked.as_ref()?.join(name)).ok()??.0);
    let linked: BTreeSet<Utf8PathBuf> = names.iter().filter_map(|name| place(name.to_str()?)).collect();
    main_worktree_of(dir).into_iter().chain(linked).collect()
}

/// The state of a linked worktree in git's files, as `git worktree list` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkedWorktree {
    /// Git removed it.
    Removed,
    /// Git lists it at this path. Its directory may be missing.
    Listed,
    /// Git lists one with this git directory at another path, and that one exists.
    Moved {
        /// Its canonical path.
        to: Utf8PathBuf,
        /// When git made it. If that is after the claim, it is another worktree that got the same git
        /// directory.
        made: Time,
    },
    /// The repository is missing.
    RepoMissing,
}

/// Looks up the worktree at a path by its git directory.
///
/// # Errors
/// When git's files cannot be read. That says nothing about the worktree.
pub fn linked_worktree(git_dir: &Utf8Path, worktree: &Utf8Path) -> Result<LinkedWorktree> {
    let named = place_named_by(git_dir)?;
    let there = match &named {
        Some(place) if exists(&place.join(".git"))? => Some(canonical(place)?),
        Some(_) | None => None,
    };
    if there.as_deref() == Some(worktree) {
        return Ok(LinkedWorktree::Listed);
    }
    if !repository_of_linked(git_dir).map_or(Ok(false), |repo| exists(&repo.join("objects")))? {
        return Ok(LinkedWorktree::RepoMissing);
    }
    let made = if named.is_some() { made(git_dir)? } else { None };
    Ok(match (made, there) {
        (None, _) => LinkedWorktree::Removed,
        (Some(made), Some(to)) => LinkedWorktree::Moved { to, made },
        (Some(_), None) => LinkedWorktree::Listed,
    })
}

/// Whether `git worktree lock` keeps a worktree even if its directory is missing, from its git directory.
///
/// # Errors
/// When the system cannot tell.
pub fn is_locked(git_dir: &Utf8Path) -> io::Result<bool> {
    exists(&git_dir.join("locked"))
}

/// The worktree that a linked worktree's git directory names, and when git made it.
fn worktree_named_by(git_dir: &Utf8Path) -> Result<Option<(Utf8PathBuf, Time)>> {
    let Some(place) = place_named_by(git_dir)? else { return Ok(None) };
    Ok(made(git_dir)?.map(|made| (place, made)))
}

/// The worktree that a linked worktree's git directory names.
fn place_named_by(git_dir: &Utf8Path) -> Result<Option<Utf8PathBuf>> {
    let Some(dot_git) = line_of(&git_dir.join("gitdir"))? else { return Ok(None) };
    // The path in `gitdir` may be relative to the git directory.
    Ok(normal(&git_dir.join(dot_git)).parent().map(Utf8Path::to_owned))
}

/// The line that one of git's files holds. `None` if there is no such file.
fn line_of(path: &Utf8Path) -> io::Result<Option<String>> {
    let named = |error: io::Error| io::Error::new(error.kind(), format!("`{path}` cannot be read: {error}"));
    let text = |bytes| String::from_utf8(bytes).map_err(|_| io::Error::other("it is not UTF-8 text"));
    let text = read_named(path, LIMIT).and_then(|bytes| bytes.map(text).transpose()).map_err(named)?;
    Ok(text.map(|text| text.trim_end().to_owned()))
}
