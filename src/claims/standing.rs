//! Which claims nobody needs any more. Pure: the time and what became of directories are given.

use std::collections::BTreeMap;
use std::fmt;

use crate::registry::{Claim, Registry};
use crate::slot::SlotId;
use crate::time::Time;

/// How it stands with a claim. A slot is held until somebody releases or reaps it, whatever this says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Its owner is there, or may be, and its lease has not run out.
    Held,
    /// Its lease has run out.
    Expired,
    /// Its owner's directory is gone.
    Orphaned,
}

/// What became of the directory that holds a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Worktree {
    /// It is there.
    There,
    /// It is gone for good.
    Gone,
    /// It is not there, and may come back.
    Away(Doubt),
}

/// Why a directory that is not there may come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// It is on another machine.
    OtherHost,
    /// It cannot be looked at.
    Unreadable,
    /// Nobody knows which it is: the claim was put together from what was left of a registry.
    Unknown,
    /// The directory that it was in is not there either.
    ParentMissing,
    /// The disk that it was on is not mounted, as far as can be told.
    Unmounted,
    /// The repository whose worktree it was is not there.
    RepoMissing,
    /// Git was told to keep it (`git worktree lock`).
    Locked,
    /// Git has one of its name elsewhere: it was moved, or that is another.
    Moved,
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OtherHost => "it was claimed on another machine",
            Self::Unreadable => "its directory cannot be looked at",
            Self::Unknown => "nobody knows its directory",
            Self::ParentMissing => "the directory that its directory was in is missing too",
            Self::Unmounted => "the disk of its directory may not be mounted",
            Self::RepoMissing => "its directory is missing, and so is the repository it was a worktree of",
            Self::Moved => "its directory is missing, and git has one of its name elsewhere",
            Self::Locked => "its directory is missing, but `git worktree lock` keeps it",
        })
    }
}

/// How it stands with a claim, given the time and what became of its owner's directory.
pub fn standing(claim: &Claim, now: Time, worktree: Worktree) -> Standing {
    match (worktree, claim.lease) {
        (Worktree::Gone, _) => Standing::Orphaned,
        (Worktree::There | Worktree::Away(_), Some(lease)) if lease.until <= now => Standing::Expired,
        (Worktree::There | Worktree::Away(_), _) => Standing::Held,
    }
}

/// What reaping would do, and why.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reaping {
    /// The claims that would end, each with how it stands.
    pub ends: BTreeMap<SlotId, (Claim, Standing)>,
    /// The claims whose directory is not there and may come back.
    pub doubts: BTreeMap<SlotId, (Claim, Doubt)>,
}

impl Reaping {
    /// Judges every claim.
    pub fn of(registry: &Registry, now: Time, worktree: impl Fn(&Claim) -> Worktree) -> Self {
        let mut reaping = Self::default();
        for (slot, entry) in &registry.slots {
            let Some(claim) = &entry.claim else { continue };
            let worktree = worktree(claim);
            match (standing(claim, now, worktree), worktree) {
                (Standing::Held, Worktree::Away(doubt)) => {
                    reaping.doubts.insert(*slot, (claim.clone(), doubt));
                }
                (Standing::Held, Worktree::There | Worktree::Gone) => {}
                (over @ (Standing::Expired | Standing::Orphaned), _) => {
                    reaping.ends.insert(*slot, (claim.clone(), over));
                }
            }
        }
        reaping
    }

    /// Whether there are directories that should be there to be looked at, and cannot be.
    pub fn has_unreadable(&self) -> bool {
        self.doubts.values().any(|(_, doubt)| *doubt == Doubt::Unreadable)
    }

    /// What of it was shown and is still as it was: a claim that was renewed since, or made anew, is not.
    #[must_use]
    pub fn within(mut self, shown: &Self) -> Self {
        self.ends.retain(|slot, (claim, _)| shown.ends.get(slot).is_some_and(|(shown, _)| shown == claim));
        self
    }
}

/// Ends the claims that are to end.
pub fn reap(registry: &mut Registry, reaping: &Reaping) {
    for slot in reaping.ends.keys() {
        if let Some(entry) = registry.slots.get_mut(slot) {
            entry.claim = None;
        }
    }
}
