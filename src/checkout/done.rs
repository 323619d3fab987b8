//! Removing the worktree of a branch, after its work is seen to be elsewhere, or is kept.
//!
//! ```text
//! work? ─► keep it (--discard) ─► [the slot is released and clean] ─► work? ─► git worktree remove ─► branch
//! ```

use anyhow::{Context as _, Result};
use camino::{Utf8Path, Utf8PathBuf};

use super::repository::{Repository, Trunk};
use super::work::Work;
use crate::claims::release::{ReleaseRequest, Released, release};
use crate::claims::whereabouts::{Following, is_of};
use crate::fault::Fault;
use crate::file::RelPath;
use crate::host;
use crate::host::fs::{exists, real};
use crate::host::git_keep::keep;
use crate::host::git_worktrees::{GitWorktree, commit_of, is_part_of, make_reference, remove, remove_branch};
use crate::host::lock::LockPolicy;
use crate::identifier::{Branch, Owner};
use crate::registry::Condition;
use crate::shown::word;
use crate::slot::SlotId;
use crate::stack::clean::{Cleaned, Cleaning, clean};
use crate::time::Time;
use crate::which::by_worktree::FoundPool;

/// Where work is kept.
const KEPT: &str = "refs/kinfra/discarded";

/// What is known of a worktree that is to go.
pub enum Sought {
    /// Git has it, and it is there.
    There(Box<Leaving>),
    /// Its directory is gone. It may hold a slot.
    Gone(Utf8PathBuf),
}

/// A worktree that is to go.
pub struct Leaving {
    /// Its repository.
    pub repository: Repository,
    /// The worktree, with its canonical path.
    pub worktree: GitWorktree,
    trunk: Trunk,
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
        Named::Branch(branch, place) => match of_branch(&repository, branch, place)? {
            Some(worktree) => Some(worktree),
            None => return Ok(Sought::Gone(real(place))),
        },
        Named::Path(path) => repository.at(path),
        Named::Here(here) => repository.at(host::git::top_of(here)?.unwrap_or(here)),
    };
    let none = |path| Fault::refused(format!("`{path}` is in no worktree of git"));
    let worktree = match (found, named) {
        (Some(worktree), _) => worktree.clone(),
        (None, Named::Branch(_, path) | Named::Path(path) | Named::Here(path)) => {
            return Err(none(path).into());
        }
    };
    let path = &worktree.path;
    if worktree.is_bare || repository.worktrees.first() == Some(&worktree) {
        let what = format!("`{path}` is the main worktree: its repository is in it");
        return Err(Fault::refused(what).advise("name the branch of another worktree").into());
    }
    if let Some(why) = &worktree.locked {
        let why = if why.is_empty() { String::new() } else { format!(": {why}") };
        let what = format!("the worktree `{path}` is locked{why}");
        let advice = format!("`git worktree unlock {}` unlocks it", word(path.as_str()));
        return Err(Fault::refused(what).advise(advice).into());
    }
    if !exists(path).unwrap_or(true) {
        return Ok(Sought::Gone(real(path)));
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
    let trunk = repository.trunk()?;
    let worktree = GitWorktree { path: real(path), ..worktree };
    Ok(Sought::There(Box::new(Leaving { repository, worktree, trunk })))
}

/// The worktree of a branch. `None` if it is gone. Another one that has its place is not meant.
fn of_branch<'a>(
    repository: &'a Repository,
    branch: &Branch,
    place: &Utf8Path,
) -> Result<Option<&'a GitWorktree>> {
    let mut with_it = repository.worktrees.iter().filter(|other| other.branch.as_ref() == Some(branch));
    if let Some(first) = with_it.next() {
        return match with_it.next() {
            None => Ok(Some(first)),
            Some(second) => {
                let what = format!("branch `{branch}` is in `{}` and in `{}`", first.path, second.path);
                Err(Fault::refused(what).advise("name the path of one").into())
            }
        };
    }
    let there = repository.at(place);
    if !exists(place).unwrap_or(true) && there.is_none_or(|other| other.branch.is_none()) {
        return Ok(None);
    }
    let has = match there {
        Some(GitWorktree { branch: Some(other), .. }) => format!(": `{place}` has branch `{other}`"),
        Some(_) => format!(": `{place}` has none"),
        None => String::new(),
    };
    let what = format!("no worktree has branch `{branch}`{has}");
    Err(Fault::refused(what).advise("`git worktree list` lists them; name the path of one").into())
}

impl Leaving {
    /// What would be lost with it. `copied` are the files that a claim brings, below the top of the worktree.
    ///
    /// # Errors
    /// When git does not answer.
    pub fn work(&self, copied: (&[RelPath], &Utf8Path)) -> Result<Work> {
        Work::of(&self.repository, &self.worktree, &self.trunk, copied)
    }

    /// Keeps all its work under a reference of its own, at a time. `None` if there is no commit and no file.
    ///
    /// # Errors
    /// When git cannot keep it. Nothing was changed.
    pub fn keep(&self, at: Time) -> Result<Option<(String, String)>> {
        let name = self.worktree.branch.as_ref().map_or("detached", Branch::as_str);
        let git = self.repository.git.at(&self.worktree.path);
        let message = format!("Work on {name} that `kinfra done --discard` kept");
        let kept = keep(&git, &message, at).context("its work cannot be kept, so nothing was done")?;
        let Some(commit) = kept else { return Ok(None) };
        let time: String = at.to_string().chars().filter(char::is_ascii_alphanumeric).take(21).collect();
        let first = format!("{KEPT}/{name}/{time}");
        // A second look at the same run may find more.
        let numbered =
            std::iter::once(first.clone()).chain((2..10).map(|number| format!("{first}-{number}")));
        for reference in numbered {
            match commit_of(&self.repository.git, &reference)? {
                Some(there) if there == commit => return Ok(Some((reference, commit))),
                Some(_) => {}
                None => {
                    make_reference(&self.repository.git, &reference, &commit)?;
                    return Ok(Some((reference, commit)));
                }
            }
        }
        Err(Fault::failed(format!("`{first}` and nine more names are taken")).into())
    }

    /// Removes it, with its files.
    ///
    /// # Errors
    /// When git refuses. Then all of it is there.
    pub fn remove(&self) -> Result<Removal> {
        let path = &self.worktree.path;
        match remove(&self.repository.git, path, true) {
            Ok(()) => Ok(Removal::Removed),
            Err(error) => {
                // Git forgets a worktree also where it cannot remove its files.
                let is_listed =
                    host::git_worktrees::list(&self.repository.git)?.iter().any(|it| it.path == *path);
                if is_listed { Err(error) } else { Ok(Removal::FilesLeft(format!("{error:#}"))) }
            }
        }
    }

    /// Removes its branch, if that is merged.
    ///
    /// # Errors
    /// When git cannot remove it.
    pub fn remove_branch(&self) -> Result<BranchEnd> {
        let git = &self.repository.git;
        let Some(branch) = self.worktree.branch.clone() else { return Ok(BranchEnd::None) };
        let Some(tip) = commit_of(git, &branch.reference())? else { return Ok(BranchEnd::None) };
        let has_it = |other: &GitWorktree| other.branch.as_ref() == Some(&branch);
        if self.trunk.branches.contains(&branch) || host::git_worktrees::list(git)?.iter().any(has_it) {
            return Ok(BranchEnd::InUse(branch));
        }
        for commit in &self.trunk.commits {
            if is_part_of(git, &tip, commit)? {
                remove_branch(git, &branch, &tip)?;
                return Ok(BranchEnd::Removed(branch));
            }
        }
        Ok(BranchEnd::NotMerged(branch))
    }
}

/// The slots that runs with an owner hold in a worktree. Such a run may go on.
///
/// # Errors
/// When the registry cannot be read.
pub fn owned(worktree: &Utf8Path, pool: &FoundPool) -> Result<Vec<(SlotId, Owner)>> {
    let Some(seen) = pool.ledger().read(Following::NoHolder)? else { return Ok(Vec::new()) };
    let slots = seen.registry.slots.iter();
    let owned = slots.filter_map(|(slot, entry)| {
        let claim = entry.claim.as_ref().filter(|claim| claim.claimed_by.is(worktree))?;
        Some((*slot, claim.claim_owner.clone()?))
    });
    Ok(owned.collect())
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
