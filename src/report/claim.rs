//! What claim and release say: the slot and its ports, or who holds what.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::{Value, json};

use super::{Commas, Paths, printable};
use crate::claims::lease::{Denied, Grant, Kept};
use crate::claims::standing::Standing;
use crate::observe::Unfit;
use crate::registry::repair::UNKNOWN;
use crate::registry::{Claim, Entry, Registry};
use crate::slot::SlotId;
use crate::time::Time;

/// The slot that an owner has got, and where it is.
pub fn text(grant: Grant, entry: &Entry, paths: Paths<'_>) -> String {
    let (slot, profile) = (grant.slot(), &entry.provisioned.profile);
    let heading = match grant {
        Grant::New(_) => format!("Claimed slot {slot} ({profile})"),
        Grant::Held(_) => format!("Slot {slot} ({profile}) is yours already"),
    };
    let ports =
        entry.provisioned.ports.iter().map(|(name, port)| format!("{}={port}", name.as_str().to_uppercase()));
    let dir = paths.show(entry.provisioned.infrastructure_path.as_str().into());
    let claim = entry.claim.as_ref();
    let lease = claim.and_then(|claim| claim.lease).map_or_else(String::new, |lease| {
        format!("      lease    {}, until {}\n", lease.length, lease.until.to_the_minute())
    });
    format!("{heading}\n      files    {dir}\n      ports    {}\n{lease}", Commas(ports))
}

/// The slots that would have come first but for their ports.
pub fn passed_over(unfit: &BTreeMap<SlotId, Unfit>) -> String {
    let busy = unfit.iter().filter(|(_, unfit)| matches!(unfit, Unfit::Busy { .. }));
    let lines = busy.flat_map(|(slot, unfit)| {
        ["Passed over slot ".to_owned(), format!("{slot}: {}\n", why(*slot, Some(unfit.clone())))]
    });
    lines.collect()
}

/// The slot's entry, under the registry's own field names.
pub fn json(grant: Grant, entry: &Entry) -> String {
    let mut document = json!({ "format_version": super::FORMAT_VERSION });
    if let (Value::Object(document), Value::Object(entry)) = (&mut document, entry.to_json(grant.slot())) {
        document.extend(entry);
    }
    format!("{document:#}\n")
}

/// The place of somebody who waits.
pub fn waiting(ahead: usize) -> String {
    match ahead {
        0 => "Waiting for a free slot: the next in the queue".to_owned(),
        ahead => format!("Waiting for a free slot: {ahead} before in the queue"),
    }
}

/// Why an owner gets no slot. `next` is how many waited before, and whose turn it is; `unfit` says what is wrong with a free
/// slot, `standing` how it stands with a claim.
pub fn denied(
    denied: &Denied,
    owner: &Utf8Path,
    registry: &Registry,
    next: Option<(usize, String)>,
    unfit: impl Fn(SlotId) -> Option<Unfit>,
    standing: impl Fn(&Claim) -> Standing,
) -> String {
    match denied {
        Denied::Full => format!("no slot is free{}", holders(registry, unfit, standing)),
        Denied::Queued => {
            let (count, next) = next.unwrap_or_default();
            let (next, holders) = (printable(&next), holders(registry, unfit, standing));
            format!(
                "{count} waited before, and it is the turn of `{next}`: `kinfra claim --wait` queues{holders}"
            )
        }
        Denied::NoSuchSlot(slot) => no_such_slot(*slot),
        Denied::NoSuchSize(profile) => {
            format!("the pool has no slot of profile {profile} or larger: `kinfra slots` lists them")
        }
        Denied::Taken(slot) => format!("slot {slot} is {}", held_in(registry, *slot)),
        Denied::HoldsAnother(slot) => {
            let owner = printable(owner.as_str());
            format!("`{owner}` holds slot {slot} already: run `kinfra release` there first")
        }
        Denied::Unfit(slot) => format!("slot {slot} cannot be claimed: {}", why(*slot, unfit(*slot))),
    }
}

/// A line for each slot: who holds it since when, or why it cannot be claimed.
fn holders(
    registry: &Registry,
    unfit: impl Fn(SlotId) -> Option<Unfit>,
    standing: impl Fn(&Claim) -> Standing,
) -> String {
    let lines = registry.slots.iter().map(|(slot, entry)| match &entry.claim {
        Some(claim) => {
            let over = match standing(claim) {
                Standing::Held => "",
                Standing::Expired => ", and its lease has run out: `kinfra reap` releases it",
                Standing::Orphaned => ", which is gone: `kinfra reap` releases it",
            };
            format!("\n  slot {slot} is {}{over}", held(claim))
        }
        None => match unfit(*slot) {
            unfit @ Some(_) => format!("\n  slot {slot} is free, but {}", why(*slot, unfit)),
            None => format!("\n  slot {slot} is free"),
        },
    });
    lines.collect()
}

fn why(slot: SlotId, unfit: Option<Unfit>) -> String {
    match unfit {
        Some(Unfit::Unfinished) => "an apply was cut short in it: run `kinfra apply`".to_owned(),
        Some(Unfit::Foreign) => "kinfra did not write its files: see `kinfra plan`".to_owned(),
        Some(Unfit::Lacks(path)) => format!("its {path} is not there: see `kinfra plan`"),
        Some(Unfit::Busy { name, port, by }) => {
            let by =
                by.map_or_else(String::new, |(id, name)| format!(" by process {id} ({})", printable(&name)));
            format!("its port {port} ({}) is in use{by}", name.as_str().to_uppercase())
        }
        Some(Unfit::Obstructed(path)) => format!("its {path} is not a file: move it away"),
        Some(Unfit::Edited(path)) => {
            format!("its {path} was edited by hand: `kinfra claim --slot {slot}` takes it as it is")
        }
        None => "its files changed just now: run again".to_owned(),
    }
}

/// Where the copies are of what a claim found in the place of its files.
pub fn backups(paths: &[Utf8PathBuf]) -> String {
    let line = |path: &Utf8PathBuf| format!("Kept what was there as {}\n", printable(path.as_str()));
    paths.iter().map(line).collect()
}

/// The files of a claim that stay, because somebody changed them.
pub fn left(paths: &[Utf8PathBuf]) -> String {
    let line = |path: &Utf8PathBuf| format!("Left {}, which was changed since\n", printable(path.as_str()));
    paths.iter().map(line).collect()
}

/// Why a slot is neither released nor renewed.
pub fn kept(kept: &Kept, registry: &Registry) -> String {
    match kept {
        Kept::NoSuchSlot(slot) => no_such_slot(*slot),
        Kept::HeldBy(slot) => {
            let claim = registry.slots.get(slot).and_then(|entry| entry.claim.as_ref());
            let is_unknown = claim.is_some_and(|claim| claim.claimed_by == UNKNOWN);
            let there = if is_unknown { "" } else { "run `kinfra release` there, or " };
            let force = format!("`kinfra release {slot} --force` once nobody uses it");
            format!("slot {slot} is {}: {there}{force}", held_in(registry, *slot))
        }
        Kept::Late(id, slot) => {
            let now = slot.map_or_else(
                || "no slot is held under it".to_owned(),
                |slot| format!("slot {slot} is {}", held_in(registry, slot)),
            );
            format!("the claim {id} is over, {now}: nothing was changed")
        }
    }
}

/// What was released, if anything was: the slot that was asked for, or that of the owner.
pub fn released(released: Option<&(SlotId, Claim)>, asked: Option<SlotId>, owner: &Utf8Path) -> String {
    match (released, asked) {
        (Some((slot, claim)), _) => format!("Released slot {slot}, which was {}\n", held(claim)),
        (None, Some(slot)) => format!("Slot {slot} is free already\n"),
        (None, None) => format!("`{}` holds no slot\n", printable(owner.as_str())),
    }
}

/// That an owner has no claim to renew.
pub fn holds_none(owner: &Utf8Path) -> String {
    format!("`{}` holds no slot: `kinfra claim` takes one", printable(owner.as_str()))
}

/// Until when a claim holds now.
pub fn renewed(slot: SlotId, claim: &Claim) -> String {
    match claim.lease {
        Some(lease) => {
            format!("Slot {slot} is yours for {}, until {}\n", lease.length, lease.until.to_the_minute())
        }
        None => format!("Slot {slot} is yours until it is released: its claim has no lease\n"),
    }
}

/// Who holds a slot, as the registry has it.
fn held_in(registry: &Registry, slot: SlotId) -> String {
    let claim = registry.slots.get(&slot).and_then(|entry| entry.claim.as_ref());
    claim.map_or_else(|| "free".to_owned(), held)
}

fn no_such_slot(slot: SlotId) -> String {
    format!("the pool has no slot {slot}: `kinfra slots` lists them")
}

/// Who holds a slot, since when: "held by /home/me/tree since 2026-03-01 17:22 UTC".
pub fn held(claim: &Claim) -> String {
    let since = claim.claimed_at.as_ref().map_or_else(String::new, |at| {
        format!(" since {}", Time::parse(at).map_or_else(|_| printable(at), Time::to_the_minute))
    });
    let note = claim.note.as_ref().map_or_else(String::new, |note| format!(" ({})", printable(note)));
    format!("held by {}{note}{since}", printable(&claim.claimed_by))
}
