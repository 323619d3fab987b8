//! What claim and release say: the slot and its ports, or who holds what.

use camino::Utf8Path;
use serde_json::{Value, json};

use super::{Commas, Paths, printable};
use crate::lease::{Denied, Grant, Kept};
use crate::observe::Unfit;
use crate::registry::{Claim, Entry, Registry, Time};
use crate::repair::UNKNOWN;
use crate::slot::SlotId;

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
    format!("{heading}\n      files    {dir}\n      ports    {}\n", Commas(ports))
}

/// The slot's entry, under the registry's own field names.
pub fn json(grant: Grant, entry: &Entry) -> String {
    let mut document = json!({ "format_version": super::FORMAT_VERSION });
    if let (Value::Object(document), Value::Object(entry)) = (&mut document, entry.to_json(grant.slot())) {
        document.extend(entry);
    }
    format!("{document:#}\n")
}

/// Why an owner gets no slot. `unfit` says what is wrong with one.
pub fn denied(
    denied: &Denied,
    owner: &Utf8Path,
    registry: &Registry,
    unfit: impl Fn(SlotId) -> Option<Unfit>,
) -> String {
    match denied {
        Denied::Full => format!("no slot is free{}", holders(registry, unfit)),
        Denied::Queued(ahead) => {
            format!("{ahead} waited before: `kinfra claim --wait` queues{}", holders(registry, unfit))
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
fn holders(registry: &Registry, unfit: impl Fn(SlotId) -> Option<Unfit>) -> String {
    let lines = registry.slots.iter().map(|(slot, entry)| match &entry.claim {
        Some(claim) => format!("\n  slot {slot} is {}", held(claim)),
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
        Some(Unfit::Edited(path)) => {
            format!("its {path} was edited by hand: `kinfra claim --slot {slot}` takes it as it is")
        }
        None => "its files changed just now: run again".to_owned(),
    }
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
    format!("held by {}{since}", printable(&claim.claimed_by))
}
