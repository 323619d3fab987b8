//! What a claim says: the slot, its ports, or who holds what.

use serde_json::{Value, json};

use super::{Commas, Paths};
use crate::lease::Grant;
use crate::registry::{Claim, Entry, Registry};

/// The slot that an owner has got, and where it is.
pub fn text(grant: Grant, entry: &Entry, paths: Paths<'_>) -> String {
    let (slot, profile) = (grant.slot(), &entry.provisioned.profile);
    let heading = match grant {
        Grant::New(_) => format!("Claimed slot {slot} ({profile})"),
        Grant::Held(_) => format!("Slot {slot} ({profile}) is this worktree's already"),
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

/// Who holds a slot, since when: "held by /home/me/tree since 2026-03-01T17:22:10+00:00".
pub fn held(claim: &Claim) -> String {
    let since = claim
        .claimed_at
        .as_ref()
        .map_or_else(String::new, |since| format!(" since {}", super::printable(since)));
    format!("held by {}{since}", super::printable(&claim.claimed_by))
}

/// Every slot and who holds it, one line each.
pub fn holders(registry: &Registry) -> String {
    let lines = registry.slots.iter().map(|(slot, entry)| match &entry.claim {
        Some(claim) => format!("  slot {slot} is {}", held(claim)),
        None => {
            format!("  slot {slot} is free, but its files are not those kinfra writes: see `kinfra plan`")
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}
