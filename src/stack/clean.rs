//! Cleaning a slot that no worktree holds, so that the next holder gets nothing of an earlier one's.
//!
//! The registry says that a slot is clean only after Docker has shown that nothing is left in it.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Error, Result};

use super::peak;
use super::remove::{Extent, Removed, StackOn, remove};
use super::take_over::take_over;
use crate::claims::signs::Sign;
use crate::claims::whereabouts::Following;
use crate::fault::{Exit, Fault, exit_of};
use crate::host;
use crate::host::lock::LockPolicy;
use crate::host::root::{Root, StackLock};
use crate::ledger::{Ledger, Snapshot};
use crate::observe::whose::Whose;
use crate::registry::{Claim, Condition, Entry, Holder, Left, RegistryId, Remains, Started};
use crate::slot::SlotId;

/// A slot that was cleaned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cleaned {
    /// The slot.
    pub slot: SlotId,
    /// Whose stack it was, if that is known.
    pub left: Option<Left>,
    /// What became of its things.
    pub removed: Removed,
}

/// How much of a slot is cleaned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cleaning {
    /// Volumes that are to be kept for a worktree stay.
    KeepData,
    /// Everything goes.
    Everything,
    /// Everything with kinfra's labels goes. If there is more, the slot is not clean.
    Labelled,
}

/// Cleans a slot. `None` if a worktree holds it, or there is nothing to clean.
///
/// A failure is counted, unless Docker could not be asked or another one is only minutes ago.
///
/// # Errors
/// As [`remove`]; also when the lock of the stack is not obtained, and when the slot shows a claim that the
/// registry does not know.
pub fn clean(
    ledger: &Ledger,
    slot: SlotId,
    cleaning: Cleaning,
    policy: &LockPolicy<'_>,
) -> Result<Option<Cleaned>> {
    let Some(root) = Root::open(ledger.root())? else { return Ok(None) };
    let Some(seen) = ledger.read(Following::NoHolder)? else { return Ok(None) };
    let Some((started, _)) = seen.registry.slots.get(&slot).and_then(|entry| to_clean(entry, cleaning))
    else {
        return Ok(None);
    };
    let _lock = lock(ledger, &root, &seen, (slot, started), policy)
        .map_err(|error| stays_dirty(in_use(error, &root, slot), slot))?;
    let Some(seen) = ledger.read_since(&seen, Following::NoHolder)? else { return Ok(None) };
    let Some(entry) = seen.registry.slots.get(&slot) else { return Ok(None) };
    let Some((started, keeps)) = to_clean(entry, cleaning) else { return Ok(None) };
    if let Some(sign) = Sign::in_slot(&root, slot)?
        && !sign.id().map_or(Ok(false), |id| ledger.has_ended(id))?
    {
        return Err(sign.keeps_from_cleaning(slot).into());
    }
    let registry = ledger.id(&seen, policy)?;
    let announced = announced(started, keeps);
    if announced != *started {
        note(ledger, &seen, (slot, started), Some(announced.clone()), policy)?;
    }
    let whole = stack_on(&root, &seen, (slot, started), registry);
    let on = match cleaning {
        Cleaning::Labelled => StackOn { whose: whole.whose.clone().by_labels_only(), ..whole.clone() },
        Cleaning::KeepData | Cleaning::Everything => whole.clone(),
    };
    let mut noted = announced;
    let known = noted.left.as_ref().map(|left| left.volumes.clone()).unwrap_or_default();
    let removed = remove(&on, Extent { images: true, volumes: !keeps }, &known, |before| {
        peak::note(ledger, &seen, slot, before.peak, policy);
        let with = with_volumes(&noted, &before.unnamed);
        if with != noted {
            note(ledger, &seen, (slot, &noted), Some(with.clone()), policy)?;
            noted = with;
        }
        Ok(())
    });
    let is_whole = cleaning != Cleaning::Labelled || removed.is_err() || whole.look()?.own.is_empty();
    let after = if is_whole { after(&noted, &removed) } else { Some(dirty(&noted)) };
    note(ledger, &seen, (slot, &noted), after, policy)?;
    let removed = removed.map_err(|error| stays_dirty(error, slot))?;
    Ok(Some(Cleaned { slot, left: started.left.clone(), removed }))
}

/// Those of many slots in which there is something to clean. They are told by one look at the registry: most
/// slots of a reap were never started.
///
/// # Errors
/// When the registry cannot be read.
pub fn uncleaned(ledger: &Ledger, slots: &BTreeMap<SlotId, Cleaning>) -> Result<BTreeMap<SlotId, Cleaning>> {
    let Some(seen) = ledger.read(Following::NoHolder)? else { return Ok(BTreeMap::new()) };
    let is_unclean = |slot: &SlotId, cleaning: Cleaning| {
        seen.registry.slots.get(slot).is_some_and(|entry| to_clean(entry, cleaning).is_some())
    };
    let slots = slots.iter().map(|(slot, cleaning)| (*slot, *cleaning));
    Ok(slots.filter(|(slot, cleaning)| is_unclean(slot, *cleaning)).collect())
}

/// The stack on its engine.
fn stack_on<'a>(
    root: &'a Root,
    seen: &'a Snapshot,
    (slot, started): (SlotId, &'a Started),
    registry: RegistryId,
) -> StackOn<'a> {
    let whose = Whose::new(root.path(), &seen.registry, Some(registry));
    StackOn { engine: started.engine.as_ref(), project: started.project.clone(), slot, whose }
}

/// Takes the lock of a stack that is to be cleaned.
fn lock(
    ledger: &Ledger,
    root: &Root,
    seen: &Snapshot,
    (slot, started): (SlotId, &Started),
    policy: &LockPolicy<'_>,
) -> Result<StackLock> {
    let on = stack_on(root, seen, (slot, started), ledger.id(seen, policy)?);
    take_over((ledger, root), &on, policy, || {
        let now = ledger.read(Following::NoHolder)?;
        let entry = now.as_ref().and_then(|now| now.registry.slots.get(&slot));
        Ok(entry.is_some_and(|entry| entry.claim.is_none() && entry.started.as_ref() == Some(started)))
    })
}

/// What there is to clean, and whether volumes are kept.
fn to_clean(entry: &Entry, cleaning: Cleaning) -> Option<(&Started, bool)> {
    let keeps = match entry.condition() {
        Condition::Held | Condition::Clean => return None,
        Condition::KeepsData(_) if cleaning == Cleaning::KeepData => return None,
        Condition::Dirty(Some(left)) | Condition::Quarantined(left) => left.remains != Remains::Everything,
        Condition::KeepsData(_) | Condition::Dirty(None) => false,
    };
    Some((entry.started.as_ref()?, keeps && cleaning == Cleaning::KeepData))
}

/// What the registry says of a stack before anything of it is removed. Where its volumes go, they are not
/// kept for a worktree any more: one that claimed in the middle would get a part of its data.
fn announced(started: &Started, keeps: bool) -> Started {
    let mut started = started.clone();
    if let Some(left) = started.left.as_mut().filter(|_| !keeps) {
        left.remains = Remains::Everything;
    }
    started
}

/// What is known of a stack that was left. An older kinfra or another program did not note it.
fn left_of(started: &Started) -> Left {
    let unknown = || Left::new(&Claim::of(Holder::Unknown, None), host::clock::now(), Remains::Everything);
    started.left.clone().unwrap_or_else(unknown)
}

/// What the registry says of a stack before its containers go: also which volumes only they lead to.
fn with_volumes(started: &Started, volumes: &BTreeSet<String>) -> Started {
    if volumes.is_empty() {
        return started.clone();
    }
    let left = Left { volumes: volumes.clone(), ..left_of(started) };
    Started { left: Some(left), ..started.clone() }
}

/// What the registry says of the stack after an attempt to clean it. `None` if nothing is left.
fn after(started: &Started, removed: &Result<Removed>) -> Option<Started> {
    let now = host::clock::now();
    let left = left_of(started);
    let left = match removed {
        Ok(removed) if removed.volumes.is_empty() => return None,
        Ok(_) => {
            let (failures, volumes) = (0, BTreeSet::new());
            Left { remains: Remains::Data, failures, failed_at: None, reason: None, volumes, ..left }
        }
        // Docker could not be asked: that says nothing of the slot.
        Err(error) if exit_of(error) == Exit::Docker => Left { reason: Some(format!("{error:#}")), ..left },
        Err(error) => left.failed(now, format!("{error:#}")),
    };
    Some(Started { left: Some(left), ..started.clone() })
}

/// What the registry says of a stack of which something without kinfra's labels is left.
fn dirty(started: &Started) -> Started {
    let left = Left { volumes: BTreeSet::new(), ..left_of(started) };
    Started { left: Some(left), ..started.clone() }
}

/// Notes the result, if the slot is as it was.
fn note(
    ledger: &Ledger,
    seen: &Snapshot,
    (slot, before): (SlotId, &Started),
    after: Option<Started>,
    policy: &LockPolicy<'_>,
) -> Result<()> {
    let is_clean = after.as_ref().is_none_or(|after| {
        after.left.as_ref().is_some_and(|left| left.remains == Remains::Data && left.failures == 0)
    });
    ledger.transact(seen, policy, |transaction| {
        let entry = transaction.registry().slots.get(&slot);
        let is_same = |entry: &Entry| entry.claim.is_none() && entry.started.as_ref() == Some(before);
        if !entry.is_some_and(|entry| is_same(entry)) {
            let what = format!("slot {slot} changed while it was cleaned");
            return Err(Fault::refused(what).advise("run again").into());
        }
        if is_clean {
            transaction.locked().remove_derived(slot)?;
        }
        if let Some(entry) = transaction.registry_mut().slot_mut(slot) {
            entry.started = after;
        }
        Ok(())
    })
}

/// Why the lock of the stack is not obtained: which process starts, stops or cleans it now.
fn in_use(error: Error, root: &Root, slot: SlotId) -> Error {
    let exit = exit_of(&error);
    match root.holder_of_stack(slot) {
        Ok(Some(by)) => {
            let what = format!("its stack is in the hands of {}", by.process);
            Fault { exit, ..Fault::locked(what) }.into()
        }
        Ok(None) | Err(_) => error,
    }
}

fn stays_dirty(error: Error, slot: SlotId) -> Error {
    let why = exit_of(&error);
    // The claim is over, whatever holds up the rest.
    let exit = if why == Exit::Locked { Exit::Failed } else { why };
    let fix = if why == Exit::Docker {
        "start Docker"
    } else if why == Exit::Locked {
        "wait for it or end it"
    } else {
        "end what uses it"
    };
    let what = format!("slot {slot} is free, but not clean yet");
    let fault = Fault { exit, ..Fault::failed(what) };
    error.context(fault.advise(format!("{fix}, and run `kinfra clean {slot}`")))
}
