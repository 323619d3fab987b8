//! The most memory that a run of a slot's stack used, read from the cgroups of its containers before they go.
//! What they use now is not asked of Docker.

use std::collections::BTreeMap;

use crate::host::lock::LockPolicy;
use crate::host::memory::peak;
use crate::ledger::{Ledger, Snapshot};
use crate::memory::Memory;
use crate::slot::SlotId;

/// The sum of the peaks of containers that run, given by their ids with their processes. `None` if none of
/// them runs on this machine.
pub(super) fn of_all(processes: &BTreeMap<String, u32>) -> Option<Memory> {
    let peaks = processes.iter().filter_map(|(id, process)| peak(*process, id));
    peaks.reduce(Memory::and)
}

/// Notes the peak of a run, if it is higher than those of earlier runs. No verb fails for this note.
pub(super) fn note(
    ledger: &Ledger,
    seen: &Snapshot,
    slot: SlotId,
    peak: Option<Memory>,
    policy: &LockPolicy<'_>,
) {
    let is_higher = seen.registry.slots.get(&slot).is_some_and(|entry| entry.peak_memory < peak);
    if !is_higher {
        return;
    }
    let _ = ledger.transact(seen, policy, |transaction| {
        if let Some(entry) = transaction.registry_mut().slot_mut(slot) {
            entry.peak_memory = entry.peak_memory.max(peak);
        }
        Ok(())
    });
}
