//! Reaping: ending the claims whose lease has run out or whose worktree is gone.

use std::collections::BTreeMap;

use anyhow::{Error, Result, anyhow};
use camino::Utf8PathBuf;

use super::files::HolderDir;
use super::lease;
use super::release::give_back;
use super::standing::Reaping;
use super::whereabouts::{Following, whereabouts};
use crate::fault::Fault;
use crate::host;
use crate::host::lock::LockPolicy;
use crate::ledger::{Ledger, Snapshot};
use crate::slot::SlotId;
use crate::which::by_worktree::FoundPool;

/// What a reap would do.
#[derive(Debug)]
pub struct Proposal {
    /// The claims that would end, and those in doubt.
    pub reaping: Reaping,
    seen: Snapshot,
    ledger: Ledger,
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
}

/// Judges every claim by the time and by the state of its holder's directory.
///
/// # Errors
/// [`Fault`] when there is no pool, or its registry cannot be read.
pub fn look(pool: &mut FoundPool) -> Result<Proposal> {
    let seen = pool.applied(Following::EveryHolder)?;
    let reaping = Reaping::of(&seen.registry, host::clock::now(), whereabouts);
    Ok(Proposal { reaping, seen, ledger: pool.ledger() })
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

    /// Ends the claims that were shown. Leaves a claim alone that was renewed, made again or released since,
    /// or whose worktree came back.
    ///
    /// # Errors
    /// [`Fault`] when none of them is left, or the lock is not obtained.
    pub fn carry_out(&self, policy: &LockPolicy<'_>) -> Result<Reaped> {
        let shown = &self.reaping;
        // The question may have stood there for long.
        let seen = self.ledger.read_since(&self.seen, Following::EveryHolder)?;
        let seen = seen.ok_or_else(|| self.ledger.missing())?;
        let again = Reaping::of(&seen.registry, host::clock::now(), whereabouts).within(shown);
        let holders: BTreeMap<SlotId, HolderDir> =
            again.ends.iter().map(|(slot, (claim, _))| (*slot, HolderDir::of(claim))).collect();
        self.ledger.transact(&seen, policy, |transaction| {
            let mut reaped = Reaped {
                reaping: again.still_in(transaction.registry(), host::clock::now()),
                ..Reaped::default()
            };
            if shown.ends.is_empty() {
                return Ok(reaped);
            }
            if reaped.reaping.ends.is_empty() {
                let what = "the claims changed meanwhile: nothing was released";
                return Err(Fault::refused(what).advise("run again").into());
            }
            let Reaped { reaping, left, kept } = &mut reaped;
            reaping.ends.retain(|slot, (claim, _)| {
                match give_back(transaction.locked(), *slot, claim, holders.get(slot)) {
                    Ok(files) => left.extend(files),
                    Err(error) => drop(kept.insert(*slot, error)),
                }
                !kept.contains_key(slot)
            });
            for slot in reaping.ends.keys() {
                lease::end(transaction.registry_mut(), *slot);
            }
            Ok(reaped)
        })
    }
}
