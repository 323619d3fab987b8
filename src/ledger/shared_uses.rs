//! What stacks use, where users of one host share the slots: each has the notes of a start in a root of their
//! own, and a start is to be proven against the stacks of all.

use anyhow::Result;

use super::database::Database;
use super::transaction::Ledger;
use crate::host::postgres::{Connection, quoted};
use crate::slot::SlotId;

impl Ledger {
    /// What the slots of this host were last started with, as text. `None` where the root itself has it.
    ///
    /// # Errors
    /// When the server cannot be asked.
    pub fn uses(&self) -> Result<Option<Vec<(SlotId, String)>>> {
        let Self::Postgres { database, .. } = self else { return Ok(None) };
        let rows = database.ask(&format!(
            "select slot, u.content from kinfra.uses u join kinfra.pool using (pool) where {} order by slot",
            database.of_host()
        ))?;
        let read = |row: &_| Some((SlotId::new(Connection::number(row, 0))?, Connection::text(row, 1)));
        Ok(Some(rows.iter().filter_map(read).collect()))
    }

    /// Notes for all users of the host that the stack of a slot is to be up no more.
    ///
    /// # Errors
    /// When the server cannot be asked.
    pub fn end_uses(&self, slot: SlotId) -> Result<()> {
        let Self::Postgres { database, .. } = self else { return Ok(()) };
        let (pool, host) = (quoted(&database.pool), quoted(&database.place.host));
        database.ask(&format!("select kinfra.end_uses({pool}, {host}, {slot})")).map(drop)
    }
}

impl Database {
    /// The condition that a row is of this pool and host.
    fn of_host(&self) -> String {
        format!("name = {} and host = {}", quoted(&self.pool), quoted(&self.place.host))
    }
}
