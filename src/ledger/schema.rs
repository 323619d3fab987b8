//! The schema of registries in PostgreSQL: which version a database has, and the way to the one of this
//! kinfra.
//!
//! Each migration is one transaction, which also notes it. So one that is killed half-way leaves nothing, and
//! the next run makes it. A lock of the transaction lets one client migrate at a time.

use anyhow::Result;

use crate::fault::Fault;
use crate::host::postgres::{Connection, quoted};
use crate::names::VERSION;

/// The migrations, in order: the first one makes version 1.
const MIGRATIONS: [&str; 1] = [include_str!("migrations/1.sql")];

/// The lock that a client holds while it migrates: a number of kinfra's own.
const LOCK: i64 = 0x6b69_6e66_7261;

/// What a database has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schema {
    /// Its version; 0 if it has none.
    pub version: u32,
    /// The pools in it, with their slots and how many of them are held.
    pub pools: Vec<PoolOfSchema>,
}

/// A pool in a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolOfSchema {
    /// Its name.
    pub name: String,
    /// How many slots it has, on all hosts.
    pub slots: usize,
    /// How many of them are held.
    pub held: usize,
}

/// The version that this kinfra makes and uses.
pub fn own_version() -> u32 {
    u32::try_from(MIGRATIONS.len()).unwrap_or(u32::MAX)
}

impl Schema {
    /// Looks at a database, and changes nothing.
    ///
    /// # Errors
    /// [`Fault`] when the server cannot be asked, or when a newer kinfra made the schema.
    pub fn of(connection: &Connection) -> Result<Self> {
        let version = version(connection)?;
        if version == 0 {
            return Ok(Self { version, pools: Vec::new() });
        }
        check(version)?;
        let rows = connection.ask(
            "select p.name, count(s.slot), count(c.slot) from kinfra.pool p left join kinfra.slot s using (pool) \
             left join kinfra.claim c using (pool, host, slot) group by p.name order by p.name",
        )?;
        let pool = |row: &_| PoolOfSchema {
            name: Connection::text(row, 0),
            slots: Connection::number(row, 1),
            held: Connection::number(row, 2),
        };
        Ok(Self { version, pools: rows.iter().map(pool).collect() })
    }
}

/// Brings a database to the version of this kinfra. Returns the versions that were made.
///
/// # Errors
/// As [`Schema::of`], or when this user may not.
pub fn migrate(connection: &Connection) -> Result<Vec<u32>> {
    let now = version(connection)?;
    check(now)?;
    // Who may not change the schema may still ask for what is there.
    if now == own_version() {
        return Ok(Vec::new());
    }
    let mut made = Vec::new();
    // Others may migrate at the same time: what is to be done is looked at under the lock.
    while let Some(next) = step(connection)? {
        made.push(next);
    }
    Ok(made)
}

/// Makes the next version, if one is missing.
fn step(connection: &Connection) -> Result<Option<u32>> {
    connection.ask(&format!(
        "begin transaction isolation level read committed; select pg_advisory_xact_lock({LOCK}); create schema if not exists kinfra; \
         create table if not exists kinfra.migration (version integer primary key, made_by name not null default \
         current_user, made_at timestamptz not null default clock_timestamp(), kinfra text not null)"
    ))?;
    let done = made(connection).inspect_err(|_| roll_back(connection))?;
    let next = done + 1;
    let Some(migration) = MIGRATIONS.get(usize::try_from(done).unwrap_or(usize::MAX)) else {
        roll_back(connection);
        check(done)?;
        return Ok(None);
    };
    let noted =
        format!("insert into kinfra.migration (version, kinfra) values ({next}, {})", quoted(VERSION));
    connection.ask(&format!("{migration}\n;{noted};commit")).inspect_err(|_| roll_back(connection))?;
    Ok(Some(next))
}

/// Ends a transaction that failed. A connection that is gone ended it, too.
fn roll_back(connection: &Connection) {
    let _ = connection.run("rollback");
}

/// The version of a database; 0 if it has none.
fn version(connection: &Connection) -> Result<u32, Fault> {
    let rows = connection.ask("select to_regclass('kinfra.migration') is not null")?;
    if rows.first().is_some_and(|row| Connection::text(row, 0) == "t") { made(connection) } else { Ok(0) }
}

fn made(connection: &Connection) -> Result<u32, Fault> {
    let rows = connection.ask("select coalesce(max(version), 0) from kinfra.migration")?;
    Ok(rows.first().map_or(0, |row| Connection::number(row, 0)))
}

/// Refuses a schema of a newer kinfra.
///
/// # Errors
/// [`Fault`] says both versions.
pub(super) fn check(version: u32) -> Result<(), Fault> {
    let own = own_version();
    if version <= own {
        return Ok(());
    }
    let what = format!("the registry's schema has version {version}, and this kinfra knows {own}");
    Err(Fault::unreadable(what).unchanged().advise("upgrade kinfra"))
}
