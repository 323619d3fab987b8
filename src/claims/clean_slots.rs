//! Cleaning free slots, whatever they keep and for which worktree: `kinfra clean`.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Error, Result};

use super::refusal::{held, no_such_slot};
use super::whereabouts::Following;
use crate::fault::Fault;
use crate::host::lock::LockPolicy;
use crate::ledger::Ledger;
use crate::registry::Left;
use crate::slot::SlotId;
use crate::stack::clean::{Cleaned, Cleaning, clean};
use crate::which::by_worktree::FoundPool;

/// The slots that would be cleaned.
#[derive(Debug)]
pub struct Tidying {
    /// What is known of the stack that each was left with.
    pub slots: BTreeMap<SlotId, Option<Left>>,
    /// Those that are clean already.
    pub clean: BTreeSet<SlotId>,
    ledger: Ledger,
}

/// What was cleaned.
#[derive(Debug, Default)]
pub struct Tidied {
    /// The slots that were cleaned.
    pub cleaned: Vec<Cleaned>,
    /// Those that are not clean yet, and why.
    pub not_clean: BTreeMap<SlotId, Error>,
}

/// Looks at free slots.
///
/// # Errors
/// [`Fault`] when there is no such slot or pool, or a worktree holds one of them.
pub fn look(slots: &BTreeSet<SlotId>, pool: &mut FoundPool) -> Result<Tidying> {
    let seen = pool.applied(Following::NoHolder)?;
    let mut tidying = Tidying { slots: BTreeMap::new(), clean: BTreeSet::new(), ledger: pool.ledger() };
    for slot in slots {
        let entry = seen.registry.slots.get(slot).ok_or_else(|| no_such_slot(*slot))?;
        if let Some(claim) = &entry.claim {
            let what = format!("slot {slot} is {}", held(claim));
            let advice = "`kinfra release --wipe` there releases and cleans it";
            return Err(Fault::refused(what).advise(advice).into());
        }
        match &entry.started {
            Some(started) => drop(tidying.slots.insert(*slot, started.left.clone())),
            None => drop(tidying.clean.insert(*slot)),
        }
    }
    Ok(tidying)
}

impl Tidying {
    /// Cleans the slots. One that a worktree claimed meanwhile is left alone.
    pub fn carry_out(&self, policy: &LockPolicy<'_>) -> Tidied {
        let mut tidied = Tidied::default();
        for slot in self.slots.keys() {
            match clean(&self.ledger, *slot, Cleaning::Everything, policy) {
                Ok(cleaned) => tidied.cleaned.extend(cleaned),
                Err(error) => drop(tidied.not_clean.insert(*slot, error)),
            }
        }
        tidied
    }
}
