//! The queue of those who wait for a slot of a root.
//!
//! Each holds a ticket: a numbered file that says what would do, locked for as long as its owner lives. Tickets are made
//! under the root's lock, and appear locked. The kernel unlocks those of the dead, however they died, and whoever joins
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
    /// How many tickets are before it, those of the dead among them until somebody joins.
    pub fn place(&self) -> Result<usize> {
        Ok(numbers(&self.queue)?.into_iter().filter(|number| *number < self.number).count())
    }
}

/// Joins the queue at its end with what would do.
pub fn join(root: &LockedRoot, wish: &str) -> Result<Ticket> {
    let queue = root.root().dir().make_dir(Utf8Path::new(QUEUE))?;
    let mut last = 0;
    for number in numbers(&queue)? {
        if living(&queue, number)?.is_some() {
            last = number;
        } else {
            queue.remove_file(&number.to_string())?;
        }
    }
    let number = last + 1;
    let name = number.to_string();
    let file = root.temporary().write_new(&name, wish.as_bytes(), FileMode::PRIVATE)?;
    let path = queue.path().join(&name);
    file.try_lock().map_err(io::Error::from).with_context(|| format!("`{path}` cannot be locked"))?;
    if !root.temporary().rename_new(&name, &queue, &name)? {
        bail!("`{path}` is in the way: remove it while nobody waits");
    }
    Ok(Ticket { queue, number, _file: file })
}

/// What would do for those who wait, in their order: before a ticket, else all.
pub fn ahead_of(ticket: Option<&Ticket>, root: &Root) -> Result<Vec<String>> {
    let Found::This(queue) = root.dir().dir(Utf8Path::new(QUEUE))? else { return Ok(Vec::new()) };
    let before = ticket.map_or(u64::MAX, |ticket| ticket.number);
    let numbers = numbers(&queue)?.into_iter().filter(|number| *number < before);
    numbers.filter_map(|number| living(&queue, number).transpose()).collect()
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
