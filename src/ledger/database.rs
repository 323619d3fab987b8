//! A registry in PostgreSQL. Pure code decides a change; here it is read under a lock.
//!
//! A change takes the turn of its pool, which is the lock of a row, before any other lock: so there is no
//! deadlock. It is two messages. The first begins, locks and reads. The second saves what changed, commits,
//! and waits for the disk. The turn is let go of at the commit, before the disk has the change. Nothing is
//! acknowledged until the disk has it, and changes of others that came after it reach the disk after it. So
//! no one waits for the disk of another.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use serde_json::{Map, Value};

use super::save::rest;
use super::schema;
use crate::fault::Fault;
use crate::host::clock::Stopwatch;
use crate::host::postgres::credentials::Login;
use crate::host::postgres::{Connection, Failure, Row, beginning, beginning_to_read, quoted};
use crate::host::signals::Interrupt;
use crate::json::{Corrupt, corrupt, object};
use crate::registry::{Entry, OwnPlace, Registry, RootRow, SlotRow};
use crate::slot::SlotId;
use crate::time::Time;

/// How often what the server did not do is tried again.
const TRIES: u32 = 5;
/// How long the server waits for the lock, before it is asked again: Ctrl-C is heard in between.
const HEARD: Duration = Duration::from_secs(2);

/// The registry of a pool on a server, as far as it is of this host.
pub struct Database {
    pub(super) login: Login,
    pub(super) command: String,
    pub(super) pool: String,
    pub(super) place: OwnPlace,
    idle: Mutex<Option<Connection>>,
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {}", self.pool, self.login.url)
    }
}

/// The registry as it was read.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// Its content.
    pub registry: Arc<Registry>,
    /// The server's time then.
    pub now: Time,
    /// Whether it was applied in this root.
    pub is_applied_here: bool,
    pub(super) own: Arc<RootRow>,
    pub(super) pool: u64,
    pub(super) generation: u64,
    /// The token of the save that made this generation. A server that crashed may have lost that save, and
    /// given its number to another.
    pub(super) token: String,
    /// The generation of each slot's row.
    pub(super) seen: BTreeMap<SlotId, u64>,
}

impl PartialEq for Loaded {
    fn eq(&self, other: &Self) -> bool {
        (self.pool, self.generation, &self.token) == (other.pool, other.generation, &other.token)
    }
}

/// How the turn of a pool is taken.
#[derive(Debug, Clone, Copy)]
pub struct Locking<'a> {
    /// Whether the pool is made if it is not there.
    pub may_make: bool,
    /// How long to wait for it.
    pub patience: Duration,
    /// The flag that says how long to wait, if the command has one.
    pub flag: Option<&'a str>,
    /// What ends the wait early.
    pub interrupt: Option<&'a Interrupt>,
}

/// What stands around the statements that read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Around<'a> {
    /// What begins the transaction.
    pub(super) begin: &'a str,
    /// Whether the turn to change the pool is taken.
    pub(super) locks: bool,
    /// What ends the transaction; empty if it goes on.
    pub(super) end: &'a str,
}

/// Why the registry was not read.
pub(super) enum Stop {
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
    /// The registry of a pool, as a root on a host has it.
    pub fn new(login: Login, command: &str, pool: &str, place: OwnPlace) -> Self {
        let (command, pool) = (command.to_owned(), pool.to_owned());
        Self { login, command, pool, place, idle: Mutex::new(None) }
    }

    /// Reads it. What did not change since `known` is not read again. `None` where the pool was never made.
    ///
    /// # Errors
    /// [`Fault`] when the server cannot be asked, or the registry cannot be trusted.
    pub fn read(&self, known: Option<&Loaded>) -> Result<Option<Loaded>> {
        let around = Around { begin: &beginning_to_read(), locks: false, end: "commit" };
        let (connection, loaded) = self.persist(|connection| self.load(connection, around, known))?;
        self.keep(connection);
        Ok(loaded)
    }

    /// Begins a transaction, takes the turn of the pool, and reads. `None` where the pool was never made.
    pub(super) fn lock(
        &self,
        known: Option<&Loaded>,
        locking: Locking<'_>,
    ) -> Result<Option<(Connection, Loaded)>> {
        let Locking { may_make, patience, flag, interrupt } = locking;
        let make = format!(
            "with made as (insert into kinfra.pool (name) values ({}) on conflict do nothing returning pool) insert into \
             kinfra.turn (pool) select pool from made",
            quoted(&self.pool)
        );
        let waiting = Stopwatch::start();
        let (connection, loaded) = self.persist(|connection| {
            loop {
                let left = patience.saturating_sub(waiting.elapsed());
                // To the server, no time at all is without an end.
                let most = left.min(HEARD).as_millis().max(1);
                let begin = format!(
                    "{}; set local lock_timeout = {most}; set local synchronous_commit = off",
                    beginning()
                );
                let locked = |begin| Around { begin, locks: true, end: "" };
                let mut loaded = self.load(connection, locked(&begin), known);
                // Only an admin may make a pool, so a pool that is there is not made again.
                if may_make && matches!(loaded, Ok(None)) {
                    loaded = self.load(connection, locked(&make), known);
                }
                match loaded {
                    Err(Stop::Failure(failure)) if failure.is_locked() => connection.run("rollback")?,
                    loaded => return loaded,
                };
                if interrupt.is_some_and(Interrupt::is_requested) {
                    let what = "stopped waiting for the registry's lock: nothing was done";
                    return Err(Fault::interrupted(what).into());
                }
                if left <= HEARD {
                    return Err(self.is_held(flag).into());
                }
            }
        })?;
        let Some(loaded) = loaded else {
            self.give_back(connection, "rollback");
            return Ok(None);
        };
        Ok(Some((connection, loaded)))
    }

    /// Runs statements that are a transaction by themselves, without the turn of the pool.
    pub(super) fn ask(&self, statements: &str) -> Result<Vec<Row>> {
        let text = format!("{}; {statements}; commit", beginning());
        let (connection, rows) = self.persist(|connection| Ok(connection.run(&text)?))?;
        self.keep(connection);
        Ok(rows)
    }

    /// Runs statements if a connection is there, whatever comes of it.
    pub(super) fn ask_in_passing(&self, statements: &str) {
        let idle = self.idle();
        if let Some(connection) = idle {
            self.give_back(connection, statements);
        }
    }

    /// Keeps a connection for the next time.
    pub(super) fn keep(&self, connection: Connection) {
        *self.idle.lock().unwrap_or_else(PoisonError::into_inner) = Some(connection);
    }

    /// Runs last statements on a connection, and keeps it if that went well.
    pub(super) fn give_back(&self, connection: Connection, statements: &str) {
        if connection.run(statements).is_ok() {
            self.keep(connection);
        }
    }

    fn idle(&self) -> Option<Connection> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Asks as long as the server takes everything back, or an old connection is gone. What was asked of that
    /// one may have been done: it is nothing that does harm twice.
    pub(super) fn persist<T>(&self, ask: impl Fn(&Connection) -> Result<T, Stop>) -> Result<(Connection, T)> {
        let mut tries = 0;
        loop {
            let idle = self.idle();
            let was_idle = idle.is_some();
            let connection = idle.map_or_else(|| Connection::open(&self.login, &self.command), Ok)?;
            let failure = match ask(&connection) {
                Ok(answer) => return Ok((connection, answer)),
                Err(Stop::Fault(fault)) => {
                    self.give_back(connection, "rollback");
                    return Err(fault.into());
                }
                Err(Stop::Failure(failure)) => failure,
            };
            tries += 1;
            let is_gone = failure.is_lost() && was_idle;
            if tries > TRIES || !(is_gone || failure.was_taken_back()) {
                return Err(failure.fault(&self.login).into());
            }
            if !failure.is_lost() {
                self.give_back(connection, "rollback");
            }
            rest(tries);
        }
    }

    /// Reads what changed since `known`, in one message.
    pub(super) fn load(
        &self,
        connection: &Connection,
        around: Around<'_>,
        known: Option<&Loaded>,
    ) -> Result<Option<Loaded>, Stop> {
        let Around { begin, locks, end } = around;
        let since = known.map_or(0, |known| known.generation);
        let OwnPlace { host, root } = &self.place;
        let [name, host, root] = [&self.pool, host, root.as_str()].map(quoted);
        let rows = connection.run(&format!(
            "{begin}; select micros, pool, version, generation, token, token_then, removed_at, root_at, content, root, \
             host_id, slots from kinfra.look({name}, {host}, {root}, {since}, {locks}); {end}"
        ))?;
        let row = rows.first();
        let text = |column| row.map_or_else(String::new, |row| Connection::text(row, column));
        let number = |column| row.map_or(0, |row| Connection::number::<u64>(row, column));
        let now = Time::from_unix_micros(number(0).cast_signed());
        // No pool is the 0th.
        let id = number(1);
        if id == 0 {
            return Ok(None);
        }
        schema::check(u32::try_from(number(2)).unwrap_or(u32::MAX))?;
        let (generation, token, token_then, removed_at, root_at) =
            (number(3), text(4), text(5), number(6), number(7));
        // A row that is gone is not among those that changed, and a root's row is of all slots.
        let is_usable = |known: &Loaded| {
            let is_left = removed_at <= known.generation && root_at <= known.generation;
            known.pool == id && known.token == token_then && is_left
        };
        if known.is_some_and(|known| !is_usable(known)) {
            let begin = if end.is_empty() { "" } else { begin };
            return self.load(connection, Around { begin, ..around }, None);
        }
        if let Some(known) = known.filter(|known| known.generation == generation) {
            return Ok(Some(Loaded { now, ..known.clone() }));
        }
        let corrupt = |corrupt: Corrupt| self.corrupt(&corrupt);
        let own = match known {
            Some(known) => Arc::clone(&known.own),
            None => Arc::new(own(&text(9)).map_err(corrupt)?),
        };
        let (mut slots, mut seen) =
            known.map_or_else(Default::default, |known| (known.registry.slots.clone(), known.seen.clone()));
        for row in slot_rows(&text(11)).map_err(corrupt)? {
            let (slot, generation, entry) = self.entry(row, &own).map_err(corrupt)?;
            seen.insert(slot, generation);
            slots.insert(slot, Arc::new(entry));
        }
        let top = object(&text(8)).map_err(corrupt)?;
        let registry = Registry::of_rows(top, slots, &own, Some(&text(10))).map_err(corrupt)?;
        let registry = Arc::new(registry);
        let is_applied_here = root_at > 0;
        Ok(Some(Loaded { registry, now, is_applied_here, own, pool: id, generation, token, seen }))
    }

    /// The id, the generation and the entry of a slot's row.
    fn entry(&self, row: SlotParts, own: &RootRow) -> Result<(SlotId, u64, Entry), Corrupt> {
        let (number, generation, content, claim, stack) = row;
        let slot = SlotId::new(number).ok_or_else(|| corrupt(format!("slots.{number}"), "is no slot"))?;
        let row = SlotRow { content, claim, stack };
        Ok((slot, generation, row.entry(slot, own, &self.place.root)?))
    }

    fn corrupt(&self, corrupt: &Corrupt) -> Fault {
        let (pool, url) = (&self.pool, &self.login.url);
        if corrupt.is_newer {
            let newer =
                Fault::unreadable(format!("the registry of `{pool}` in `{url}` cannot be read: {corrupt}"));
            return newer.unchanged().advise("upgrade kinfra");
        }
        let fault = Fault::unreadable(format!("the registry of `{pool}` in `{url}` is corrupt: {corrupt}"));
        fault.unchanged().advise(
            "its admin puts a backup of the database back while no one works, or mends the value by SQL: it is in \
             `content` of kinfra.pool, kinfra.slot, kinfra.claim, kinfra.stack or kinfra.root",
        )
    }

    /// That another client holds the lock of the pool.
    fn is_held(&self, flag: Option<&str>) -> Fault {
        let (pool, place) = (&self.pool, self.login.url.place());
        let fault =
            Fault::locked(format!("the registry of `{pool}` at `{place}` is locked by another client"));
        let or_longer = flag.map_or_else(String::new, |flag| format!(", or give {flag} more"));
        fault.advise(format!("wait for it{or_longer}"))
    }
}

/// A slot, as the server has it: its id, the generation of its row, its content, its claim and its stack.
type SlotParts = (u16, u64, Keys, Option<Keys>, Option<Keys>);
/// The keys of a part.
type Keys = Map<String, Value>;

fn slot_rows(text: &str) -> Result<Vec<SlotParts>, Corrupt> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    serde_json::from_str(text).map_err(|error| corrupt("slots", error.to_string()))
}

/// What `apply` wrote in a root.
fn own(text: &str) -> Result<RootRow, Corrupt> {
    if text.is_empty() { Ok(RootRow::default()) } else { object(text).and_then(RootRow::of) }
}
