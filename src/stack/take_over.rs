//! Taking the lock of a stack that is to end from what still runs it. A Compose in the foreground of another
//! terminal holds the lock until its containers have stopped, which may be never: so they are stopped first.

use std::time::Duration;

use anyhow::Result;

use super::remove::is_ours;
use crate::fault::{Exit, exit_of};
use crate::host::lock::{Hold, LockPolicy};
use crate::host::remains::{StackOn, Thing};
use crate::host::root::{Root, StackLock};
use crate::registry::{RegistryId, Started};
use crate::thing::Kind;

/// A stack that is to end.
#[derive(Debug, Clone, Copy)]
pub struct Ending<'a> {
    /// Where it is.
    pub on: StackOn<'a>,
    /// How it was started.
    pub started: Option<&'a Started>,
    /// The registry.
    pub registry: RegistryId,
}

/// Takes the lock of a stack that is to end. If another process holds it, the containers are stopped, and
/// then the lock is waited for. What is removed is decided under the lock.
///
/// `is_still_to_end` says, from the registry of that moment, that no later start was noted.
///
/// # Errors
/// [`Fault`](crate::fault::Fault) when the lock is not obtained.
pub fn take_over(
    root: &Root,
    ending: &Ending<'_>,
    policy: &LockPolicy<'_>,
    is_still_to_end: impl FnOnce() -> Result<bool>,
) -> Result<StackLock> {
    let slot = ending.on.slot;
    let at_once = LockPolicy { patience: Duration::ZERO, ..*policy };
    match root.lock_stack(slot, Hold::Alone, &at_once) {
        Err(error) if exit_of(&error) == Exit::Locked => {}
        taken => return taken,
    }
    // A start is noted before it makes anything. So what is listed before the look at the registry is not of
    // a later one. Where Docker does not answer, nothing is stopped.
    let listed = ending.on.things().needed().unwrap_or_default();
    if is_still_to_end()? {
        let Ending { on, started, registry } = *ending;
        let is_to_stop = |thing: &Thing| {
            thing.kind == Kind::Container && is_ours(thing.id.as_deref(), on.project, started, registry)
        };
        let containers: Vec<Thing> = listed.into_iter().filter(is_to_stop).collect();
        let _ = on.stop(&containers);
    }
    root.lock_stack(slot, Hold::Alone, policy)
}
