//! The queue of those who wait for a slot of a root.
//!
//! Each holds a ticket: a numbered file that says what would do and for whom, locked for as long as its owner lives. Tickets
//! are made under the root's lock, and appear locked. The kernel unlocks those of the dead, however they died, and whoever
//! is next removes them. Whoever is far back sleeps until the owner of the ticket before his is gone. Somebody who does not come
//! when it is his turn, because he is suspended, is passed over: whoever finds it his turn calls him, by a line at the end of
//! his ticket, which he takes back when he comes.

use std::fs::{File, TryLockError};
use std::io::{self, Read as _};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};

use super::clock;
use super::fs::{Dir, Found};
use super::lock::Pending;
use super::root::{LockedRoot, Root};
use crate::file::FileMode;

/// Where the tickets are in the root.
const QUEUE: &str = ".queue";
/// The most that is read of a ticket, in bytes.
const LIMIT: u64 = 64 << 10;
/// What the line begins with that calls somebody; when it was written follows, in seconds since 1970.
const CALLED: &str = "called ";
/// For how many seconds somebody has to come who was called.
const COMING: u64 = 10;
/// How many are awake at the head of the queue.
const AWAKE: usize = 1;

/// A place in the queue, until it is dropped.
#[derive(Debug)]
pub struct Ticket {
    queue: Dir,
    number: u64,
    /// Its lock says that its owner lives.
    file: File,
    /// How long it is as its owner wrote it, in bytes.
    length: u64,
    /// The end of somebody before him that he sleeps for.
    sleep: Option<Pending>,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let _ = self.queue.remove_file(&self.number.to_string());
    }
}

impl Ticket {
    /// How many wait before its owner.
    pub fn place(&self) -> Result<usize> {
        count(&self.queue, self.number)
    }

    /// Sleeps until its turn is near, for so long at most. Says whether it was near already.
    pub fn is_near_within(&mut self, most: Duration) -> Result<bool> {
        let sleep = match self.sleep.take() {
            Some(sleep) => sleep,
            None => match self.nearest_asleep()? {
                Some(file) => Pending::shared(file).with_context(|| format!("`{}`", self.path()))?,
                None => return Ok(true),
            },
        };
        if sleep.within(most).is_none() {
            self.sleep = Some(sleep);
        }
        Ok(false)
    }

    /// The ticket so many places before it that its owner can sleep until that is gone.
    fn nearest_asleep(&self) -> Result<Option<File>> {
        let numbers = numbers(&self.queue)?.into_iter().rev().filter(|number| *number < self.number);
        let mut awake = 0;
        for number in numbers {
            if living(&self.queue, number)?.is_some_and(|waiter| !waiter.is_passed_over()) {
                awake += 1;
            }
            if awake == AWAKE {
                return self.queue.open_file(&number.to_string());
            }
        }
        Ok(None)
    }

    /// Comes, if its owner was called.
    pub fn answer(&self) -> Result<()> {
        let meta = self.file.metadata().with_context(|| format!("could not examine `{}`", self.path()))?;
        if meta.len() > self.length {
            self.file.set_len(self.length).with_context(|| format!("could not write `{}`", self.path()))?;
        }
        Ok(())
    }

    fn path(&self) -> Utf8PathBuf {
        self.queue.path().join(self.number.to_string())
    }
}

/// Somebody who waits.
#[derive(Debug)]
pub struct Waiter {
    /// The number of his ticket.
    pub number: u64,
    /// What would do.
    pub wanted: String,
    /// Who is to hold it, for messages.
    pub owner: String,
    /// When he was called, if he has not come.
    called: Option<u64>,
}

impl Waiter {
    /// Whether he was called and did not come, whatever happened to the clock meanwhile.
    fn is_passed_over(&self) -> bool {
        self.called.is_some_and(|called| clock::unix_seconds().abs_diff(called) > COMING)
    }
}

/// Joins the queue at its end with what would do, for an owner.
pub fn join(root: &LockedRoot, wanted: &str, owner: &str) -> Result<Ticket> {
    let queue = root.root().dir().make_dir(Utf8Path::new(QUEUE))?;
    let number = numbers(&queue)?.last().map_or(1, |last| last + 1);
    let name = number.to_string();
    let text = format!("{wanted}\n{}\n", owner.escape_debug());
    let file = root.temporary().write_new(&name, text.as_bytes(), FileMode::PRIVATE)?;
    let path = queue.path().join(&name);
    file.try_lock().map_err(io::Error::from).with_context(|| format!("`{path}` cannot be locked"))?;
    if !root.temporary().rename_new(&name, &queue, &name)? {
        bail!("`{path}` is in the way: remove it while nobody waits");
    }
    let length = u64::try_from(text.len()).unwrap_or(u64::MAX);
    Ok(Ticket { queue, number, file, length, sleep: None })
}

/// How many wait: before a ticket, else in all.
pub fn length(ticket: Option<&Ticket>, root: &Root) -> Result<usize> {
    match root.dir().dir(Utf8Path::new(QUEUE))? {
        Found::This(queue) => count(&queue, ticket.map_or(u64::MAX, |ticket| ticket.number)),
        Found::Nothing | Found::Other(_) => Ok(0),
    }
}

fn count(queue: &Dir, before: u64) -> Result<usize> {
    let before = numbers(queue)?.into_iter().filter(|number| *number < before);
    let living = before.map(|number| Ok(usize::from(ticket_of_living(queue, number)?.is_some())));
    living.sum()
}

/// Those who wait and are not passed over, in their order: before a ticket, else all. Looks only as far as it is read.
pub fn ahead_of(ticket: Option<&Ticket>, root: &Root) -> Result<impl Iterator<Item = Result<Waiter>>> {
    ahead(ticket, root, |_, _| Ok(()))
}

/// [`ahead_of`], which removes the tickets of the dead as far as it is read.
pub fn sweep_ahead_of(
    ticket: Option<&Ticket>,
    root: &LockedRoot,
) -> Result<impl Iterator<Item = Result<Waiter>>> {
    ahead(ticket, root.root(), |queue, number| queue.remove_file(&number.to_string()))
}

fn ahead(
    ticket: Option<&Ticket>,
    root: &Root,
    bury: fn(&Dir, u64) -> Result<()>,
) -> Result<impl Iterator<Item = Result<Waiter>>> {
    let before = ticket.map_or(u64::MAX, |ticket| ticket.number);
    let queue = match root.dir().dir(Utf8Path::new(QUEUE))? {
        Found::This(queue) => Some(queue),
        Found::Nothing | Found::Other(_) => None,
    };
    let numbers = queue.as_ref().map_or_else(|| Ok(Vec::new()), numbers)?;
    let before = numbers.into_iter().filter(move |number| *number < before);
    Ok(before.filter_map(move |number| {
        let queue = queue.as_ref()?;
        match living(queue, number) {
            Ok(None) => bury(queue, number).err().map(Err),
            Ok(Some(waiter)) => (!waiter.is_passed_over()).then_some(Ok(waiter)),
            Err(error) => Some(Err(error)),
        }
    }))
}

/// Calls somebody whose turn it is, unless that was done: he is passed over if he does not come for long.
pub fn call(root: &LockedRoot, waiter: &Waiter) -> Result<()> {
    let Found::This(queue) = root.root().dir().dir(Utf8Path::new(QUEUE))? else { return Ok(()) };
    match waiter.called {
        Some(_) => Ok(()),
        None => queue.append(&waiter.number.to_string(), &format!("{CALLED}{}\n", clock::unix_seconds())),
    }
}

/// The numbers of all tickets, in their order.
fn numbers(queue: &Dir) -> Result<Vec<u64>> {
    let names = queue.names()?;
    let mut numbers: Vec<u64> = names.iter().filter_map(|name| name.to_str()?.parse().ok()).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// The owner of a ticket, if he lives.
fn living(queue: &Dir, number: u64) -> Result<Option<Waiter>> {
    let Some(file) = ticket_of_living(queue, number)? else { return Ok(None) };
    let mut bytes = Vec::new();
    file.take(LIMIT)
        .read_to_end(&mut bytes)
        .with_context(|| format!("could not read `{}`", queue.path().join(number.to_string())))?;
    let text = String::from_utf8_lossy(&bytes);
    let mut lines = text.lines();
    let mut line = || lines.next().unwrap_or_default();
    let (wanted, owner) = (line().to_owned(), line().to_owned());
    let called = line().strip_prefix(CALLED).and_then(|seconds| seconds.parse().ok());
    Ok(Some(Waiter { number, wanted, owner, called }))
}

/// A ticket whose owner lives: then he holds its lock.
fn ticket_of_living(queue: &Dir, number: u64) -> Result<Option<File>> {
    let name = number.to_string();
    let Some(file) = queue.open_file(&name)? else { return Ok(None) };
    match file.try_lock_shared() {
        Ok(()) => Ok(None),
        Err(TryLockError::WouldBlock) => Ok(Some(file)),
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("`{}` cannot be locked", queue.path().join(&name)))
        }
    }
}
