//! The slots and claims that a shell can complete: those of the pool here.

use anyhow::Result;
use clap_complete::CompletionCandidate;

use super::pool_here::{in_order, snapshot};
use crate::registry::{Claim, Entry};
use crate::slot::SlotId;

/// The slots of the pool, each with its profile and its holder.
pub(super) fn slots() -> Result<Vec<CompletionCandidate>> {
    slots_where(|_| true)
}

/// The slots of the pool that are held.
pub(super) fn held() -> Result<Vec<CompletionCandidate>> {
    slots_where(|entry| entry.claim.is_some())
}

/// The ids of the claims, each with its slot and its holder.
pub(super) fn claim_ids() -> Result<Vec<CompletionCandidate>> {
    of_slots(|slot, entry| {
        let claim = entry.claim.as_ref()?;
        Some((claim.claim_id?.to_string(), format!("slot {slot}, {}", holder(claim))))
    })
}

fn slots_where(is_wanted: impl Fn(&Entry) -> bool) -> Result<Vec<CompletionCandidate>> {
    of_slots(|slot, entry| {
        let holder = entry.claim.as_ref().map_or_else(|| "free".to_owned(), holder);
        is_wanted(entry).then(|| (slot.to_string(), format!("{}, {holder}", entry.provisioned.profile)))
    })
}

/// What each slot has to offer, with what is said of it.
fn of_slots(offer: impl Fn(SlotId, &Entry) -> Option<(String, String)>) -> Result<Vec<CompletionCandidate>> {
    let snapshot = snapshot()?;
    let slots = snapshot.iter().flat_map(|snapshot| &snapshot.registry.slots);
    let offers = slots.filter_map(|(slot, entry)| offer(*slot, entry));
    Ok(in_order(offers.map(|(value, help)| CompletionCandidate::new(value).help(Some(help.into())))))
}

/// The name of a holder's directory.
fn holder(claim: &Claim) -> String {
    let holder = claim.claimed_by.to_string();
    holder.rsplit('/').next().unwrap_or_default().escape_debug().to_string()
}
