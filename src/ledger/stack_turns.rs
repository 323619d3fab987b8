//! The lock of a slot's stack, wherever the registry is kept: a root's own, and on a server that of all
//! users of the host, too.

use anyhow::Result;

use super::database::Database;
use super::transaction::Ledger;
use crate::fault::Fault;
use crate::host::clock::Stopwatch;
use crate::host::lock::{Hold, LockPolicy};
use crate::host::postgres::Connection;
use crate::host::root::{Root, StackLock};
use crate::host::server_lock::ServerLock;
use crate::slot::SlotId;

impl Ledger {
    /// Takes the lock of a slot's stack.
    ///
    /// # Errors
    /// [`Fault`] when another process holds it, or the server cannot be asked.
    pub fn lock_stack(
        &self,
        root: &Root,
        slot: SlotId,
        hold: Hold,
        policy: &LockPolicy<'_>,
    ) -> Result<StackLock> {
        let waiting = Stopwatch::start();
        let lock = root.lock_stack(slot, hold, policy)?;
        let Self::Postgres { database, .. } = self else { return Ok(lock) };
        let left = policy.patience.saturating_sub(waiting.elapsed());
        Ok(lock.also(database.lock_stack(slot, hold, &LockPolicy { patience: left, ..*policy })?))
    }
}

impl Database {
    /// The lock of a slot's stack among the users of this host. It has a connection of its own.
    fn lock_stack(&self, slot: SlotId, hold: Hold, policy: &LockPolicy<'_>) -> Result<ServerLock> {
        let connection = Connection::open(&self.login, &self.command)?;
        let name = format!("kinfra stack {slot} of {} on {}", self.pool, self.place.host);
        let taken = ServerLock::take(connection, name, hold, policy)?;
        Ok(taken.ok_or_else(|| {
            let what = format!("the stack of slot {slot} is in the hands of another user of this host");
            Fault::locked(what).advise("run it again when that is done")
        })?)
    }
}
