//! The queue of waiters for a slot: in the root, or on the server that has the registry.
//!
//! On a server, a ticket is a row that expires when its waiter stops asking. Nothing can wake a waiter there,
//! so it asks how near its turn is: seldom while it is far back.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use anyhow::{Result, anyhow};

use super::database::Database;
use super::snapshot::Snapshot;
use super::writer::Transaction;
use crate::host::clock::{Stopwatch, pause};
use crate::host::postgres::{Connection, Row, quoted};
use crate::host::queue::{self, Waiter};

/// How many seconds a ticket on a server counts after its waiter asked last.
const COUNTS: u32 = 15;
/// How often a waiter puts that off.
const ASKS: Duration = Duration::from_secs(3);
/// How many seconds a waiter that was called has to answer.
const ANSWER: u32 = 10;
/// How many waiters at the head of the queue look at the pool often.
const AWAKE: usize = 4;
/// The shortest time between two looks at one's place.
const SHORTEST: Duration = Duration::from_millis(100);
/// The longest one.
const LONGEST: Duration = Duration::from_secs(2);

/// A place in the queue, until it is dropped.
#[derive(Debug)]
pub enum Ticket {
    /// In the root.
    File(queue::Ticket),
    /// On a server.
    Server(ServerTicket),
}

/// A place in a queue on a server.
#[derive(Debug)]
pub struct ServerTicket {
    seat: Seat,
    /// Since its waiter asked.
    asked: Cell<Stopwatch>,
    /// Since it looked at its place, and when it looks again. `None` once its turn is near.
    looks: Option<(Stopwatch, Duration)>,
}

/// Which place it is, and whose.
#[derive(Debug)]
struct Seat {
    database: Arc<Database>,
    number: u64,
    wanted: String,
    owner: String,
}

impl Ticket {
    /// How many waiters are ahead.
    pub fn place(&self) -> Result<usize> {
        match self {
            Self::File(ticket) => ticket.place(),
            Self::Server(ticket) => ticket.place(),
        }
    }

    /// Sleeps until the turn is near, for `most` at most. Returns whether it was near already.
    pub fn is_near_within(&mut self, most: Duration) -> Result<bool> {
        match self {
            Self::File(ticket) => ticket.is_near_within(most),
            Self::Server(ticket) => ticket.is_near_within(most),
        }
    }

    /// Answers, if the waiter was called.
    pub fn answer(&self) -> Result<()> {
        match self {
            Self::File(ticket) => ticket.answer(),
            Self::Server(ticket) => ticket.answer(|statements| ticket.seat.database.ask(statements)),
        }
    }

    /// Does something that may take long, such as cleaning a slot, and keeps the place meanwhile.
    pub fn during<T>(&self, work: impl FnOnce() -> T) -> T {
        match self {
            // It is kept by a lock.
            Self::File(_) => work(),
            Self::Server(ticket) => ticket.seat.during(work),
        }
    }

    fn of_file(&self) -> Option<&queue::Ticket> {
        if let Self::File(ticket) = self { Some(ticket) } else { None }
    }

    fn number_on_server(&self) -> Option<u64> {
        if let Self::Server(ticket) = self { Some(ticket.seat.number) } else { None }
    }
}

impl Drop for ServerTicket {
    /// One that cannot be removed expires.
    fn drop(&mut self) {
        let Seat { database, number, .. } = &self.seat;
        database.ask_in_passing(&format!("delete from kinfra.queue where ticket = {number}"));
    }
}

impl ServerTicket {
    fn place(&self) -> Result<usize> {
        let Seat { database, number, .. } = &self.seat;
        let rows = database.ask(&database.waiters(Some(*number)))?;
        Ok(rows.len())
    }

    fn is_near_within(&mut self, most: Duration) -> Result<bool> {
        let Some((since, rest)) = self.looks else { return Ok(true) };
        let left = rest.saturating_sub(since.elapsed());
        if !left.is_zero() {
            pause(left.min(most));
            return Ok(false);
        }
        let place = self.place()?;
        let rest = SHORTEST.saturating_mul(u32::try_from(place).unwrap_or(u32::MAX)).min(LONGEST);
        self.looks = (place >= AWAKE).then(|| (Stopwatch::start(), rest));
        Ok(self.looks.is_none())
    }

    fn answer(&self, ask: impl Fn(&str) -> Result<Vec<Row>>) -> Result<()> {
        if self.asked.get().elapsed() < ASKS {
            return Ok(());
        }
        let asked = Stopwatch::start();
        self.seat.keep(ask)?;
        self.asked.set(asked);
        Ok(())
    }
}

impl Seat {
    /// Puts off that the ticket expires. A waiter that was suspended for so long that it has expired takes
    /// its place again.
    fn keep(&self, ask: impl Fn(&str) -> Result<Vec<Row>>) -> Result<()> {
        let Self { database, number, wanted, owner } = self;
        let rows = ask(&format!(
            "update kinfra.queue set called_at = null, expires = clock_timestamp() + interval '{COUNTS} seconds' where \
             ticket = {number} returning ticket"
        ))?;
        if rows.is_empty() {
            ask(&database.joining(wanted, owner, Some(*number)))?;
        }
        Ok(())
    }

    fn during<T>(&self, work: impl FnOnce() -> T) -> T {
        thread::scope(|scope| {
            let (working, ended) = mpsc::channel::<()>();
            scope.spawn(move || {
                while ended.recv_timeout(ASKS) == Err(RecvTimeoutError::Timeout) {
                    // Where the server cannot be asked now, it may answer the next time.
                    let _ = self.keep(|statements| self.database.ask(statements));
                }
            });
            let done = work();
            drop(working);
            done
        })
    }
}

impl Database {
    /// The statement that lists the waiters ahead of a ticket, or all.
    fn waiters(&self, before: Option<u64>) -> String {
        let before = before.map_or_else(String::new, |before| format!("and q.ticket < {before}"));
        format!(
            "select q.ticket, q.wanted, q.holder, q.called_at is not null, coalesce(q.called_at < clock_timestamp() - \
             interval '{ANSWER} seconds', false) from kinfra.queue q join kinfra.pool p using (pool) where p.name = {} and \
             q.host = {} and q.expires > clock_timestamp() {before} order by q.ticket",
            quoted(&self.pool),
            quoted(&self.place.host)
        )
    }

    /// The statement that joins the queue at its end, or at the place of a ticket that has expired.
    fn joining(&self, wanted: &str, owner: &str, ticket: Option<u64>) -> String {
        let (column, number) = ticket.map_or_else(Default::default, |it| ("ticket, ", format!("{it}, ")));
        format!(
            "insert into kinfra.queue ({column}pool, host, wanted, holder, expires) overriding system value select \
             {number}pool, {}, {}, {}, clock_timestamp() + interval '{COUNTS} seconds' from kinfra.pool where name = {} on \
             conflict (ticket) do update set expires = excluded.expires returning ticket",
            quoted(&self.place.host),
            quoted(wanted),
            quoted(&owner.escape_debug().to_string()),
            quoted(&self.pool)
        )
    }
}

impl Snapshot {
    /// The waiters that are not passed over, in order: ahead of a ticket, or all.
    pub fn waiters_ahead(
        &self,
        own: Option<&Ticket>,
    ) -> Result<impl Iterator<Item = Result<Waiter>> + use<>> {
        let (of_file, of_server) = match &self.database {
            None => (Some(queue::ahead_of(own.and_then(Ticket::of_file), &self.root)?), Vec::new()),
            Some(database) => {
                let before = own.and_then(Ticket::number_on_server);
                (None, database.ask(&database.waiters(before))?)
            }
        };
        Ok(of_file.into_iter().flatten().chain(living(&of_server)))
    }
}

impl Transaction {
    /// [`Snapshot::waiters_ahead`], which also removes the tickets of dead waiters on its way.
    pub fn waiters_ahead(
        &self,
        own: Option<&Ticket>,
    ) -> Result<impl Iterator<Item = Result<Waiter>> + use<>> {
        let (of_file, of_server) = match &self.change {
            None => (Some(queue::sweep_ahead_of(own.and_then(Ticket::of_file), self.locked())?), Vec::new()),
            Some(change) => {
                let before = own.and_then(Ticket::number_on_server);
                let statements = format!(
                    "delete from kinfra.queue where expires < clock_timestamp() and pool = {} and host = {}; {}",
                    change.loaded().pool,
                    quoted(&change.database().place.host),
                    change.database().waiters(before)
                );
                (None, self.ask(&statements)?)
            }
        };
        Ok(of_file.into_iter().flatten().chain(living(&of_server)))
    }

    /// How many waiters there are: ahead of a ticket, or in all.
    ///
    /// # Errors
    /// When the queue cannot be read.
    pub fn queue_length(&self, own: Option<&Ticket>) -> Result<usize> {
        match &self.change {
            None => queue::length(own.and_then(Ticket::of_file), self.locked().root()),
            Some(change) => {
                let before = own.and_then(Ticket::number_on_server);
                Ok(self.ask(&change.database().waiters(before))?.len())
            }
        }
    }

    /// Calls the next waiter, unless it was called already or has just left the queue.
    ///
    /// # Errors
    /// When it cannot be noted.
    pub fn call(&self, waiter: &Waiter) -> Result<()> {
        if self.change.is_none() {
            return queue::call(self.locked(), waiter);
        }
        let number = waiter.number;
        let call = "update kinfra.queue set called_at = clock_timestamp() where called_at is null and ticket";
        self.ask(&format!("{call} = {number}")).map(|_| ())
    }

    /// Joins the queue at its end, with a request and the worktree that is to hold the slot.
    ///
    /// # Errors
    /// When the ticket cannot be made.
    pub fn join_queue(&self, wanted: &str, owner: &str) -> Result<Ticket> {
        let Some(change) = &self.change else {
            return queue::join(self.locked(), wanted, owner).map(Ticket::File);
        };
        let database = Arc::clone(change.database());
        let number = number_of(&self.ask(&database.joining(wanted, owner, None))?)?;
        let (wanted, owner, asked) = (wanted.to_owned(), owner.to_owned(), Cell::new(Stopwatch::start()));
        let looks = Some((Stopwatch::start(), Duration::ZERO));
        Ok(Ticket::Server(ServerTicket { seat: Seat { database, number, wanted, owner }, asked, looks }))
    }

    /// Answers for a waiter, under the lock.
    ///
    /// # Errors
    /// When it cannot be noted.
    pub fn answer(&self, ticket: &Ticket) -> Result<()> {
        match ticket {
            Ticket::File(ticket) => ticket.answer(),
            Ticket::Server(ticket) => ticket.answer(|statements| self.ask(statements)),
        }
    }

    /// Asks the server within the transaction, or in another one where the lock was let go of.
    pub(super) fn ask(&self, statements: &str) -> Result<Vec<Row>> {
        let change = self.change.as_ref().ok_or_else(|| anyhow!("the registry is on no server"))?;
        match change.connection() {
            Some(connection) => Ok(connection.ask(statements)?),
            None => change.database().ask(statements),
        }
    }
}

/// The waiters of these rows that are not passed over.
fn living(rows: &[Row]) -> impl Iterator<Item = Result<Waiter>> + use<> {
    let is_true = |row: &Row, column| Connection::text(row, column) == "t";
    let waiter = |row: &Row| {
        let (wanted, owner) = (Connection::text(row, 1), Connection::text(row, 2));
        Waiter::on_server(Connection::number(row, 0), wanted, owner, is_true(row, 3))
    };
    let waiters: Vec<Waiter> = rows.iter().filter(|row| !is_true(row, 4)).map(waiter).collect();
    waiters.into_iter().map(Ok)
}

fn number_of(rows: &[Row]) -> Result<u64> {
    let row = rows.first().ok_or_else(|| anyhow!("the server made no ticket"))?;
    Ok(Connection::number(row, 0))
}
