//! Reaping: ending the claims whose lease has run out or whose worktree is gone, and cleaning the slots that
//! are free and not clean.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Error, Result, anyhow};
use camino::{Utf8Path, Utf8PathBuf};

use super::files::HolderDir;
use super::lease;
use super::release::{give_back, is_made_here, leave, not_released, stays_claimed, writable};
use super::standing::{Reaping, Standing, Uncleaned};
use super::whereabouts::{Following, whereabouts};
use crate::fault::Fault;
use crate::history::Ended;
use crate::host;
use crate::host::lock::LockPolicy;
use crate::ledger::{Ledger, Snapshot};
use crate::registry::Remains;
use crate::slot::SlotId;
use crate::spec::StackSpec;
use crate::stack::clean::{Cleaned, Cleaning, clean, uncleaned};
use crate::stack::written::{OfAnotherUser, Writable};
use crate::time::Span;
use crate::which::by_worktree::FoundPool;

/// What a reap would do.
#[derive(Debug)]
pub struct Proposal {
    /// The claims that would end, and those in doubt.
    pub reaping: Reaping,
    seen: Snapshot,
    ledger: Ledger,
    pool: String,
    keep_data: Option<Span>,
}

/// What a reap did.
#[derive(Debug, Default)]
pub struct Reaped {
    /// The claims that ended.
    pub reaping: Reaping,
    /// Files of the claims that stay, because they were changed.
    pub left: Vec<Utf8PathBuf>,
    /// Slots that could not be released, and why. The others are released all the same.
    pub kept: BTreeMap<SlotId, Error>,
    /// The slots that were cleaned.
    pub cleaned: Vec<Cleaned>,
    /// Slots that could not be cleaned, and why.
    pub not_clean: BTreeMap<SlotId, Error>,
    /// What containers wrote into worktrees of claims that ended, as another user.
    pub of_another_user: Vec<OfAnotherUser>,
    /// The directories that Docker had made in the place of worktrees that are gone.
    pub remade: Vec<Remade>,
}

/// A directory that Docker made for a container in the place of a worktree that is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remade {
    /// The directory.
    pub path: Utf8PathBuf,
    /// A file in it, or why it cannot be removed. `None` if it was empty, and is removed.
    pub left: Option<String>,
}

/// Judges every claim by the time and by the state of its holder's directory, and data that is kept for a
/// worktree by the slots.toml that was applied.
///
/// # Errors
/// [`Fault`] when there is no pool, or its registry cannot be read.
pub fn look(pool: &mut FoundPool, applied: &StackSpec) -> Result<Proposal> {
    let seen = pool.applied(Following::EveryHolder)?;
    let keep_data = applied.keep_data;
    let reaping = Reaping::of(&seen.registry, seen.now(), keep_data, whereabouts);
    Ok(Proposal { reaping, seen, ledger: pool.ledger(), pool: pool.name.clone(), keep_data })
}

impl Proposal {
    /// Whether an earlier run was cut short and left something to clean up.
    ///
    /// # Errors
    /// When the root cannot be read.
    pub fn is_untidy(&self) -> Result<bool> {
        self.seen.root.is_untidy()
    }

    /// The error of a run that could not judge some claims.
    ///
    /// # Errors
    /// When a directory could not be examined.
    pub fn end(&self) -> Result<()> {
        if self.reaping.has_unreadable() {
            return Err(anyhow!("a directory cannot be examined").context(
                Fault {
                    exit: crate::fault::Exit::Failed,
                    ..Fault::refused("not every claim could be judged")
                }
                .advise("fix that and run again, or release its slot with --force"),
            ));
        }
        Ok(())
    }

    /// Ends the claims that were shown, and cleans their slots and the others that were shown. Leaves a claim
    /// alone that was renewed, made again or released since,
    /// or whose worktree came back.
    ///
    /// # Errors
    /// [`Fault`] when none of them is left, or the lock is not obtained.
    pub fn carry_out(&self, policy: &LockPolicy<'_>) -> Result<Reaped> {
        let mut reaped = self.end_claims(policy)?;
        let ended = reaped.reaping.ends.keys().map(|slot| (*slot, Cleaning::KeepData));
        let shown = reaped.reaping.cleans.iter().map(|(slot, why)| match why {
            Uncleaned::Dirty(_) => (*slot, Cleaning::KeepData),
            Uncleaned::OfNone(_) | Uncleaned::TooOld(_) => (*slot, Cleaning::Everything),
        });
        let slots: BTreeMap<SlotId, Cleaning> = ended.chain(shown).collect();
        let root = self.seen.root.path();
        let ends = reaped.reaping.ends.iter();
        let writable: Vec<Writable> =
            ends.filter_map(|(slot, (claim, _))| writable(root, *slot, claim)).collect();
        // Each is noted by itself: what was removed of one stack is known, wherever a later one stops.
        for (slot, cleaning) in uncleaned(&self.ledger, &slots).unwrap_or(slots) {
            match clean(&self.ledger, slot, cleaning, policy) {
                Ok(cleaned) => reaped.cleaned.extend(cleaned),
                Err(error) => drop(reaped.not_clean.insert(slot, error)),
            }
        }
        reaped.remade = remade(&reaped);
        reaped.of_another_user.extend(writable.into_iter().filter_map(Writable::of_another_user));
        Ok(reaped)
    }

    fn end_claims(&self, policy: &LockPolicy<'_>) -> Result<Reaped> {
        let shown = &self.reaping;
        // The question may have stood there for long.
        let seen = self.ledger.read_since(&self.seen, Following::EveryHolder)?;
        let seen = seen.ok_or_else(|| self.ledger.missing())?;
        let again = Reaping::of(&seen.registry, seen.now(), self.keep_data, whereabouts).within(shown);
        let holders: BTreeMap<SlotId, HolderDir> =
            again.ends.iter().map(|(slot, (claim, _))| (*slot, HolderDir::of(claim))).collect();
        self.ledger.transact(&seen, policy, |transaction| {
            let mut reaped = Reaped {
                reaping: again.still_in(transaction.registry(), transaction.now()),
                ..Reaped::default()
            };
            if shown.ends.is_empty() {
                return Ok(reaped);
            }
            if reaped.reaping.is_empty() {
                let what = "the claims changed meanwhile: nothing was released";
                return Err(Fault::refused(what).advise("run again").into());
            }
            let Reaped { reaping, left, kept, .. } = &mut reaped;
            let mut made_here = BTreeSet::new();
            for (slot, (claim, _)) in &reaping.ends {
                if is_made_here(transaction, *slot, claim)? {
                    made_here.insert(*slot);
                }
            }
            reaping.ends.retain(|slot, (claim, _)| {
                match give_back(transaction.locked(), *slot, claim, holders.get(slot)) {
                    Ok(files) => left.extend(files),
                    Err(error) => drop(kept.insert(*slot, stays_claimed(error, *slot))),
                }
                !kept.contains_key(slot)
            });
            for (slot, (claim, standing)) in &reaping.ends {
                lease::end(transaction.registry_mut(), *slot);
                let is_gone = *standing == Standing::Orphaned;
                transaction
                    .say_how_ended(*slot, if is_gone { Ended::WorktreeGone } else { Ended::LeaseRanOut });
                let remains = if is_gone { Remains::Everything } else { Remains::Stack };
                leave(transaction, &self.pool, *slot, (claim, remains), made_here.contains(slot))?;
            }
            let ended: Vec<SlotId> = reaping.ends.keys().copied().collect();
            transaction.save().map_err(|error| not_released(error, &ended))?;
            Ok(reaped)
        })
    }
}

/// Removes the directories that Docker made anew where worktrees are gone, if there are no files in them.
/// Where a stack is not clean, a container may still use its. A worktree that git made anew is another one.
fn remade(reaped: &Reaped) -> Vec<Remade> {
    let gone = reaped.reaping.ends.iter().filter(|(slot, (_, standing))| {
        *standing == Standing::Orphaned && !reaped.not_clean.contains_key(slot)
    });
    let paths = gone.filter_map(|(_, (claim, _))| claim.claimed_by.directory());
    let is_worktree = |path: &Utf8Path| host::fs::exists(&path.join(".git")).unwrap_or(true);
    let remade = paths.filter(|path| host::fs::is_directory(path) && !is_worktree(path)).map(|path| {
        let left = match host::fs::remove_without_files(path) {
            Ok(file) => file.map(|file| format!("`{file}` is in it")),
            Err(error) => Some(error.to_string()),
        };
        Remade { path: path.to_owned(), left }
    });
    remade.collect()
}
