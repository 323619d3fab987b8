//! What happened to a pool, as the journal in its root or the server tells it.

use anyhow::{Error, Result};

use super::database::{Around, Database};
use super::snapshot::Snapshot;
use super::stored::{Stored, read};
use super::transaction::Ledger;
use super::writer::Transaction;
use crate::fault::Fault;
use crate::history::{Change, History, Recorded, Replaces, What};
use crate::host::lock::LockPolicy;
use crate::host::postgres::{Connection, Row, beginning_to_read, quoted};
use crate::host::root::{self, Root};
use crate::registry::ClaimId;
use crate::slot::SlotId;

/// How often the journals are read again, because the registry was saved meanwhile.
const LOOKS: usize = 5;

impl Ledger {
    /// Puts something into the history that no registry shows. No verb fails for it. Where it cannot be done,
    /// the user is told at the end.
    pub fn record(&self, seen: &Snapshot, policy: &LockPolicy<'_>, slot: SlotId, what: What) {
        let recorded = self.transact(seen, policy, |transaction| transaction.record(slot, what));
        // Without its advice: to run again does not record it.
        recorded.unwrap_or_else(|why| root::tell_not_recorded(Error::msg(format!("{why:#}"))));
    }

    /// Whether the claim with this id ended, as far as a server knows. A user of the host may have ended it
    /// who cannot remove what is left of it in another's root.
    ///
    /// # Errors
    /// When the server cannot be asked.
    pub fn has_ended(&self, claim: ClaimId) -> Result<bool> {
        let Self::Postgres { database, .. } = self else { return Ok(false) };
        Ok(is_true(&database.ask(&database.ending(claim))?))
    }

    /// What happened to the pool, as far as that is recorded. Takes no lock.
    ///
    /// # Errors
    /// [`Fault`] when there is no pool, or its registry or journal cannot be read.
    pub fn history(&self) -> Result<History> {
        let root = match self {
            Self::File { root } => root,
            Self::Postgres { database, .. } => return database.history(|| self.missing()),
        };
        let root = Root::open(root)?.ok_or_else(|| self.missing())?;
        let mut look = look(&root)?;
        for _ in 1..LOOKS {
            if look.is_of_one_moment {
                break;
            }
            look = self::look(&root)?;
        }
        let registry = Some(&*look.stored.registry).filter(|_| look.is_of_one_moment);
        let recorded = Recorded { texts: &look.texts, registry, present: look.present.as_ref() };
        Ok(History { not_read: look.not_read, ..recorded.history() })
    }
}

impl Transaction {
    /// [`Ledger::has_ended`], under the lock.
    ///
    /// # Errors
    /// When the server cannot be asked.
    pub fn has_ended(&self, claim: ClaimId) -> Result<bool> {
        let Some(change) = &self.change else { return Ok(false) };
        Ok(is_true(&self.ask(&change.database().ending(claim))?))
    }
}

fn is_true(rows: &[Row]) -> bool {
    rows.first().is_some_and(|row| Connection::text(row, 0) == "t")
}

/// How many changes are read from a server, the last ones.
const MOST: usize = 10_000;

impl Database {
    /// What happened to the slots of this host, and the registry of the same moment.
    fn history(&self, missing: impl Fn() -> Fault) -> Result<History> {
        let host = quoted(&self.place.host);
        let (connection, (loaded, rows)) = self.persist(|connection| {
            let around = Around { begin: &beginning_to_read(), locks: false, end: "" };
            let loaded = self.load(connection, around, None)?;
            let pool = loaded.as_ref().map_or(0, |loaded| loaded.pool);
            // The time is that of the server.
            let rows = connection.run(&format!(
                "select jsonb_set(content, '{{at}}', to_jsonb(to_char(made_at at time zone 'UTC', \
                 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"+00:00\"'))) from (select event, content, made_at from kinfra.history where \
                 pool = {pool} and (host = {host} or host is null) order by event desc limit {MOST}) last order by event"
            ))?;
            Ok((loaded, rows))
        })?;
        connection.ask("commit")?;
        self.keep(connection);
        let loaded = loaded.filter(|loaded| loaded.is_applied_here).ok_or_else(missing)?;
        let texts: Vec<String> = rows.iter().map(|row| Connection::text(row, 0)).collect();
        // No save of a server is cut short, so no change replaces the registry that is there.
        let registry = Some(&*loaded.registry);
        Ok(Recorded { texts: &texts, registry, present: None }.history())
    }

    /// The claims that ended, or went on elsewhere.
    pub(super) fn ended(&self) -> Result<Vec<ClaimId>> {
        let name = quoted(&self.pool);
        let rows = self.ask(&format!(
            "select claim_id from kinfra.ended join kinfra.pool using (pool) where name = {name} and claim_id is not null"
        ))?;
        Ok(rows.iter().filter_map(|row| ClaimId::parse(&Connection::text(row, 0)).ok()).collect())
    }

    /// The statement that says whether a claim ended.
    fn ending(&self, claim: ClaimId) -> String {
        format!(
            "select exists (select from kinfra.ended join kinfra.pool using (pool) where name = {} and claim_id = {} \
             and not has_moved)",
            quoted(&self.pool),
            quoted(&claim.to_string())
        )
    }

    /// The statement that puts something into the history which is no change of the registry.
    pub(super) fn recording(&self, pool: u64, happened: &Change) -> Result<String> {
        let (host, content) = (quoted(&self.place.host), quoted(&serde_json::to_string(happened)?));
        Ok(format!("select kinfra.tell({pool}, {host}, {content}::jsonb)"))
    }
}

/// The journals, and the registry with them.
struct Look {
    texts: Vec<String>,
    not_read: Vec<String>,
    stored: Stored,
    present: Option<Replaces>,
    /// Whether nothing was saved meanwhile.
    is_of_one_moment: bool,
}

fn look(root: &Root) -> Result<Look> {
    let stored = read(root, None)?;
    let journals = root.journals()?;
    let text = stored.text.as_ref().map(|text| text.text.as_str());
    // Asked after the journals are read: a save that is done by now is seen by its registry.
    let present = root.has_staged()?.then(|| Replaces::text(text));
    let is_of_one_moment = root.registry()?.as_deref() == text;
    Ok(Look { texts: journals.texts, not_read: journals.not_read, stored, present, is_of_one_moment })
}
