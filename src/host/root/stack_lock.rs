//! The lock of a slot's stack: of the verbs that start, stop or clean it, one runs at a time. It may be held
//! for minutes, and while other programs run. The root's lock is only held for a moment.

use anyhow::Result;
use camino::Utf8Path;

use super::locked::LockedRoot;
use super::open::Root;
use crate::host::fs::Found;
use crate::host::lock::{Lock, LockPolicy};
use crate::names::{DERIVED, OVERLAY};
use crate::slot::SlotId;

/// The directory of these locks in the root.
const DIRECTORY: &str = ".stacks";

/// The lock of a slot's stack. It is held until it is dropped.
#[derive(Debug)]
pub struct StackLock {
    _lock: Lock,
}

impl Root {
    /// Takes the lock of a slot's stack.
    ///
    /// # Errors
    /// [`Fault`](crate::fault::Fault) when another process holds it.
    pub fn lock_stack(&self, slot: SlotId, policy: &LockPolicy<'_>) -> Result<StackLock> {
        let locks = self.dir.make_dir(Utf8Path::new(DIRECTORY))?;
        Ok(StackLock { _lock: Lock::acquire(&locks, &slot.directory(), policy)? })
    }

    /// Whether kinfra wrote an overlay for a slot's stack, so that one may have been started.
    ///
    /// # Errors
    /// When the slot's directory cannot be read.
    pub fn has_overlay(&self, slot: SlotId) -> Result<bool> {
        match self.slot(slot)? {
            Found::This(dir) => dir.has(OVERLAY),
            Found::Nothing | Found::Other(_) => Ok(false),
        }
    }

    /// The process that starts, stops or cleans a slot's stack now, in words.
    ///
    /// # Errors
    /// When it cannot be found out.
    pub fn holder_of_stack(&self, slot: SlotId) -> Result<Option<String>> {
        match self.dir.dir(Utf8Path::new(DIRECTORY))? {
            Found::This(locks) => Lock::holder(&locks, &slot.directory()),
            Found::Nothing | Found::Other(_) => Ok(None),
        }
    }
}

impl LockedRoot {
    /// Removes the files that kinfra made for a slot's stack.
    ///
    /// # Errors
    /// When one of them cannot be removed.
    pub fn remove_derived(&self, slot: SlotId) -> Result<()> {
        let Found::This(dir) = self.root().slot(slot)? else { return Ok(()) };
        DERIVED.into_iter().try_for_each(|name| dir.remove_file(name))
    }
}
