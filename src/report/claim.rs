//! What claim and release say: the slot and its ports, or who holds what.

use camino::Utf8Path;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Commas, Paths, printable};
use crate::lease::{Denied, Grant, Kept};
use crate::observe::Unfit;
use crate::registry::{Claim, Entry, Registry};
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

/// Why an owner gets no slot. `unfit` says what is wrong with the files of one.
pub fn denied(
    denied: &Denied,
    owner: &Utf8Path,
    registry: &Registry,
    unfit: impl Fn(SlotId) -> Option<Unfit>,
) -> String {
    match denied {
        Denied::Full => {
            let lines = registry.slots.iter().map(|(slot, entry)| match &entry.claim {
                Some(claim) => format!("\n  slot {slot} is {}", held(claim)),
                None => format!("\n  slot {slot} is free, but {}", why(*slot, unfit(*slot))),
            });
            format!("no slot is free{}", lines.collect::<String>())
        }
        Denied::NoSuchSlot(slot) => no_such_slot(*slot),
        Denied::Taken { slot, claim } => format!("slot {slot} is {}", held(claim)),
        Denied::HoldsAnother(slot) => {
            let owner = printable(owner.as_str());
            format!("`{owner}` holds slot {slot} already: run `kinfra release` there first")
        }
        Denied::Unfit(slot) => format!("slot {slot} cannot be claimed: {}", why(*slot, unfit(*slot))),
    }
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

/// Why a slot is not released.
pub fn kept(kept: &Kept) -> String {
    match kept {
        Kept::NoSuchSlot(slot) => no_such_slot(*slot),
        Kept::HeldBy(slot, claim) => {
            let there = if claim.claimed_by == UNKNOWN { "" } else { "run `kinfra release` there, or " };
            let force = format!("`kinfra release {slot} --force` once nobody uses it");
            format!("slot {slot} is {}: {there}{force}", held(claim))
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

fn no_such_slot(slot: SlotId) -> String {
    format!("the pool has no slot {slot}: `kinfra slots` lists them")
}

/// Who holds a slot, since when: "held by /home/me/tree since 2026-03-01 17:22 UTC".
pub fn held(claim: &Claim) -> String {
    let Claim { claimed_by, claimed_at } = claim;
    let since = claimed_at.as_ref().map_or_else(String::new, |at| {
        let time: Option<Timestamp> = at.parse().ok();
        let shown =
            time.map_or_else(|| printable(at), |time| time.strftime("%Y-%m-%d %H:%M UTC").to_string());
        format!(" since {shown}")
    });
    format!("held by {}{since}", printable(claimed_by))
}
