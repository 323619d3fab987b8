//! Keeping a claim while something in its slot takes its time: its lease is renewed meanwhile.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use anyhow::Result;

use super::held::Held;
use super::held_by::with_id;
use super::lease;
use super::whereabouts::Following;
use crate::host::lock::LockPolicy;
use crate::ledger::Ledger;
use crate::registry::{ClaimId, Lease};
use crate::slot::SlotId;

/// How long a renewal waits for the lock. The end of what goes on is not to wait for it.
pub const SHORT: Duration = Duration::from_secs(1);

/// Keeps a claim. One without a lease needs nothing for that.
pub struct Keeper(Option<Kept>);

struct Kept {
    ledger: Ledger,
    slot: SlotId,
    id: ClaimId,
    lease: Lease,
}

impl Keeper {
    /// That of a slot's claim.
    pub fn of(held: &Held) -> Self {
        let (ledger, slot) = (held.pool().ledger(), held.slot);
        let claim = held.entry.claim.as_ref();
        let leased = claim.and_then(|claim| claim.claim_id.zip(claim.lease));
        Self(leased.map(|(id, lease)| Kept { ledger, slot, id, lease }))
    }

    /// Does something, and renews the lease meanwhile. Where the claim ended, what is done finds that out.
    pub fn during<T>(&self, policy: &LockPolicy<'_>, work: impl FnOnce() -> T) -> T {
        let Some(kept) = &self.0 else { return work() };
        let policy = LockPolicy { patience: SHORT, ..*policy };
        thread::scope(|scope| {
            let (working, ended) = mpsc::channel::<()>();
            scope.spawn(move || {
                let every = lease::renewed_every(kept.lease);
                while ended.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
                    // What cannot be saved now may be saved the next time.
                    if !kept.renew(&policy).unwrap_or(true) {
                        return;
                    }
                }
            });
            let done = work();
            drop(working);
            done
        })
    }
}

impl Kept {
    /// Renews the lease. `false` if the claim ended.
    fn renew(&self, policy: &LockPolicy<'_>) -> Result<bool> {
        let Some(seen) = self.ledger.read(Following::NoHolder)? else { return Ok(false) };
        self.ledger.transact(&seen, policy, |transaction| {
            let is_held = with_id(transaction.registry(), self.id) == Some(self.slot);
            let now = transaction.now();
            if is_held {
                lease::renew(transaction.registry_mut(), self.slot, None, None, now);
            }
            Ok(is_held)
        })
    }
}
