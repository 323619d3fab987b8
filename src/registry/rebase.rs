//! A change that was decided with one state of a registry, made in a later one. Pure.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::entry::{Entry, Pending, Provisioned, Registry};
use crate::slot::SlotId;

/// What both a change and another client have changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overlap {
    /// The top level.
    Pool,
    /// This slot.
    Slot(SlotId),
}

impl Registry {
    /// The change from this registry to `after`, made in `now`. What the change leaves alone stays as it is
    /// now.
    ///
    /// # Errors
    /// What another client has changed, too.
    pub fn rebased(&self, after: &Self, now: &Self) -> Result<Self, Overlap> {
        let Self { id, applied_from, slots, imported_from, unknown } = after;
        let mut made = now.clone();
        made.id = now.id.or(*id);
        // Of its root alone, and its root is locked.
        made.applied_from.clone_from(applied_from);
        made.imported_from =
            pick(&self.imported_from, imported_from, &now.imported_from).ok_or(Overlap::Pool)?;
        made.unknown = pick(&self.unknown, unknown, &now.unknown).ok_or(Overlap::Pool)?;
        let ids: BTreeSet<SlotId> = self.slots.keys().chain(slots.keys()).copied().collect();
        for id in ids {
            let (was, is) = (self.slots.get(&id), slots.get(&id));
            if was == is {
                continue;
            }
            match entry(was, is, now.slots.get(&id)).map_err(|Taken| Overlap::Slot(id))? {
                Some(entry) => drop(made.slots.insert(id, entry)),
                None => drop(made.slots.remove(&id)),
            }
        }
        Ok(made)
    }
}

/// Another client changed the same.
struct Taken;

/// What a change makes of a slot as it is now. `None` where the slot goes.
fn entry(
    was: Option<&Arc<Entry>>,
    is: Option<&Arc<Entry>>,
    now: Option<&Arc<Entry>>,
) -> Result<Option<Arc<Entry>>, Taken> {
    let made = match (was, is, now) {
        (_, None, None) => return Ok(None),
        (was, Some(is), now) if was == now => Some(Arc::clone(is)),
        (was, None, now) => return if was == now { Ok(None) } else { Err(Taken) },
        // Another user's `apply` made it meanwhile, and this one has its files in its own root.
        (None, Some(is), Some(now)) => is_one_slot(&is.provisioned, &now.provisioned).then(|| {
            let (provisioned, pending) = (is.provisioned.clone(), is.pending.clone());
            Arc::new(Entry { provisioned, pending, ..Entry::clone(now) })
        }),
        (_, Some(_), None) => None,
        (Some(was), Some(is), Some(now)) => merged(was, is, now).map(Arc::new),
    };
    made.map(Some).ok_or(Taken)
}

fn merged(was: &Entry, is: &Entry, now: &Entry) -> Option<Entry> {
    let id = |entry: &Entry| entry.claim.as_ref().map(|claim| claim.claim_id);
    let goes = is.pending == Some(Pending::Remove);
    let needs_holder = goes || !is_one_slot(&was.provisioned, &is.provisioned);
    if needs_holder && id(was) != id(now) {
        return None;
    }
    let Entry { provisioned, pending, claim, status, started, peak_memory, unknown } = is;
    Some(Entry {
        provisioned: pick(&was.provisioned, provisioned, &now.provisioned)?,
        pending: pick(&was.pending, pending, &now.pending)?,
        claim: pick(&was.claim, claim, &now.claim)?,
        status: pick(&was.status, status, &now.status)?,
        started: pick(&was.started, started, &now.started)?,
        peak_memory: pick(&was.peak_memory, peak_memory, &now.peak_memory)?,
        unknown: pick(&was.unknown, unknown, &now.unknown)?,
    })
}

/// Whether two users have the same in mind, but for their roots.
fn is_one_slot(one: &Provisioned, other: &Provisioned) -> bool {
    let Provisioned { infrastructure_path: _, profile, workers, ports, udp, files: _ } = one;
    *profile == other.profile && *workers == other.workers && *ports == other.ports && *udp == other.udp
}

/// A value that a change may have changed. `None` where another client changed it otherwise.
fn pick<T: PartialEq + Clone>(was: &T, is: &T, now: &T) -> Option<T> {
    if is == was || is == now { Some(now.clone()) } else { (now == was).then(|| is.clone()) }
}

#[cfg(test)]
#[path = "rebase_tests.rs"]
mod tests;
