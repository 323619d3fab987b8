//! One save of a registry in PostgreSQL, and what it came to if the connection was lost on the way.

use std::time::Duration;

use anyhow::{Context as _, Error, Result};
use serde_json::Value;

use crate::fault::{Fault, NotKnown};
use crate::host::clock::{Stopwatch, pause};
use crate::host::identity::random_bits;
use crate::host::postgres::credentials::Login;
use crate::host::postgres::{Connection, Failure, beginning, quoted};

/// How often a server that went away is looked for, to learn whether it has saved.
const LOOKS: u32 = 8;

/// How long it is looked for in all.
const PATIENCE: Duration = Duration::from_secs(40);

/// A save. The server notes its token with it, so that it is known again.
pub(super) struct Save {
    pool: u64,
    /// The generation that the change was decided with, and the token of the save that made it.
    seen: (u64, String),
    token: String,
    statement: String,
}

/// What a look says of a save.
enum Looked {
    /// It was made.
    Made,
    /// It was not, and the registry is as it was. The look holds the lock.
    NotMade,
    /// It was not, and another client has saved.
    Overtaken,
}

impl Save {
    /// `seen` is the generation that the change was decided with, and its token.
    pub(super) fn new(pool: u64, seen: (u64, String), changes: &Value) -> Result<Self> {
        let bits = random_bits().context("could not make the token of a save")?;
        let token = format!("{:032x}", u128::from_be_bytes(bits));
        let changes = quoted(&changes.to_string());
        let statement = format!("select kinfra.save({pool}, {}, '{token}', {changes}::jsonb)", seen.0);
        Ok(Self { pool, seen, token, statement })
    }

    /// What it is known by.
    pub(super) fn token(&self) -> &str {
        &self.token
    }

    /// Makes it in the transaction of a connection, which holds the lock, and commits. Returns when the disk
    /// has it.
    ///
    /// # Errors
    /// [`Fault`] when it was not made, or when that is not known.
    pub(super) fn carry_out(&self, connection: Connection, login: &Login, verb: &str) -> Result<Connection> {
        let mut failure = match self.send(&connection) {
            Ok(()) => return Ok(connection),
            Err(failure) if self.take_back(&connection, &failure) => {
                return Err(failure.fault(login).into());
            }
            Err(failure) => failure,
        };
        drop(connection);
        let waiting = Stopwatch::start();
        for tries in 1..=LOOKS {
            if waiting.elapsed() > PATIENCE {
                break;
            }
            rest(tries);
            let Ok(connection) = Connection::open_again(login, verb) else { continue };
            let looked = match self.look(&connection) {
                Ok(looked) => looked,
                Err(again) => {
                    failure = again;
                    continue;
                }
            };
            let done = match looked {
                // It may be committed and not yet on the disk.
                Looked::Made => self.end(&connection, "rollback"),
                Looked::NotMade => match self.send(&connection) {
                    Err(failure) if self.take_back(&connection, &failure) => {
                        return Err(failure.fault(login).into());
                    }
                    sent => sent,
                },
                Looked::Overtaken => {
                    let what = "the connection to the registry's server was lost before it saved the change";
                    return Err(Fault::server(what).advise("run again").away().into());
                }
            };
            match done {
                Ok(()) => return Ok(connection),
                Err(again) => failure = again,
            }
        }
        let place = login.url.place();
        let why = if failure.is_lost() {
            format!(
                "the connection to the registry's server at `{place}` was lost, and it cannot be asked again"
            )
        } else {
            format!("the registry's server at `{place}` does not say that its disk has it")
        };
        let what = format!("it is not known whether the change was saved: {why}");
        let advice = "look with `kinfra slots` once it answers, before you do anything about it";
        Err(Error::new(NotKnown(failure.said())).context(Fault::server(what).advise(advice).away()))
    }

    /// Saves and commits.
    fn send(&self, connection: &Connection) -> Result<(), Failure> {
        self.end(connection, &format!("{}; commit", self.statement))
    }

    /// Ends the transaction by these statements, and waits for the disk: meanwhile others have the lock. A
    /// server that crashed in between has lost the save. A pooler could keep that from its clients, so the
    /// server says whether it has it.
    fn end(&self, connection: &Connection, ending: &str) -> Result<(), Failure> {
        let Self { pool, seen: (seen, _), token, .. } = self;
        let rows =
            connection.run(&format!("{ending}; select kinfra.is_kept({pool}, {seen} + 1, '{token}')"))?;
        connection.lost_unless(rows.last().is_some_and(|row| Connection::text(row, 0) == "t"))
    }

    /// Rolls back after a failure. Returns whether it is certain that nothing was saved: what failed may be
    /// the wait for the disk, after the commit.
    fn take_back(&self, connection: &Connection, failure: &Failure) -> bool {
        let count = || connection.run(&format!("rollback; {}", self.made()));
        let is_none = |rows: Vec<_>| rows.first().is_some_and(|row| Connection::number::<u64>(row, 0) == 0);
        !failure.is_lost() && count().is_ok_and(is_none)
    }

    /// The statement that counts it.
    fn made(&self) -> String {
        let Self { pool, seen: (seen, _), token, .. } = self;
        format!(
            "select count(*) from kinfra.saved where pool = {pool} and generation = {seen} + 1 and token = '{token}'"
        )
    }

    /// Looks under the lock, which the lost connection may still hold: then it is waited for.
    fn look(&self, connection: &Connection) -> Result<Looked, Failure> {
        let Self { pool, seen: (seen, seen_token), .. } = self;
        let rows = connection.run(&format!(
            "{}; set local synchronous_commit = off; select pool from kinfra.turn where pool = {pool} for update; select \
             generation, token from kinfra.pool where pool = {pool}; {}",
            beginning(),
            self.made()
        ))?;
        let number = |place: usize| rows.get(place).map(|row| Connection::number::<u64>(row, 0));
        let is_seen = rows.get(1).is_some_and(|row| Connection::text(row, 1) == *seen_token);
        Ok(match (number(1), number(2)) {
            (Some(_), Some(1)) => Looked::Made,
            (Some(generation), _) if generation == *seen && is_seen => Looked::NotMade,
            _ => Looked::Overtaken,
        })
    }
}

/// Rests before another try: longer each time, and not as long as others do.
pub(super) fn rest(tries: u32) {
    let most = (10_u64 << tries.min(7)).min(1000);
    let part = random_bits().map_or(7, |bits| u64::from(bits[0]));
    pause(Duration::from_millis(most / 2 + most * part / 512));
}
