//! Taking the lock of a stack that is to end from what still runs it. A Compose in the foreground of another
//! terminal holds the lock until its containers have stopped, which may be never: so they are stopped first.

use std::time::Duration;

use anyhow::Result;

use super::remove::StackOn;
use crate::fault::{Exit, exit_of};
use crate::host::lock::{Hold, LockPolicy};
use crate::host::root::{Root, StackLock};
use crate::host::things;
use crate::ledger::Ledger;
use crate::thing::{Kind, Thing};

/// Takes the lock of a stack that is to end. If another process holds it, the containers are stopped, and
/// then the lock is waited for. What is removed is decided under the lock.
///
/// `is_still_to_end` says, from the registry of that moment, that no later start was noted.
///
/// # Errors
/// [`Fault`](crate::fault::Fault) when the lock is not obtained.
pub fn take_over(
    (ledger, root): (&Ledger, &Root),
    on: &StackOn<'_>,
    policy: &LockPolicy<'_>,
    is_still_to_end: impl FnOnce() -> Result<bool>,
) -> Result<StackLock> {
    let slot = on.slot;
    let at_once = LockPolicy { patience: Duration::ZERO, ..*policy };
    match ledger.lock_stack(root, slot, Hold::Alone, &at_once) {
        Err(error) if exit_of(&error) == Exit::Locked => {}
        taken => return taken,
    }
    // A start is noted before it makes anything. So what is listed before the look at the registry is not of
    // a later one. Where Docker does not answer, nothing is stopped.
    let own = on.look().map(|parted| parted.own).unwrap_or_default();
    if is_still_to_end()? {
        let is_container = |thing: &Thing| thing.kind == Kind::Container;
        let containers: Vec<Thing> = own.into_iter().filter(is_container).collect();
        let _ = things::stop(on.engine, &containers);
    }
    ledger.lock_stack(root, slot, Hold::Alone, policy)
}
