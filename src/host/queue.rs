//! The queue of those who wait for a slot of a root.
//!
//! Each holds a ticket: a numbered file that says what would do, locked for as long as its owner lives. Tickets are made
//! under the root's lock, and appear locked. The kernel unlocks those of the dead, however they died, and whoever is
//! next removes them.

use std::fs::{File, TryLockError};
use std::io::{self, Read as _};

use anyhow::{Context as _, Result, bail};
use camino::Utf8Path;

use super::fs::{Dir, Found};
use super::root::{LockedRoot, Root};
use crate::slot::FileMode;

/// Where the tickets are in the root.
const QUEUE: &str = ".queue";
/// The most that is read of a ticket, in bytes.
const LIMIT: u64 = 4096;

/// A place in the queue, until it is dropped.
#[derive(Debug)]
pub struct Ticket {
    queue: Dir,
    number: u64,
    /// Held for its lock.
    _file: File,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let _ = self.queue.remove_file(&self.number.to_string());
    }
}

impl Ticket {
    /// How many tickets are before it, those of the dead among them until somebody removes them.
    pub fn place(&self) -> Result<usize> {
        Ok(numbers(&self.queue)?.into_iter().filter(|number| *number < self.number).count())
    }
}

/// Joins the queue at its end with what would do.
pub fn join(root: &LockedRoot, wish: &str) -> Result<Ticket> {
    let queue = root.root().dir().make_dir(Utf8Path::new(QUEUE))?;
    let number = numbers(&queue)?.last().map_or(1, |last| last + 1);
    let name = number.to_string();
    let file = root.temporary().write_new(&name, wish.as_bytes(), FileMode::PRIVATE)?;
    let path = queue.path().join(&name);
    file.try_lock().map_err(io::Error::from).with_context(|| format!("`{path}` cannot be locked"))?;
    if !root.temporary().rename_new(&name, &queue, &name)? {
        bail!("`{path}` is in the way: remove it while nobody waits");
    }
    Ok(Ticket { queue, number, _file: file })
}

/// What would do for those who wait, in their order: before a ticket, else all. Looks only as far as it is read.
pub fn ahead_of(ticket: Option<&Ticket>, root: &Root) -> Result<impl Iterator<Item = Result<String>>> {
    let before = ticket.map_or(u64::MAX, |ticket| ticket.number);
    let queue = match root.dir().dir(Utf8Path::new(QUEUE))? {
        Found::This(queue) => Some(queue),
        Found::Nothing | Found::Other(_) => None,
    };
    let numbers = queue.as_ref().map_or_else(|| Ok(Vec::new()), numbers)?;
    let before = numbers.into_iter().filter(move |number| *number < before);
    Ok(before.filter_map(move |number| living(queue.as_ref()?, number).transpose()))
}

/// Removes the tickets of the dead: before a ticket, else all.
pub fn sweep(ticket: Option<&Ticket>, root: &LockedRoot) -> Result<()> {
    let Found::This(queue) = root.root().dir().dir(Utf8Path::new(QUEUE))? else { return Ok(()) };
    let before = ticket.map_or(u64::MAX, |ticket| ticket.number);
    for number in numbers(&queue)?.into_iter().take_while(|number| *number < before) {
        if living(&queue, number)?.is_none() {
            queue.remove_file(&number.to_string())?;
        }
    }
    Ok(())
}

/// The numbers of all tickets, in their order.
fn numbers(queue: &Dir) -> Result<Vec<u64>> {
    let names = queue.names()?;
    let mut numbers: Vec<u64> = names.iter().filter_map(|name| name.to_str()?.parse().ok()).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// What would do for the owner of a ticket, if he lives: then he holds its lock.
fn living(queue: &Dir, number: u64) -> Result<Option<String>> {
    let name = number.to_string();
    let Some(file) = queue.open_file(&name)? else { return Ok(None) };
    let path = || queue.path().join(&name);
    match file.try_lock_shared() {
        Ok(()) => Ok(None),
        Err(TryLockError::WouldBlock) => {
            let mut bytes = Vec::new();
            file.take(LIMIT)
                .read_to_end(&mut bytes)
                .with_context(|| format!("could not read `{}`", path()))?;
            Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
        }
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("`{}` cannot be locked", path()))
        }
    }
}
