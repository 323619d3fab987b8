//! A registry in PostgreSQL. Pure code decides a change; here it is read under a lock, and saved.
//!
//! A change locks the row of its pool, and no other first: so there is one order of locks, and no deadlock.
//! It is two messages. The first begins, locks and reads. The second saves what changed and commits. The lock
//! is let go of before the disk has the change, and nothing is acknowledged until the disk has it: changes of
//! others that came after it reach the disk after it. So those who wait for the row do not wait for the disk.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::save::{Save, rest};
use super::schema;
use crate::fault::Fault;
use crate::host::postgres::credentials::Login;
use crate::host::postgres::{Connection, Failure, Row, beginning, quoted};
use crate::json::{Corrupt, corrupt, object};
use crate::registry::{Entry, Registry, SlotRow};
use crate::slot::SlotId;
use crate::time::Time;

/// How often what the server did not do is tried again.
const TRIES: u32 = 5;
/// How many columns the row of a pool has: a row of fewer is the clock's.
const COLUMNS_OF_POOL: usize = 5;

/// The registry of a pool on a server, as far as it is of this host.
pub struct Database {
    login: Login,
    verb: String,
    pool: String,
    host: String,
    idle: RefCell<Option<Connection>>,
}

/// The registry as it was read.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// Its content.
    pub registry: Arc<Registry>,
    pool: u64,
    generation: u64,
    /// The generation of each slot's row.
    seen: BTreeMap<SlotId, u64>,
}

/// A change in progress: the row of the pool is locked.
pub struct Change<'a> {
    database: &'a Database,
    connection: Connection,
    loaded: Loaded,
    /// The registry, to be changed.
    pub registry: Arc<Registry>,
    /// The server's time.
    pub now: Time,
}

/// Why a change cannot be made with what was read.
enum Stop {
    /// The server or the network.
    Failure(Failure),
    /// Something that another attempt does not change.
    Fault(Fault),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl Database {
    /// The registry of a pool, and the slots of a host in it.
    pub fn new(login: Login, verb: &str, pool: &str, host: &str) -> Self {
        let (verb, pool, host) = (verb.to_owned(), pool.to_owned(), host.to_owned());
        Self { login, verb, pool, host, idle: RefCell::new(None) }
    }

    /// Reads it. What did not change since `known` is not read again. `None` where the pool was never
    /// applied.
    ///
    /// # Errors
    /// [`Fault`] when the server cannot be asked, or the registry cannot be trusted.
    pub fn read(&self, known: Option<&Loaded>) -> Result<Option<Loaded>> {
        let (connection, loaded, _) = self.persist(|connection| {
            // One transaction, so that the rows are of one moment.
            let begin = "begin transaction isolation level repeatable read read only";
            self.load(connection, &format!("{begin}; {}", beginning()), known, "")
        })?;
        connection.ask("commit")?;
        self.idle.replace(Some(connection));
        Ok(loaded)
    }

    /// Changes it: locks, reads, lets `work` decide, and saves what changed. `None` where the pool was never
    /// applied, unless `may_make` says that this makes it.
    ///
    /// # Errors
    /// [`Fault`] when the server cannot be asked, or when it is not known whether it saved. Also the errors
    /// of `work`; then nothing is saved.
    pub fn transact<T>(
        &self,
        known: Option<&Loaded>,
        may_make: bool,
        work: impl FnOnce(&mut Change<'_>) -> Result<T>,
    ) -> Result<Option<(T, Loaded)>> {
        let make =
            format!("insert into kinfra.pool (name) values ({}) on conflict do nothing;", quoted(&self.pool));
        let begin = format!(
            "begin; {}; set local synchronous_commit = off; {}",
            beginning(),
            if may_make { make.as_str() } else { "" }
        );
        let (connection, loaded, now) =
            self.persist(|connection| self.load(connection, &begin, known, "for update"))?;
        let Some(loaded) = loaded else {
            connection.ask("rollback")?;
            self.idle.replace(Some(connection));
            return Ok(None);
        };
        let registry = Arc::clone(&loaded.registry);
        let mut change = Change { database: self, connection, loaded, registry, now };
        let done = work(&mut change)?;
        let loaded = change.save()?;
        Ok(Some((done, loaded)))
    }

    /// Asks as long as the server takes everything back, or an old connection is gone: nothing was done then.
    fn persist(
        &self,
        ask: impl Fn(&Connection) -> Result<(Option<Loaded>, Time), Stop>,
    ) -> Result<(Connection, Option<Loaded>, Time)> {
        let mut tries = 0;
        loop {
            let idle = self.idle.take();
            let was_idle = idle.is_some();
            let connection = idle.map_or_else(|| Connection::open(&self.login, &self.verb), Ok)?;
            let failure = match ask(&connection) {
                Ok((loaded, now)) => return Ok((connection, loaded, now)),
                Err(Stop::Fault(fault)) => {
                    let _ = connection.run("rollback");
                    return Err(fault.into());
                }
                Err(Stop::Failure(failure)) => failure,
            };
            tries += 1;
            let is_gone = failure.is_lost() && was_idle;
            if tries > TRIES || !(is_gone || failure.was_taken_back()) {
                return Err(failure.fault(&self.login).into());
            }
            if !failure.is_lost() && connection.run("rollback").is_ok() {
                self.idle.replace(Some(connection));
            }
            rest(tries);
        }
    }

    /// Begins, locks the pool's row if `lock` says so, and reads what changed since `known`.
    fn load(
        &self,
        connection: &Connection,
        begin: &str,
        known: Option<&Loaded>,
        lock: &str,
    ) -> Result<(Option<Loaded>, Time), Stop> {
        let since = known.map_or(0, |known| known.generation);
        let rows = connection.run(&format!(
            "{begin}; select pool, generation, removed_at, content, (select max(version) from kinfra.migration) \
             from kinfra.pool where name = {} {lock}; select (extract(epoch from clock_timestamp()) * 1000000)::bigint; {}",
            quoted(&self.pool),
            self.slots_since(since)
        ))?;
        let mut rows = rows.into_iter().peekable();
        let pool = rows.next_if(|row| Connection::columns(row) == COLUMNS_OF_POOL);
        let clock = rows.next().map_or(0, |row| Connection::number(&row, 0));
        let now = Time::from_unix_micros(clock);
        let Some(pool) = pool else { return Ok((None, now)) };
        schema::check(Connection::number(&pool, 4))?;
        let removed_at: u64 = Connection::number(&pool, 2);
        let id: u64 = Connection::number(&pool, 0);
        let known = known.filter(|known| known.pool == id);
        // A row that is gone is not among those that changed.
        let known = known.filter(|known| removed_at <= known.generation);
        let (mut slots, mut seen) =
            known.map_or_else(Default::default, |known| (known.registry.slots.clone(), known.seen.clone()));
        let rows =
            if known.is_none() && since > 0 { connection.run(&self.slots_since(0))? } else { rows.collect() };
        for row in rows {
            let (slot, generation, entry) = read_row(&row).map_err(|corrupt| self.corrupt(&corrupt))?;
            seen.insert(slot, generation);
            slots.insert(slot, Arc::new(entry));
        }
        let generation = Connection::number(&pool, 1);
        let same = known.filter(|known| known.generation == generation);
        let registry = if let Some(known) = same {
            Arc::clone(&known.registry)
        } else {
            let top = object(&Connection::text(&pool, 3)).map_err(|corrupt| self.corrupt(&corrupt))?;
            Arc::new(Registry::of_rows(top, slots).map_err(|corrupt| self.corrupt(&corrupt))?)
        };
        Ok((Some(Loaded { registry, pool: id, generation, seen }), now))
    }

    /// The statement that reads the slots of this host whose rows changed since a generation.
    fn slots_since(&self, generation: u64) -> String {
        format!(
            "select s.slot, s.generation, s.content, c.content, k.content from kinfra.slot s left join kinfra.claim c \
             using (pool, host, slot) left join kinfra.stack k using (pool, host, slot) where s.pool = (select pool \
             from kinfra.pool where name = {}) and s.host = {} and s.generation > {generation} order by s.slot, s.host, s.pool",
            quoted(&self.pool),
            quoted(&self.host)
        )
    }

    fn corrupt(&self, corrupt: &Corrupt) -> Fault {
        let url = &self.login.url;
        Fault::unreadable(format!("the registry of `{}` in `{url}` is corrupt: {corrupt}", self.pool))
            .unchanged()
    }
}

/// The id, the generation and the entry of a slot's row.
fn read_row(row: &Row) -> Result<(SlotId, u64, Entry), Corrupt> {
    let number: u16 = Connection::number(row, 0);
    let slot = SlotId::new(number).ok_or_else(|| corrupt(format!("slots.{number}"), "is no slot"))?;
    let part = |column| Some(Connection::text(row, column)).filter(|text| !text.is_empty());
    let content = object(&Connection::text(row, 2))?;
    let claim = part(3).map(|text| object(&text)).transpose()?;
    let stack = part(4).map(|text| object(&text)).transpose()?;
    Ok((slot, Connection::number(row, 1), SlotRow { content, claim, stack }.entry(slot)?))
}

impl Change<'_> {
    /// Saves what changed, commits, and waits until the disk has it.
    fn save(self) -> Result<Loaded> {
        let Self { database, connection, loaded, registry, now: _ } = self;
        let changes = loaded.registry.changes_to(&registry, &database.host, &loaded.seen);
        let changes = changes.context("the new registry would not be readable, so it was not saved")?;
        let Some(changes) = changes else {
            connection.ask("rollback")?;
            database.idle.replace(Some(connection));
            return Ok(loaded);
        };
        let Loaded { pool, generation: seen, seen: mut rows, registry: _ } = loaded;
        let save = Save::new(pool, seen, &changes)?;
        database.idle.replace(Some(save.carry_out(connection, &database.login, &database.verb)?));
        let changed = changes.get("slots").and_then(Value::as_array).into_iter().flatten();
        let changed = changed.filter_map(|change| change.get("slot")?.as_u64()?.try_into().ok());
        rows.extend(changed.filter_map(SlotId::new).map(|slot| (slot, seen + 1)));
        rows.retain(|slot, _| registry.slots.contains_key(slot));
        Ok(Loaded { registry, pool, generation: seen + 1, seen: rows })
    }
}
