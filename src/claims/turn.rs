//! Which waiter is next: reads the requests of the waiters ahead, only as far as they matter. Pure.

use super::pick::Wanted;

/// The waiters ahead of a request.
#[derive(Debug)]
pub struct Ahead<T> {
    /// Their requests, in order.
    pub wanted: Vec<Wanted>,
    /// The waiter whose turn it is.
    pub next: Option<T>,
}

impl<T> Ahead<T> {
    /// Reads the queue until no slot is left for `wanted`. `is_free` says whether a slot is free for a
    /// request after the given requests have got theirs.
    ///
    /// # Errors
    /// What keeps the queue from being read, or `is_free` from being answered.
    pub fn of<E>(
        wanted: &Wanted,
        queue: impl IntoIterator<Item = Result<(Wanted, T), E>>,
        is_free: impl Fn(&Wanted, &[Wanted]) -> Result<bool, E>,
    ) -> Result<Self, E> {
        let mut ahead = Self { wanted: Vec::new(), next: None };
        let mut queue = queue.into_iter();
        while is_free(wanted, &ahead.wanted)?
            && let Some(waiter) = queue.next()
        {
            let (wanted, waiter) = waiter?;
            if ahead.next.is_none() && is_free(&wanted, &ahead.wanted)? {
                ahead.next = Some(waiter);
            }
            ahead.wanted.push(wanted);
        }
        Ok(ahead)
    }
}
