//! The slots of the pool on other hosts: what a server knows of them, for people to look at.

use std::collections::BTreeMap;

use anyhow::Result;

use super::database::Database;
use super::transaction::Ledger;
use crate::fault::{Exit, exit_of};
use crate::host::postgres::{Connection, quoted};
use crate::slot::SlotId;

/// The slots of each other host, each with its holder if it has one.
pub type OtherHosts = BTreeMap<String, BTreeMap<SlotId, Option<String>>>;

impl Ledger {
    /// The slots of other hosts. None of them can be claimed or changed here.
    ///
    /// # Errors
    /// When the server does not say it. One that does not answer a verb which only reads has none.
    pub fn other_hosts(&self) -> Result<OtherHosts> {
        let Self::Postgres { database, may_be_old, .. } = self else { return Ok(OtherHosts::new()) };
        match database.other_hosts() {
            Err(error) if *may_be_old && exit_of(&error) == Exit::Docker => Ok(OtherHosts::new()),
            others => others,
        }
    }
}

impl Database {
    fn other_hosts(&self) -> Result<OtherHosts> {
        let rows = self.ask(&format!(
            "select s.host, s.slot, c.holder from kinfra.slot s join kinfra.pool p using (pool) left join kinfra.claim c \
             using (pool, host, slot) where p.name = {} and s.host <> {} order by s.host, s.slot",
            quoted(&self.pool),
            quoted(&self.place.host)
        ))?;
        let mut hosts = OtherHosts::new();
        for row in rows {
            let Some(slot) = SlotId::new(Connection::number(&row, 1)) else { continue };
            let holder = Some(Connection::text(&row, 2)).filter(|holder| !holder.is_empty());
            hosts.entry(Connection::text(&row, 0)).or_default().insert(slot, holder);
        }
        Ok(hosts)
    }
}
