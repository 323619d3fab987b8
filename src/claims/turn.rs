//! Which waiter is next: reads the requests of the waiters ahead, only as far as they matter. Pure.

use super::pick::{Fitness, FreeSlots, LookAt, Wanted};
use crate::slot::SlotId;

/// The waiters ahead of a request.
#[derive(Debug)]
pub struct Ahead<T> {
    /// Their requests, in order.
    pub wanted: Vec<Wanted>,
    /// The waiter whose turn it is.
    pub next: Option<T>,
}

/// Why reading the queue stops early.
#[derive(Debug)]
pub enum Stop<E> {
    /// A slot must be looked at first.
    LookAt(SlotId),
    /// The queue cannot be read.
    Failed(E),
}

impl<E> From<LookAt> for Stop<E> {
    fn from(LookAt(slot): LookAt) -> Self {
        Self::LookAt(slot)
    }
}

impl<T> Ahead<T> {
    /// Reads the queue until no slot is left for `wanted`. Each waiter takes its slot of those that are left.
    /// `kept` is the slot that keeps the data of the worktree that asks.
    ///
    /// # Errors
    /// Why it stops before that.
    pub fn of<E>(
        (wanted, kept): (&Wanted, Option<SlotId>),
        queue: impl IntoIterator<Item = Result<(Wanted, T), E>>,
        left: &mut FreeSlots<'_, impl Fn(SlotId) -> Fitness>,
    ) -> Result<Self, Stop<E>> {
        let mut ahead = Self { wanted: Vec::new(), next: None };
        let mut queue = queue.into_iter();
        while left.first(wanted, kept)?.is_some()
            && let Some(waiter) = queue.next()
        {
            let (wanted, waiter) = waiter.map_err(Stop::Failed)?;
            if left.take(&wanted)? && ahead.next.is_none() {
                ahead.next = Some(waiter);
            }
            ahead.wanted.push(wanted);
        }
        Ok(ahead)
    }
}
