//! What stacks use, where users of one host share the slots: each has the notes of a start in a root of their
//! own, and a start is to be proven against the stacks of all.

use anyhow::Result;

use super::database::Database;
use super::transaction::Ledger;
use super::writer::Transaction;
use crate::host::postgres::{Connection, Row, quoted};
use crate::slot::SlotId;

/// What slots were last started with, as text.
pub type SharedUses = Vec<(SlotId, String)>;

impl Transaction {
    /// [`Ledger::uses`], under the lock.
    ///
    /// # Errors
    /// When the server cannot be asked.
    pub fn uses(&self) -> Result<Option<SharedUses>> {
        let Some(change) = &self.change else { return Ok(None) };
        Ok(Some(read(&self.ask(&change.database().uses())?)))
    }
}

fn read(rows: &[Row]) -> SharedUses {
    let read = |row: &_| Some((SlotId::new(Connection::number(row, 0))?, Connection::text(row, 1)));
    rows.iter().filter_map(read).collect()
}

impl Ledger {
    /// What the slots of this host were last started with. `None` where the root itself has it.
    ///
    /// # Errors
    /// When the server cannot be asked.
    pub fn uses(&self) -> Result<Option<SharedUses>> {
        let Self::Postgres { database, .. } = self else { return Ok(None) };
        Ok(Some(read(&database.ask(&database.uses())?)))
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
    /// The statement that reads what the slots of this host were last started with.
    fn uses(&self) -> String {
        format!(
            "select slot, u.content from kinfra.uses u join kinfra.pool using (pool) where name = {} and host = {} \
             order by slot",
            quoted(&self.pool),
            quoted(&self.place.host)
        )
    }
}
