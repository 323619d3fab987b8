//! Removing what has kinfra's labels and no holder, each thing by its id, and looking again.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Error, Result};

use super::look::{Place, look};
use super::sort::{Leftovers, Owner, Tied};
use crate::claims::whereabouts::Following;
use crate::fault::Fault;
use crate::host::lock::{Hold, LockPolicy};
use crate::host::root::Root;
use crate::host::things;
use crate::ledger::Ledger;
use crate::registry::{Engine, Registry};
use crate::slot::SlotId;
use crate::stack::clean::{Cleaning, clean};
use crate::stack::remove::{Extent, asked, of_kind, take_away};
use crate::thing::{Kind, Thing};

/// What was removed.
#[derive(Debug, Default)]
pub struct Cleared {
    /// What went.
    pub gone: Leftovers,
    /// What has kinfra's labels and no holder, and stays.
    pub stays: Vec<(Owner, Tied)>,
    /// Why something was not removed.
    pub errors: Vec<Error>,
}

/// Removes what was shown and still has no holder. What came since stays.
///
/// # Errors
/// When Docker or the registry does not say at the end what is left.
pub fn clear(
    ledger: &Ledger,
    place: Place<'_>,
    shown: &Leftovers,
    policy: &LockPolicy<'_>,
) -> Result<Cleared> {
    let again = || -> Result<Leftovers> {
        let seen = ledger.read(Following::NoHolder)?;
        look(place, seen.as_ref().map(|seen| &*seen.registry))
    };
    let mut errors = Vec::new();
    for slot in shown.not_clean() {
        errors.extend(clean(ledger, slot, Cleaning::Labelled, policy).err());
    }
    let left = again()?;
    let may_go: BTreeSet<_> = shown.removable().map(|(_, tied)| tied.key()).collect();
    let mut by_owner: BTreeMap<&Owner, BTreeMap<&Engine, Vec<Thing>>> = BTreeMap::new();
    for (owner, tied) in left.removable().filter(|(_, thing)| may_go.contains(&thing.key())) {
        by_owner.entry(owner).or_default().entry(&tied.engine).or_default().push(tied.thing.clone());
    }
    for (owner, engines) in by_owner {
        errors.extend(remove_of(ledger, owner, &engines, policy).err());
    }
    let now = again()?;
    let stay: BTreeSet<_> = now.removable().map(|(_, tied)| tied.key()).collect();
    let kept: Vec<_> = shown.removable().filter(|(_, thing)| stay.contains(&thing.key())).collect();
    let kept = kept.into_iter().map(|(owner, tied)| (owner.clone(), tied.clone())).collect();
    let mut gone = shown.clone();
    gone.silent = now.silent.clone();
    let there = now.groups.values().flat_map(|group| &group.things);
    let there: BTreeSet<_> = there.map(Tied::key).collect();
    for group in gone.groups.values_mut() {
        group.things.retain(|tied| !there.contains(&tied.key()));
    }
    gone.groups.retain(|owner, group| owner.has_no_holder() && !group.things.is_empty());
    Ok(Cleared { gone, stays: kept, errors })
}

/// Removes things of one owner. Where this pool is there, no other process may start or clean the slot
/// meanwhile, and no worktree may have claimed it.
fn remove_of(
    ledger: &Ledger,
    owner: &Owner,
    engines: &BTreeMap<&Engine, Vec<Thing>>,
    policy: &LockPolicy<'_>,
) -> Result<()> {
    let _lock = match (owner, Root::open(ledger.root())?) {
        (Owner::Free(slot) | Owner::SlotGone(slot), Some(root)) => {
            let lock = ledger.lock_stack(&root, *slot, Hold::Alone, policy)?;
            let seen = ledger.read(Following::NoHolder)?;
            if seen.is_none_or(|seen| !is_as_shown(&seen.registry, owner, *slot)) {
                return Err(Fault::refused(format!("{owner} changed meanwhile")).advise("run again").into());
            }
            Some(lock)
        }
        _ => None,
    };
    for (engine, things) in engines {
        let behind = asked(things::behind(Some(engine), &of_kind(things, Kind::Container)))?;
        let extent = Extent { images: true, volumes: true };
        let said = take_away(Some(engine), things, extent, &behind.unnamed)?;
        if let Some(said) = said.failed {
            return Err(Fault::failed(format!("not all of {owner} can be removed: {said}")).into());
        }
    }
    Ok(())
}

/// Whether no worktree holds the slot.
fn is_as_shown(registry: &Registry, owner: &Owner, slot: SlotId) -> bool {
    match registry.slots.get(&slot) {
        Some(entry) => matches!(owner, Owner::Free(_)) && entry.claim.is_none(),
        None => matches!(owner, Owner::SlotGone(_)),
    }
}
