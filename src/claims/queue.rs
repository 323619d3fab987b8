//! Those who waited before, as far as they matter. Pure.

use super::lease::Wish;

/// Those who waited before somebody, read only as far as they matter to him.
#[derive(Debug)]
pub struct Ahead<T> {
    /// What they wish for, in their order.
    pub wishes: Vec<Wish>,
    /// Whose turn it is.
    pub next: Option<T>,
}

impl<T> Ahead<T> {
    /// Reads a queue until nothing is left for `wish`. `is_free` says whether something is for a wish after these others
    /// have chosen.
    ///
    /// # Errors
    /// What keeps the queue from being read.
    pub fn of<E>(
        wish: &Wish,
        queue: impl IntoIterator<Item = Result<(Wish, T), E>>,
        is_free: impl Fn(&Wish, &[Wish]) -> bool,
    ) -> Result<Self, E> {
        let mut ahead = Self { wishes: Vec::new(), next: None };
        let mut queue = queue.into_iter();
        while is_free(wish, &ahead.wishes)
            && let Some(waiter) = queue.next()
        {
            let (wish, waiter) = waiter?;
            if ahead.next.is_none() && is_free(&wish, &ahead.wishes) {
                ahead.next = Some(waiter);
            }
            ahead.wishes.push(wish);
        }
        Ok(ahead)
    }
}
