//! The queue of waiters for a slot of a root.
//!
//! A waiter holds a ticket: a numbered file with its request and its worktree, locked for as long as the
//! waiter lives. Tickets are made under the root's lock, and appear locked. When a waiter dies, the kernel
//! unlocks its ticket, and the next claim removes it. A waiter that is far back sleeps until the waiter
//! before it is gone.
//!
//! A waiter may be suspended when its turn comes. Then the waiter behind it calls it, by a line at the end of
//! its ticket. A waiter that answers removes the line. One that does not answer in time is passed over until
//! it does.

use std::fs::{File, TryLockError};
use std::io::{self, Read as _};
use std::time::Duration;

use anyhow::{Context as _, Result};
use camino::{Utf8Path, Utf8PathBuf};

use super::clock;
use super::fs::{Dir, Found, Missing};
use super::lock::Waiting;
use super::root::{LockedRoot, Root};
use crate::fault::Fault;
use crate::file::FileMode;

/// Where the tickets are in the root.
const QUEUE: &str = ".queue";
/// The most that is read of a ticket, in bytes.
const LIMIT: u64 = 64 << 10;
/// The prefix of the line that calls a waiter. The time follows, in seconds since 1970.
const CALLED: &str = "called ";
/// How many seconds a called waiter has to answer.
const ANSWER: u64 = 10;
/// How many waiters at the head of the queue do not sleep.
const AWAKE: usize = 1;

/// A place in the queue, until it is dropped.
#[derive(Debug)]
pub struct Ticket {
    queue: Dir,
    number: u64,
    /// Locked: its waiter lives.
    file: File,
    /// Its length as the waiter wrote it, in bytes.
    length: u64,
    /// The end of the waiter before it, which it sleeps for.
    sleep: Option<Waiting>,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let _ = self.queue.remove_file(&self.number.to_string());
    }
}

impl Ticket {
    /// How many waiters are ahead.
    pub fn place(&self) -> Result<usize> {
        count(&self.queue, self.number)
    }

    /// Sleeps until the turn is near, for `most` at most. Returns whether it was near already.
    pub fn is_near_within(&mut self, most: Duration) -> Result<bool> {
        let sleep = match self.sleep.take() {
            Some(sleep) => sleep,
            None => match self.nearest_asleep()? {
                Some(file) => Waiting::shared(file).with_context(|| format!("`{}`", self.path()))?,
                None => return Ok(true),
            },
        };
        if sleep.within(most).is_none() {
            self.sleep = Some(sleep);
        }
        Ok(false)
    }

    /// The ticket whose end this waiter sleeps for; `None` if its turn is near.
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

    /// Answers, if the waiter was called.
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

/// A waiter ahead.
#[derive(Debug)]
pub struct Waiter {
    /// The number of its ticket.
    pub number: u64,
    /// Its request, as text.
    pub wanted: String,
    /// The worktree that is to hold the slot, for messages.
    pub owner: String,
    /// When it was called, if it has not answered.
    called: Option<i64>,
}

impl Waiter {
    /// Whether it was called and did not answer in time. A clock that jumps in either direction counts as
    /// time.
    fn is_passed_over(&self) -> bool {
        self.called.is_some_and(|called| clock::unix_seconds().abs_diff(called) > ANSWER)
    }
}

/// Joins the queue at its end, with a request and the worktree that is to hold the slot.
pub fn join(root: &LockedRoot, wanted: &str, owner: &str) -> Result<Ticket> {
    let queue = root.root().dir().make_dir(Utf8Path::new(QUEUE))?;
    let number = numbers(&queue)?.last().map_or(1, |last| last + 1);
    let name = number.to_string();
    let text = format!("{wanted}\n{}\n", owner.escape_debug());
    let file = root.temporary().write_new(&name, text.as_bytes(), FileMode::PRIVATE)?;
    let path = queue.path().join(&name);
    file.try_lock().map_err(io::Error::from).with_context(|| format!("`{path}` cannot be locked"))?;
    if !root.temporary().rename_new(&name, &queue, &name)? {
        let blocked = Fault::failed(format!("`{path}` is in the way"));
        return Err(blocked.advise("remove it while no claim waits").into());
    }
    let length = u64::try_from(text.len()).unwrap_or(u64::MAX);
    Ok(Ticket { queue, number, file, length, sleep: None })
}

/// How many waiters there are: ahead of a ticket, or in all.
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

/// The waiters that are not passed over, in order: ahead of a ticket, or all. Each is read on demand.
pub fn ahead_of(ticket: Option<&Ticket>, root: &Root) -> Result<impl Iterator<Item = Result<Waiter>>> {
    ahead(ticket, root, |_, _| Ok(()))
}

/// [`ahead_of`], which also removes the tickets of dead waiters on its way.
pub fn sweep_ahead_of(
    ticket: Option<&Ticket>,
    root: &LockedRoot,
) -> Result<impl Iterator<Item = Result<Waiter>>> {
    ahead(ticket, root.root(), |queue, number| queue.remove_file(&number.to_string()))
}

fn ahead(
    ticket: Option<&Ticket>,
    root: &Root,
    remove: fn(&Dir, u64) -> Result<()>,
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
            Ok(None) => remove(queue, number).err().map(Err),
            Ok(Some(waiter)) => (!waiter.is_passed_over()).then_some(Ok(waiter)),
            Err(error) => Some(Err(error)),
        }
    }))
}

/// Calls the next waiter, unless it was called already or has just left the queue.
pub fn call(root: &LockedRoot, waiter: &Waiter) -> Result<()> {
    let Found::This(queue) = root.root().dir().dir(Utf8Path::new(QUEUE))? else { return Ok(()) };
    if waiter.called.is_some() {
        return Ok(());
    }
    queue.append(&waiter.number.to_string(), &format!("{CALLED}{}\n", clock::unix_seconds()), Missing::Skip)
}

/// The numbers of all tickets, in their order.
fn numbers(queue: &Dir) -> Result<Vec<u64>> {
    let names = queue.names()?;
    let mut numbers: Vec<u64> = names.iter().filter_map(|name| name.to_str()?.parse().ok()).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// The waiter of a ticket, if it is alive.
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

/// A ticket whose waiter is alive: a living waiter holds the ticket's lock.
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

#[cfg(test)]
mod tests {
    use super::super::lock::LockPolicy;
    use super::*;

    #[test]
    fn a_waiter_that_left_before_it_is_called_gets_no_ticket_again() {
        let scratch = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(scratch.path()).unwrap().canonicalize_utf8().unwrap().join("pool");
        let (patience, command) = (Duration::ZERO, "test");
        let policy = LockPolicy { patience, flag: None, command, network: true, interrupt: None };
        let locked = Root::make(&root).unwrap().lock(&policy).unwrap().unwrap();
        let ticket = join(&locked, "any", "/a").unwrap();
        let waiter = ahead_of(None, locked.root()).unwrap().next().unwrap().unwrap();
        call(&locked, &waiter).unwrap();
        let called = ahead_of(None, locked.root()).unwrap().next().unwrap().unwrap();
        assert!(waiter.called.is_none() && called.called.is_some());
        drop(ticket);
        call(&locked, &waiter).unwrap();
        assert_eq!(root.join(QUEUE).read_dir_utf8().unwrap().count(), 0);
    }
}
