//! What happened between two states of a registry. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::event::{Ended, Event, Party, What};
use crate::registry::{Claim, Entry, MOST_FAILURES, Registry, Remains, Started};
use crate::slot::SlotId;
use crate::time::{Span, Time};

#[cfg(test)]
#[path = "between_tests.rs"]
mod tests;

/// The most characters of a note or a reason that are kept: anyone may write a long one.
const LONGEST: usize = 200;

/// What happened to slots, in their order. What `apply` made and changed comes first, and what it removed
/// last. `ended` says how claims ended.
pub fn between(before: &Registry, after: &Registry, ended: &BTreeMap<SlotId, Ended>) -> Vec<Event> {
    let (mut added, mut changed, mut removed) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let mut events = Vec::new();
    let slots: BTreeSet<SlotId> = before.slots.keys().chain(after.slots.keys()).copied().collect();
    for slot in slots {
        let (was, is) = (before.slots.get(&slot), after.slots.get(&slot));
        if was.zip(is).is_some_and(|(was, is)| Arc::ptr_eq(was, is)) {
            continue;
        }
        match (was, is) {
            (None, Some(_)) => drop(added.insert(slot)),
            (Some(_), None) => drop(removed.insert(slot)),
            (Some(was), Some(is)) if is_applied(was, is) => drop(changed.insert(slot)),
            (Some(_), Some(_)) | (None, None) => {}
        }
        let how = ended.get(&slot).copied().unwrap_or(Ended::Otherwise);
        let claims = claim(was.and_then(|it| it.claim.as_ref()), is.and_then(|it| it.claim.as_ref()), how);
        let stack = was.zip(is).and_then(|(was, is)| stack(was, is));
        let of_slot = claims.into_iter().chain(stack);
        events.extend(of_slot.map(|what| Event { slots: BTreeSet::from([slot]), what }));
    }
    let some = |slots: BTreeSet<SlotId>, what| (!slots.is_empty()).then_some(Event { slots, what });
    let (added, changed) = (some(added, What::Added), some(changed, What::Changed));
    let removed = some(removed, What::Removed);
    added.into_iter().chain(changed).chain(events).chain(removed).collect()
}

/// Whether an `apply` changed a slot. One that is only announced is not changed yet.
fn is_applied(was: &Entry, is: &Entry) -> bool {
    is.pending.is_none() && (was.pending.is_some() || was.provisioned != is.provisioned)
}

/// What happened to the claim of a slot.
fn claim(was: Option<&Claim>, is: Option<&Claim>, how: Ended) -> Vec<What> {
    let released = |claim: &Claim| What::Released { party: Party::of(claim), how };
    match (was, is) {
        (Some(was), Some(is)) if is_same(was, is) => altered(was, is),
        (was, is) => was.map(released).into_iter().chain(is.map(claimed)).collect(),
    }
}

fn claimed(claim: &Claim) -> What {
    let (lease, until) = term(claim);
    What::Claimed { party: Party::of(claim), lease, until, note: brief(claim.note.as_deref()) }
}

/// As much of a text as the journal keeps.
fn brief(text: Option<&str>) -> Option<String> {
    text.map(|text| match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    })
}

/// The length and the end of the lease of a claim.
fn term(claim: &Claim) -> (Option<Span>, Option<Time>) {
    claim.lease.map(|lease| (lease.length, lease.until)).unzip()
}

/// Whether two claims of a slot are one. A claim of an old tool gets its id when its holder claims again.
fn is_same(was: &Claim, is: &Claim) -> bool {
    match (was.claim_id, is.claim_id) {
        (Some(was), Some(is)) => was == is,
        (None, _) => was.claimed_at == is.claimed_at,
        (Some(_), None) => false,
    }
}

/// What changed in a claim that goes on.
fn altered(was: &Claim, is: &Claim) -> Vec<What> {
    let party = || Party::of(is);
    let is_moved = was.claimed_by != is.claimed_by;
    let is_taken_over = was.is_of_run && !is.is_of_run;
    let (lease, until) = term(is);
    let is_leased = term(was).0 != lease;
    let each = [
        is_moved.then(|| What::Moved { party: party(), from: was.claimed_by.clone() }),
        is_taken_over.then(|| What::TakenOver { party: party() }),
        is_leased.then(|| What::Leased { party: party(), lease, until }),
        (was.note != is.note).then(|| What::Noted { party: party(), note: brief(is.note.as_deref()) }),
    ];
    each.into_iter().flatten().collect()
}

/// What happened to the stack of a slot.
fn stack(was: &Entry, is: &Entry) -> Option<What> {
    match (&was.started, &is.started) {
        (Some(_), None) => Some(What::Cleaned),
        (was, Some(is)) if is.left.is_none() => {
            let is_new = was.as_ref().is_none_or(|was| was.at != is.at);
            is_new.then_some(What::StartBegun)
        }
        (Some(was), Some(is)) => left(was, is),
        (None, Some(_) | None) => None,
    }
}

/// What became of what a stack left behind.
fn left(was: &Started, is: &Started) -> Option<What> {
    let is = is.left.as_ref()?;
    let was = was.left.as_ref();
    if is.failures > was.map_or(0, |was| was.failures) {
        let quarantined = is.failures >= MOST_FAILURES;
        return Some(What::NotCleaned { reason: brief(is.reason.as_deref()), quarantined });
    }
    let is_kept = is.remains == Remains::Data && was.is_none_or(|was| was.remains != Remains::Data);
    is_kept.then(|| What::DataKept { holder: is.by.clone() })
}
