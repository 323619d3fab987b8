//! The lock of a slot's stack: of the verbs that start, stop or clean it, one runs at a time. It may be held
//! for minutes, and while other programs run. The root's lock is only held for a moment.
//!
//! A Compose that makes things holds it, too. So it is held for as long as Compose runs, whatever becomes of
//! the kinfra that started it.

use std::io;
use std::process::Child;

use anyhow::Result;
use camino::Utf8Path;

use super::locked::LockedRoot;
use super::open::Root;
use crate::host::fs::Found;
use crate::host::lock::{Hold, Lock, LockPolicy};
use crate::host::server_lock::ServerLock;
use crate::host::signature::{COMPOSE, HeldBy};
use crate::names::{DERIVED, OVERLAY};
use crate::slot::SlotId;

/// The directory of these locks in the root.
const DIRECTORY: &str = ".stacks";

/// The name of the lock of starts among them.
const STARTS: &str = "starts";

/// The lock of the starts of a root that need memory. It is held until it is dropped.
#[derive(Debug)]
pub struct StartsLock {
    _lock: Lock,
}

/// The lock of a slot's stack. It is held until it is dropped.
#[derive(Debug)]
pub struct StackLock {
    lock: Lock,
    /// The one that other users of the host heed, where a server has the registry. It ends with this process.
    on_server: Option<ServerLock>,
}

impl StackLock {
    /// The same, held on a server, too.
    #[must_use]
    pub fn also(self, on_server: ServerLock) -> Self {
        Self { on_server: Some(on_server), ..self }
    }

    /// Starts a Compose that holds the lock, too.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn lend(&self, spawn: impl FnOnce() -> io::Result<Child>) -> io::Result<Child> {
        let child = self.lock.lend(spawn)?;
        self.lock.sign(child.id(), COMPOSE);
        Ok(child)
    }

    /// Lets commands of Compose run from now on, and none of the verbs that start, stop or clean the stack.
    /// One of those that waited may come in between.
    pub fn share(&self) {
        self.lock.share();
        self.on_server.iter().for_each(ServerLock::share);
    }

    /// Lets the lock be held by the Compose that this process becomes.
    ///
    /// # Errors
    /// When that is not possible.
    pub fn outlive(&self) -> io::Result<()> {
        self.lock.outlive()?;
        self.lock.sign(std::process::id(), COMPOSE);
        Ok(())
    }
}

impl Root {
    /// Takes the lock of a slot's stack.
    ///
    /// # Errors
    /// [`Fault`](crate::fault::Fault) when another process holds it.
    pub fn lock_stack(&self, slot: SlotId, hold: Hold, policy: &LockPolicy<'_>) -> Result<StackLock> {
        let locks = self.dir.make_dir(Utf8Path::new(DIRECTORY))?;
        let lock = Lock::acquire(&locks, &slot.directory(), hold, policy)?;
        self.needs_its_path()?;
        Ok(StackLock { lock, on_server: None })
    }

    /// Takes the lock of starts that need memory.
    ///
    /// # Errors
    /// [`Fault`](crate::fault::Fault) when another process holds it.
    pub fn lock_starts(&self, policy: &LockPolicy<'_>) -> Result<StartsLock> {
        let locks = self.dir.make_dir(Utf8Path::new(DIRECTORY))?;
        let lock = Lock::acquire(&locks, STARTS, Hold::Alone, policy)?;
        self.needs_its_path()?;
        Ok(StartsLock { _lock: lock })
    }

    /// Refuses a lock in a root that was moved away: at its path, others take another one.
    fn needs_its_path(&self) -> Result<()> {
        if self.dir.is_at_its_path()? { Ok(()) } else { Err(self.was_moved().into()) }
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

    /// The process that starts, stops or cleans a slot's stack now.
    ///
    /// # Errors
    /// When it cannot be found out.
    pub fn holder_of_stack(&self, slot: SlotId) -> Result<Option<HeldBy>> {
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
