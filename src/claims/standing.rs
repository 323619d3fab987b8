//! How a claim stands, and which claims a reap would end. Pure: the caller passes the time and the state of
//! directories.

use std::collections::BTreeMap;
use std::fmt;

use super::lease::has_expired;
use crate::registry::{Claim, Condition, Entry, Left, Registry};
use crate::slot::SlotId;
use crate::time::{Span, Time};

#[cfg(test)]
#[path = "standing_tests.rs"]
mod tests;

/// How a claim stands. A slot is held until it is released or reaped, whatever this says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The holder's directory exists, or may exist, and the lease has not run out.
    Held,
    /// The lease has run out.
    Expired,
    /// The holder's directory is not where it was, and may come back.
    Missing,
    /// The holder's directory is gone.
    Orphaned,
}

/// The state of a holder's directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Worktree {
    /// It is there.
    There,
    /// It is gone for good.
    Gone,
    /// It is missing, and may come back.
    Away(Doubt),
}

/// Why a missing directory may come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// It is on another machine.
    OtherHost,
    /// It cannot be examined.
    Unreadable,
    /// Another user closed it, or a directory above it.
    Closed,
    /// The claim does not say which directory it is: a repair made it.
    Unknown,
    /// Its parent directory is missing too.
    ParentMissing,
    /// Another directory has its path.
    Another,
    /// Another directory is where the one above it was: on another machine, or made since.
    AnotherAbove,
    /// Its disk seems not to be mounted.
    Unmounted,
    /// The repository whose worktree it was is missing.
    RepoMissing,
    /// It is there, without its `.git`.
    NoGit,
    /// `git worktree lock` keeps it.
    Locked,
    /// Git has a worktree of this name elsewhere: this one was moved, or it is another.
    Moved,
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OtherHost => "it was claimed on another machine",
            Self::Unreadable => "its directory cannot be examined",
            Self::Closed => "its directory is closed to you, so it is left to its user",
            Self::Unknown => "its directory is not known",
            Self::ParentMissing => "its directory is missing, and so is the directory above it",
            Self::Another => "another directory is at its path",
            Self::AnotherAbove => {
                "its directory is missing, and the one above it is not the one that it was in"
            }
            Self::Unmounted => "the disk of its directory may not be mounted",
            Self::RepoMissing => {
                "its directory is missing, and the repository it was a worktree of is missing or another"
            }
            Self::NoGit => "its directory is there, without its `.git`",
            Self::Moved => "its directory is missing, and git has a worktree of its name elsewhere",
            Self::Locked => "its directory is missing, but `git worktree lock` keeps it",
        })
    }
}

/// How a claim stands at a time, given the state of the holder's directory.
pub fn standing(claim: &Claim, now: Time, worktree: Worktree) -> Standing {
    match worktree {
        Worktree::Gone => Standing::Orphaned,
        Worktree::There | Worktree::Away(_) if has_expired(claim, now) => Standing::Expired,
        Worktree::Away(doubt) if doubt.is_missing() => Standing::Missing,
        Worktree::There | Worktree::Away(_) => Standing::Held,
    }
}

impl Doubt {
    /// Whether a person has to look: the directory is missing, for no reason that is meant to pass.
    fn is_missing(self) -> bool {
        match self {
            Self::ParentMissing
            | Self::RepoMissing
            | Self::NoGit
            | Self::Moved
            | Self::Another
            | Self::AnotherAbove => true,
            Self::OtherHost
            | Self::Unreadable
            | Self::Closed
            | Self::Unknown
            | Self::Unmounted
            | Self::Locked => false,
        }
    }
}

/// What a reap would do, and why.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reaping {
    /// The claims that would end, and how each stands.
    pub ends: BTreeMap<SlotId, (Claim, Standing)>,
    /// The claims whose directory is missing and may come back.
    pub doubts: BTreeMap<SlotId, (Claim, Doubt)>,
    /// The free slots that are not clean, or whose data is kept for a worktree that is gone, or for too long.
    pub cleans: BTreeMap<SlotId, Uncleaned>,
}

/// Why a free slot is to be cleaned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Uncleaned {
    /// There may be anything of an earlier holder in it.
    Dirty(Option<Left>),
    /// The worktree that its data is kept for is gone.
    OfNone(Left),
    /// Its data is kept for longer than `keep_data` of slots.toml says.
    TooOld(Left),
}

impl Reaping {
    /// Judges every claim, and every free slot. Data is kept for a worktree for as long as `keep_data` says.
    pub fn of(
        registry: &Registry,
        now: Time,
        keep_data: Option<Span>,
        worktree: impl Fn(&Claim) -> Worktree,
    ) -> Self {
        let mut reaping = Self::default();
        for (slot, entry) in &registry.slots {
            let Some(claim) = &entry.claim else {
                reaping.cleans.extend(uncleaned(entry, now, keep_data, &worktree).map(|why| (*slot, why)));
                continue;
            };
            let worktree = worktree(claim);
            match (standing(claim, now, worktree), worktree) {
                (Standing::Held | Standing::Missing, Worktree::Away(doubt)) => {
                    reaping.doubts.insert(*slot, (claim.clone(), doubt));
                }
                (Standing::Held | Standing::Missing, Worktree::There | Worktree::Gone) => {}
                (over @ (Standing::Expired | Standing::Orphaned), _) => {
                    reaping.ends.insert(*slot, (claim.clone(), over));
                }
            }
        }
        reaping
    }

    /// Whether a directory cannot be examined.
    pub fn has_unreadable(&self) -> bool {
        self.doubts.values().any(|(_, doubt)| *doubt == Doubt::Unreadable)
    }

    /// The claims that `shown` announced and that are still over. A claim that was renewed or made again
    /// since is left alone.
    #[must_use]
    pub fn within(mut self, shown: &Self) -> Self {
        self.ends.retain(|slot, (claim, _)| shown.ends.get(slot).is_some_and(|(shown, _)| shown == claim));
        self.cleans.retain(|slot, why| shown.cleans.get(slot) == Some(why));
        self
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty() && self.cleans.is_empty()
    }

    /// The claims that are still the same in a registry that was read later. A claim that changed is left
    /// alone.
    #[must_use]
    pub fn still_in(mut self, registry: &Registry, now: Time) -> Self {
        self.ends.retain(|slot, (claim, over)| {
            let held = registry.slots.get(slot).and_then(|entry| entry.claim.as_ref());
            held == Some(claim) && (*over == Standing::Orphaned || has_expired(claim, now))
        });
        self
    }
}

/// Why a free slot is to be cleaned, if it is. One that is quarantined waits for a person.
fn uncleaned(
    entry: &Entry,
    now: Time,
    keep_data: Option<Span>,
    worktree: impl Fn(&Claim) -> Worktree,
) -> Option<Uncleaned> {
    match entry.condition() {
        Condition::Held | Condition::Clean | Condition::Quarantined(_) => None,
        Condition::Dirty(left) => Some(Uncleaned::Dirty(left.cloned())),
        Condition::KeepsData(left) => {
            let holder = Claim {
                claimed_gitdir: left.gitdir.clone(),
                mark: left.mark(),
                ..Claim::of(left.by.clone(), Some(left.at.clone()))
            };
            let is_too_old = |length| Time::parse(&left.at).is_ok_and(|at| at.after(length) <= now);
            match worktree(&holder) {
                Worktree::Gone => Some(Uncleaned::OfNone(left.clone())),
                Worktree::There | Worktree::Away(_) if keep_data.is_some_and(is_too_old) => {
                    Some(Uncleaned::TooOld(left.clone()))
                }
                Worktree::There | Worktree::Away(_) => None,
            }
        }
    }
}
