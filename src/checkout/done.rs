//! Removing the worktree of a branch, after its work is seen to be elsewhere, or is kept.
//!
//! ```text
//! work? ─► keep it (--discard) ─► [the slot is released and clean] ─► work? ─► git worktree remove ─► branch
//! ```

use anyhow::{Context as _, Result};
use camino::{Utf8Path, Utf8PathBuf};

use super::being_removed;
use super::kept::{Kept, refer};
use super::repository::{Repository, Trunk};
use super::start::{in_use, numbered};
use super::work::Work;
use crate::claims::lease::has_expired;
use crate::claims::release::{ReleaseRequest, Released, release};
use crate::claims::whereabouts::{Following, is_holder, is_of};
use crate::fault::Fault;
use crate::file::RelPath;
use crate::host;
use crate::host::fs::{exists, real};
use crate::host::git_keep::keep;
use crate::host::git_program::Git;
use crate::host::git_unfinished::{LEAVING, is_leaving, is_unfinished, link};
use crate::host::git_worktrees::{
    GitWorktree, commit_of, has_no_mount, is_part_of, lock, remove, remove_branch, unlock,
};
use crate::host::lock::LockPolicy;
use crate::host::plot::{Plot, Taking};
use crate::identifier::Branch;
use crate::registry::{Claim, Condition};
use crate::shown::word;
use crate::slot::SlotId;
use crate::stack::clean::{Cleaned, Cleaning, clean};
use crate::time::Time;
use crate::which::by_worktree::FoundPool;

/// What is known of a worktree that is to go.
pub enum Sought {
    /// Git has it, and it is there.
    There(Box<Leaving>),
    /// Its directory is gone, or empty. It may hold a slot.
    Gone(Box<Remnant>),
}

/// What is left of a worktree: a start or a removal was killed, or its directory was removed by hand.
pub struct Remnant {
    repository: Repository,
    /// Where it was, or was to be.
    pub path: Utf8PathBuf,
    /// Its branch, if that was named or git has it.
    pub branch: Option<Branch>,
    /// The empty directory that a start made for it.
    plot: Option<Plot>,
    /// Whether git still has a worktree there.
    pub is_listed: bool,
    /// Whether a removal had begun, which git still remembers.
    is_leaving: bool,
}

/// A worktree that is to go.
pub struct Leaving {
    /// Its repository.
    pub repository: Repository,
    /// The worktree, with its canonical path.
    pub worktree: GitWorktree,
    trunk: Trunk,
    /// Held until it is gone, so that no other removal and no start is at it.
    _held: Plot,
    /// Whether a removal of it was stopped: files that are missing were removed by it.
    was_begun: bool,
}

/// What became of the branch of a worktree that is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BranchEnd {
    /// There was none.
    None,
    /// It was merged, and is removed.
    Removed(Branch),
    /// It stays: it is not merged.
    NotMerged(Branch),
    /// It stays: it is what others are merged into, or another worktree has it.
    InUse(Branch),
}

/// How a removal ended.
#[derive(Debug)]
pub enum Removal {
    /// The worktree is gone.
    Removed,
    /// Git does not have it any more, and could not remove all of its files.
    FilesLeft(String),
}

/// Which worktree is to go.
#[derive(Debug, Clone, Copy)]
pub enum Named<'a> {
    /// That of a branch. The path is where a start would have made it.
    Branch(&'a Branch, &'a Utf8Path),
    /// The one at a path.
    Path(&'a Utf8Path),
    /// The one that has this directory.
    Here(&'a Utf8Path),
}

/// Finds the worktree that is to go.
///
/// # Errors
/// [`Fault`] when there is none, or it is one that is not removed.
pub fn find(repository: Repository, named: Named<'_>) -> Result<Sought> {
    let found = match named {
        Named::Branch(branch, _) => with_branch(&repository, branch)?,
        Named::Path(path) => repository.at(path),
        Named::Here(here) => repository.at(host::git::top_of(here)?.unwrap_or(here)),
    };
    let Some(worktree) = found.cloned() else { return remnant(repository, named) };
    let path = &worktree.path;
    if worktree.is_bare || repository.worktrees.first() == Some(&worktree) {
        let what = format!("`{path}` is the main worktree: its repository is in it");
        return Err(Fault::refused(what).advise("name the branch of another worktree").into());
    }
    let is_leaving = is_leaving(&worktree);
    if let Some(why) = worktree.locked.as_ref().filter(|_| !is_leaving) {
        return Err(locked(&worktree, why).into());
    }
    if !exists(path).unwrap_or(true) {
        // Without a removal that had begun, the directory may come back.
        let (path, branch) = (real(path), worktree.branch);
        let (plot, is_listed) = (None, true);
        return Ok(Sought::Gone(Box::new(Remnant { repository, path, branch, plot, is_listed, is_leaving })));
    }
    let Some(held) = Plot::hold(path)? else { return Err(being_removed(path).into()) };
    if is_leaving {
        link(&repository.git, path)?;
    }
    if !repository.has(path)? {
        let what = format!("`{path}` is there, and is no worktree of this repository any more");
        return Err(Fault::refused(what).advise("look at what is in it, and move it away").into());
    }
    if let Some(inner) = repository.worktrees.iter().find(|it| it.path != *path && it.path.starts_with(path))
    {
        let what = format!("worktree `{}` is inside `{path}`", inner.path);
        return Err(Fault::refused(what)
            .advise("`git worktree move` moves it, or `kinfra done` removes it")
            .into());
    }
    has_no_mount(path)?;
    let trunk = repository.trunk()?;
    let worktree = GitWorktree { path: real(path), ..worktree };
    let was_begun = is_leaving;
    Ok(Sought::There(Box::new(Leaving { repository, worktree, trunk, _held: held, was_begun })))
}

fn locked(worktree: &GitWorktree, why: &str) -> Fault {
    let path = &worktree.path;
    if let Some(branch) = worktree.branch.as_ref().filter(|_| is_unfinished(worktree)) {
        let advice = format!("`kinfra start {}` ends what it began", word(branch.as_str()));
        return Fault::refused(format!("git was stopped while it made `{path}`")).advise(advice);
    }
    let why = if why.is_empty() { String::new() } else { format!(": {why}") };
    let advice = format!("`git worktree unlock {}` unlocks it", word(path.as_str()));
    Fault::refused(format!("the worktree `{path}` is locked{why}")).advise(advice)
}

/// The worktree that has a branch.
fn with_branch<'a>(repository: &'a Repository, branch: &Branch) -> Result<Option<&'a GitWorktree>> {
    let mut with_it = repository.worktrees.iter().filter(|other| other.branch.as_ref() == Some(branch));
    let first = with_it.next();
    if let (Some(first), Some(second)) = (first, with_it.next()) {
        let what = format!("branch `{branch}` is in `{}` and in `{}`", first.path, second.path);
        return Err(Fault::refused(what).advise("name the path of one").into());
    }
    Ok(first)
}

/// What is left of a worktree that git does not have. Another one that has its place is not meant.
fn remnant(repository: Repository, named: Named<'_>) -> Result<Sought> {
    let (branch, place) = match named {
        Named::Branch(branch, place) => (Some(branch), place),
        Named::Path(path) | Named::Here(path) => (None, path),
    };
    let places = std::iter::once(place.to_owned()).chain(numbered(place).filter(|_| branch.is_some()));
    for place in places.take_while(|place| exists(place).unwrap_or(true)) {
        let plot = if repository.at(&place).is_some() { None } else { Plot::empty(&place)? };
        let plot = match plot {
            Some(Taking::Taken(plot)) => Some(plot),
            Some(Taking::InUse) => return Err(in_use(&place).into()),
            Some(Taking::Occupied) | None => continue,
        };
        let (path, branch) = (real(&place), branch.cloned());
        return Ok(gone(repository, path, branch, plot, false));
    }
    let there = repository.at(place);
    let Some(branch) = branch else {
        return Err(Fault::refused(format!("`{place}` is in no worktree of git")).into());
    };
    if !exists(place).unwrap_or(true) && there.is_none_or(|other| other.branch.is_none()) {
        let is_listed = there.is_some();
        let (path, branch) = (real(place), Some(branch.clone()));
        return Ok(gone(repository, path, branch, None, is_listed));
    }
    let has = match there {
        Some(GitWorktree { branch: Some(other), .. }) => format!(": `{place}` has branch `{other}`"),
        Some(_) => format!(": `{place}` has none"),
        None => String::new(),
    };
    let what = format!("no worktree has branch `{branch}`{has}");
    Err(Fault::refused(what).advise("`git worktree list` lists them; name the path of one").into())
}

fn gone(
    repository: Repository,
    path: Utf8PathBuf,
    branch: Option<Branch>,
    plot: Option<Plot>,
    is_listed: bool,
) -> Sought {
    Sought::Gone(Box::new(Remnant { repository, path, branch, plot, is_listed, is_leaving: false }))
}

impl Remnant {
    /// Ends what was begun, after the slot was released: what git still has of it, the empty directory, and
    /// the branch if it is merged. Whether git had anything of it.
    ///
    /// # Errors
    /// When git cannot remove its part.
    pub fn end(self) -> Result<(bool, BranchEnd)> {
        let Self { repository, path, branch, plot, is_listed: _, is_leaving } = self;
        if is_leaving && let Err(error) = remove(&repository.git, &path) {
            // Another removal may have ended it just now.
            let listed = host::git_worktrees::list(&repository.git)?;
            if listed.iter().any(|it| real(&it.path) == path) {
                return Err(error);
            }
        }
        if let Some(plot) = plot {
            plot.give_up();
        }
        let end = branch
            .map_or(Ok(BranchEnd::None), |branch| end_of(&repository.git, &repository.trunk()?, branch))?;
        Ok((is_leaving, end))
    }
}

/// Has git forget a worktree whose directory is gone, after it kept what only that one had checked out.
///
/// # Errors
/// [`Fault`] when it is locked; else what git says.
pub fn forget(repository: &Repository, worktree: &GitWorktree, at: Time) -> Result<Option<Kept>> {
    if let Some(why) = worktree.locked.as_ref().filter(|_| !is_leaving(worktree)) {
        return Err(locked(worktree, why).into());
    }
    let git = &repository.git;
    let alone = worktree.head.as_ref().filter(|_| worktree.branch.is_none());
    let mut kept = None;
    if let Some(head) = alone {
        let elsewhere = ["--not", "--branches", "--tags", "--remotes"];
        if !git.needed(&[&["rev-list", "--max-count=1", head][..], &elsewhere].concat())?.is_empty() {
            kept = Some(refer(git, None, head.clone(), at)?);
        }
    }
    remove(git, &worktree.path)?;
    Ok(kept)
}

/// Removes a branch if it is merged.
fn end_of(git: &Git, trunk: &Trunk, branch: Branch) -> Result<BranchEnd> {
    let Some(tip) = commit_of(git, &branch.reference())? else { return Ok(BranchEnd::None) };
    let has_it = |other: &GitWorktree| other.branch.as_ref() == Some(&branch);
    if trunk.branches.contains(&branch) || host::git_worktrees::list(git)?.iter().any(has_it) {
        return Ok(BranchEnd::InUse(branch));
    }
    for commit in &trunk.commits {
        if is_part_of(git, &tip, commit)? {
            remove_branch(git, &branch, &tip)?;
            return Ok(BranchEnd::Removed(branch));
        }
    }
    Ok(BranchEnd::NotMerged(branch))
}

impl Leaving {
    /// What would be lost with it. `copied` are the files that a claim brings, below the top of the worktree.
    ///
    /// # Errors
    /// When git does not answer.
    pub fn work(&self, copied: (&[RelPath], &Utf8Path)) -> Result<Work> {
        let mut work = Work::of(&self.repository, &self.worktree, &self.trunk, copied)?;
        if self.was_begun {
            work.changes.changed.retain(|file| exists(&self.worktree.path.join(file)).unwrap_or(true));
        }
        Ok(work)
    }

    /// Keeps all its work under a reference of its own, at a time. `None` if there is no commit and no file.
    ///
    /// # Errors
    /// When git cannot keep it. Nothing was changed.
    pub fn keep(&self, at: Time) -> Result<Option<Kept>> {
        let branch = self.worktree.branch.as_ref();
        let name = branch.map_or("no branch", Branch::as_str);
        let git = self.repository.git.at(&self.worktree.path);
        let message = format!("Work on {name} that `kinfra done --discard` kept");
        let kept = keep(&git, &message, at).context("its work cannot be kept, so nothing was done")?;
        kept.map(|commit| refer(&self.repository.git, branch, commit, at)).transpose()
    }

    /// Removes it, with its files. Killed in the middle, the next `done` knows that it had begun.
    ///
    /// # Errors
    /// When git refuses. Then all of it is there.
    pub fn remove(&self) -> Result<Removal> {
        let (git, path) = (&self.repository.git, &self.worktree.path);
        if !self.was_begun {
            lock(git, path, LEAVING)?;
        }
        match remove(git, path) {
            Ok(()) => Ok(Removal::Removed),
            Err(error) => {
                // Git forgets a worktree also where it cannot remove its files.
                if host::git_worktrees::list(git)?.iter().any(|it| it.path == *path) {
                    unlock(git, path)?;
                    return Err(error);
                }
                Ok(Removal::FilesLeft(format!("{error:#}")))
            }
        }
    }

    /// Removes its branch, if that is merged.
    ///
    /// # Errors
    /// When git cannot remove it.
    pub fn remove_branch(&self) -> Result<BranchEnd> {
        let branch = self.worktree.branch.clone();
        branch.map_or(Ok(BranchEnd::None), |branch| end_of(&self.repository.git, &self.trunk, branch))
    }
}

/// The claims of runs in a worktree that may go on: those of owners, and its own if a run made it.
///
/// # Errors
/// When the registry cannot be read.
pub fn runs(worktree: &Utf8Path, pool: &FoundPool) -> Result<Vec<(SlotId, Claim)>> {
    let Some(seen) = pool.ledger().read(Following::Of(worktree))? else { return Ok(Vec::new()) };
    let goes_on = |claim: &&Claim| {
        let is_its_own = claim.is_of_run && !has_expired(claim, seen.now()) && is_holder(worktree, claim);
        claim.claimed_by.is(worktree) && (claim.claim_owner.is_some() || is_its_own)
    };
    let slots = seen.registry.slots.iter();
    let runs = slots.filter_map(|(slot, entry)| Some((*slot, entry.claim.as_ref().filter(goes_on)?.clone())));
    Ok(runs.collect())
}

/// Releases the slot of a worktree that goes, with its data. Cleans also what an earlier release left of it.
///
/// # Errors
/// As [`release`]; and when something is left in the slot.
pub fn give_back(
    worktree: &Utf8Path,
    pool: &mut FoundPool,
    policy: &LockPolicy<'_>,
) -> Result<(Released, Vec<Cleaned>)> {
    let request = ReleaseRequest {
        worktree: worktree.to_owned(),
        owner: None,
        slot: None,
        claim_id: None,
        force: false,
        wipe: true,
    };
    let released = release(&request, pool, policy)?;
    let mut cleaned = Vec::new();
    if released.claim.is_none()
        && let Some(seen) = pool.ledger().read(Following::NoHolder)?
    {
        let is_its = |condition: &Condition<'_>| match condition {
            Condition::Dirty(Some(left)) | Condition::KeepsData(left) | Condition::Quarantined(left) => {
                is_of(left, worktree)
            }
            Condition::Held | Condition::Clean | Condition::Dirty(None) => false,
        };
        let slots = seen.registry.slots.iter().filter(|(_, entry)| is_its(&entry.condition()));
        for (slot, _) in slots {
            cleaned.extend(clean(&pool.ledger(), *slot, Cleaning::Everything, policy)?);
        }
    }
    Ok((released, cleaned))
}
