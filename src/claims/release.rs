//! Releasing a slot: the claim ends, its files are removed, and its stack is cleaned.

use anyhow::{Context as _, Error, Result};
use camino::{Utf8Path, Utf8PathBuf};

use super::files::{HolderDir, Site};
use super::held_by::{Directory, held_at_its_path, held_by};
use super::lease;
use super::pick::Grant;
use super::refusal::not_yours;
use super::signs::Sign;
use super::whereabouts::{Following, is_holder, look_at, noted};
use crate::fault::{Fault, advice_of, exit_of, is_known};
use crate::file::RelPath;
use crate::history::Ended;
use crate::host::fs::{is_kept, room_for};
use crate::host::lock::LockPolicy;
use crate::host::root::LockedRoot;
use crate::host::{context, engine};
use crate::identifier::Owner;
use crate::ledger::{Ledger, Snapshot, Transaction};
use crate::names::{COMPOSE_FILES, project};
use crate::registry::{Claim, ClaimId, Remains, Started};
use crate::slot::SlotId;
use crate::stack::clean::{Cleaned, Cleaning, clean};
use crate::stack::written::{OfAnotherUser, Writable};
use crate::which::by_worktree::FoundPool;

/// What to release.
#[derive(Debug)]
pub struct ReleaseRequest {
    /// The worktree that releases.
    pub worktree: Utf8PathBuf,
    /// The owner whose claim is meant in place of its own.
    pub owner: Option<Owner>,
    /// The slot, if one was named; else the one that the worktree holds.
    pub slot: Option<SlotId>,
    /// The id that the claim must have.
    pub claim_id: Option<ClaimId>,
    /// Whether the claim of another worktree may be ended.
    pub force: bool,
    /// Whether the volumes of its stack go, too.
    pub wipe: bool,
}

/// The result of a release.
#[derive(Debug, Default)]
pub struct Released {
    /// The slot and the claim that ended; `None` if there was no claim.
    pub claim: Option<(SlotId, Claim)>,
    /// Files of the claim that stay, because they were changed.
    pub left: Vec<Utf8PathBuf>,
    /// Why files of the claim could not be removed. Only a forced release goes on then.
    pub stuck: Option<Error>,
    /// Whether its stack may have been started.
    pub was_started: bool,
    /// What became of its stack. `None` if it was never started.
    pub stack: Option<Cleaned>,
    /// Why its stack is not clean. The claim is over all the same.
    pub not_clean: Option<Error>,
    /// What its containers wrote into its worktree as another user.
    pub of_another_user: Option<OfAnotherUser>,
    /// The slot that another directory holds under the same path.
    pub of_another: Option<SlotId>,
    /// The note that there is no pool. Without a named slot or id that is no error.
    pub no_pool: Option<Fault>,
}

/// Releases a slot.
///
/// # Errors
/// [`Fault`] when another worktree holds it, when there is no such slot or pool, or when the lock is not
/// obtained.
pub fn release(request: &ReleaseRequest, pool: &mut FoundPool, policy: &LockPolicy<'_>) -> Result<Released> {
    let ReleaseRequest { worktree, owner, slot, claim_id, force, wipe } = request;
    let Some(seen) = pool.look(Following::Named { worktree, slot: *slot, id: *claim_id })? else {
        return if slot.is_some() || claim_id.is_some() {
            Err(pool.missing().into())
        } else {
            Ok(Released { no_pool: Some(pool.missing()), ..Released::default() })
        };
    };
    let seen = pool.usable(Some(seen))?;
    let directory = noted(&seen.registry, &look_at(worktree)?.owned_by(owner.clone()));
    let holder = open_holder(&seen, request, &directory);
    let (ledger, name) = (pool.ledger(), pool.name.clone());
    let released = ledger.transact(&seen, policy, |transaction| {
        let registry = transaction.registry_mut();
        let claim = lease::release(registry, &directory, *slot, *claim_id, *force);
        let claim = claim.map_err(|why| not_yours(&why, registry))?;
        if let Some((slot, claim)) = &claim {
            let is_by_force = *force && !directory.holds(claim);
            transaction.say_how_ended(*slot, if is_by_force { Ended::ByForce } else { Ended::ByHolder });
        }
        let sign = slot.filter(|_| claim.is_none() && *force);
        let sign = sign.map_or(Ok(None), |slot| Sign::in_slot(transaction.locked().root(), slot))?;
        let claim = claim.or(slot.zip(sign).map(|(slot, sign)| (slot, sign.claim())));
        let mut released = Released { claim, ..Released::default() };
        let mut is_of_here = true;
        if let Some((slot, claim)) = &released.claim {
            is_of_here = is_made_here(transaction, *slot, claim)?;
        }
        match &released.claim {
            Some((slot, claim)) => match give_back(transaction.locked(), *slot, claim, holder.as_ref()) {
                Ok(left) => released.left = left,
                Err(error) if *force => released.stuck = Some(error),
                Err(error) => return Err(stays_claimed(error, *slot)),
            },
            None if slot.is_none() && claim_id.is_none() && owner.is_none() => {
                forget(transaction.locked(), &directory)?;
                released.of_another = held_at_its_path(transaction.registry(), &directory);
            }
            None => {}
        }
        if let Some((slot, claim)) = &released.claim {
            let remains = if *wipe { Remains::Everything } else { Remains::Stack };
            released.was_started = leave(transaction, &name, *slot, (claim, remains), is_of_here)?;
            transaction.save().map_err(|error| not_released(error, &[*slot]))?;
        }
        Ok(released)
    });
    let mut released = released.map_err(|error| told(error, &ledger, &directory, *slot))?;
    if let Some((slot, claim)) = released.claim.as_ref().filter(|_| released.was_started) {
        let writable = writable(&pool.root, *slot, claim);
        match clean(&ledger, *slot, Cleaning::KeepData, policy) {
            Ok(cleaned) => released.stack = cleaned,
            Err(error) => released.not_clean = Some(error),
        }
        released.of_another_user = writable.and_then(Writable::of_another_user);
    }
    Ok(released)
}

/// An error, with the slot that stays held, where a file was kept from being written.
fn told(error: Error, ledger: &Ledger, own: &Directory, slot: Option<SlotId>) -> Error {
    let seen = if is_kept(&error) { ledger.read(Following::NoHolder).ok().flatten() } else { None };
    let held = seen.and_then(|seen| {
        let slot = slot.or_else(|| held_by(&seen.registry, own))?;
        seen.registry.slots.get(&slot)?.claim.as_ref().map(|_| slot)
    });
    match held {
        Some(slot) if error.downcast_ref::<Fault>().is_none() => {
            error.context(format!("slot {slot} stays held"))
        }
        Some(_) | None => error,
    }
}

/// The error for a claim whose files are not all written. It goes on, because the next one of its worktree
/// writes what is missing. A run ends with the error, so its slot is given back.
pub(super) fn half_claimed(
    error: Error,
    transaction: &mut Transaction,
    (pool, slot): (&str, SlotId),
    grant: Grant,
) -> Error {
    let claim = transaction.registry().slots.get(&slot).and_then(|entry| entry.claim.clone());
    let claim = claim.filter(|claim| claim.is_of_run && matches!(grant, Grant::New(_)));
    let is_over = claim.is_some_and(|claim| undo(transaction, (pool, slot), &claim).is_ok());
    let remedy = remedy(&error);
    let (what, advice) = if is_over {
        let what = format!("slot {slot} is not claimed: not all of its files could be written");
        (what, format!("{remedy}, and run again"))
    } else {
        let what = format!("slot {slot} is claimed, but not all of its files are written");
        (what, format!("{remedy}, and run again: it writes what is missing"))
    };
    let fault = Fault { exit: exit_of(&error), ..Fault::failed(what) };
    error.context(fault.advise(advice))
}

fn undo(transaction: &mut Transaction, (pool, slot): (&str, SlotId), claim: &Claim) -> Result<()> {
    give_back(transaction.locked(), slot, claim, None)?;
    lease::end(transaction.registry_mut(), slot);
    leave(transaction, pool, slot, (claim, Remains::Stack), true)?;
    transaction.save()
}

/// The error for claims whose end could not be saved: they go on without their files.
pub(super) fn not_released(error: Error, slots: &[SlotId]) -> Error {
    let all: Vec<String> = slots.iter().map(ToString::to_string).collect();
    let all = all.join(", ");
    if !is_known(&error) {
        let (these, are) = if slots.len() == 1 { ("slot", "is") } else { ("slots", "are") };
        let what =
            format!("it is not known whether {these} {all} {are} released; the files of the claim are gone");
        let fault = Fault { exit: exit_of(&error), ..Fault::failed(what) };
        return error.context(fault);
    }
    let what = match slots {
        [slot] => format!("slot {slot} stays claimed, without its files in the worktree"),
        _ => format!("slots {all} stay claimed, without their files in the worktrees"),
    };
    let advice = remedy(&error);
    let fix = format!("{advice}; then run again, or have the files back with `kinfra claim`");
    let fault = Fault { exit: exit_of(&error), ..Fault::failed(what) };
    error.context(fault.advise(fix))
}

fn remedy(error: &Error) -> &str {
    advice_of(error).or_else(|| room_for(error)).unwrap_or("mend that")
}

/// Removes what a worktree still has of a claim that the registry does not know.
fn forget(locked: &LockedRoot, own: &Directory) -> Result<()> {
    let (holder, root) = (HolderDir::open(&own.path), locked.root());
    if let Some(slot) = holder.env_slot(root.path())
        && Sign::in_slot(root, slot)?.is_some_and(|sign| sign.is_by(own))
    {
        locked.remove_claim_note(slot)?;
    }
    holder.tidy(root.path())
}

/// What of its worktree the containers of a claim may have written to. To be asked before its slot is
/// cleaned.
pub(super) fn writable(root: &Utf8Path, slot: SlotId, claim: &Claim) -> Option<Writable> {
    let worktree = claim.claimed_by.directory().filter(|path| is_holder(path, claim))?;
    Some(Writable::of(&root.join(slot.directory()), worktree))
}

/// Notes what a slot's stack may have left, when its claim ended. A stack may have been started without
/// kinfra, by `docker compose`: where kinfra wrote an overlay, in the shell of `env` or `exec`; where the
/// slot's directory has a Compose file of its own, also by hand. Of a claim that was not made in this root,
/// nothing of that is seen here. Returns whether there is something to clean.
///
/// # Errors
/// When the slot's directory cannot be read.
pub(super) fn leave(
    transaction: &mut Transaction,
    pool: &str,
    slot: SlotId,
    (claim, remains): (&Claim, Remains),
    is_made_here: bool,
) -> Result<bool> {
    let now = transaction.now();
    let entry = transaction.registry().slots.get(&slot);
    let is_noted = entry.is_none_or(|entry| entry.started.is_some());
    let is_compose_file = |file: &RelPath| COMPOSE_FILES.contains(&file.as_str());
    let has_own = entry.is_some_and(|entry| entry.files().any(is_compose_file));
    let may_be_started = (has_own || !is_made_here) && engine::may_be_here();
    if !is_noted && (transaction.locked().root().has_overlay(slot)? || may_be_started) {
        let started = Started {
            at: now.to_string(),
            project: project(pool, slot),
            engine: Some(context::current()),
            profiles: Vec::new(),
            left: None,
        };
        if let Some(entry) = transaction.registry_mut().slot_mut(slot) {
            entry.started = Some(started);
        }
    }
    lease::leave(transaction.registry_mut(), slot, claim, remains, now);
    Ok(transaction.registry().slots.get(&slot).is_some_and(|entry| entry.started.is_some()))
}

/// Whether a claim was made in this root, and not in that of another user of the host. To be asked before its
/// files go.
///
/// # Errors
/// When the slot's directory cannot be read.
pub(super) fn is_made_here(transaction: &Transaction, slot: SlotId, claim: &Claim) -> Result<bool> {
    Ok(!transaction.is_shared() || Sign::shows(transaction.locked().root(), slot, claim)?)
}

/// The directory of the holder whose claim is going to end, opened before the lock is taken.
fn open_holder(seen: &Snapshot, request: &ReleaseRequest, own: &Directory) -> Option<HolderDir> {
    let ReleaseRequest { slot, claim_id, force, .. } = request;
    let slot = lease::to_release(&seen.registry, own, *slot, *claim_id, *force).ok().flatten()?;
    seen.registry.slots.get(&slot)?.claim.as_ref().map(HolderDir::of)
}

/// Removes the files of a claim, before the registry says that the slot is free. Every release and reap calls
/// this. `holder` is the holder's directory, if it was opened before. Returns the files that stay because
/// they were changed.
///
/// # Errors
/// When a file cannot be removed. The slot stays claimed.
pub fn give_back(
    locked: &LockedRoot,
    slot: SlotId,
    claim: &Claim,
    holder: Option<&HolderDir>,
) -> Result<Vec<Utf8PathBuf>> {
    // It is opened here only if the claim changed since it was looked at.
    let opened = holder.is_none_or(|holder| !holder.is_of(claim)).then(|| HolderDir::of(claim));
    let holder = opened.as_ref().or(holder).context("a claim that ends has a holder")?;
    let left = Site { root: locked, slot, holder }.take_back(claim);
    left.and_then(|left| Sign::remove(locked, slot, claim).map(|()| left))
}

/// The error for a claim whose files could not be removed, with the way out.
pub(super) fn stays_claimed(error: Error, slot: SlotId) -> Error {
    let fix = advice_of(&error).unwrap_or("fix this");
    let advice = format!("{fix}, or leave the files there with `kinfra release {slot} --force`");
    let fault = Fault { exit: exit_of(&error), ..Fault::refused(format!("slot {slot} stays claimed")) };
    error.context(fault.advise(advice))
}
