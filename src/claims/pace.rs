//! When a waiter looks at the pool, and when it asks for a slot. Pure: the caller says how much time has
//! passed.

use std::time::Duration;

/// The shortest interval between two looks while the turn is near.
const SHORTEST: Duration = Duration::from_millis(3);
/// The longest interval between two looks while the turn is near, after a long wait.
const LONGEST: Duration = Duration::from_millis(250);
/// The interval between two looks of a waiter far back in the queue. It grows with the wait.
const FAR_BACK: Duration = Duration::from_secs(1);
/// The longest such interval. A waiter that is called has to answer within ten seconds.
const LONGEST_FAR_BACK: Duration = Duration::from_secs(4);
/// The longest backoff after a free slot turned out to be unfit for use.
const LONGEST_BACKOFF: Duration = Duration::from_secs(1);
/// How long the next waiter has before the waiters behind it call it.
const UNCALLED: Duration = Duration::from_secs(2);

/// How the pool looks to a waiter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outlook {
    /// There may be a slot for it now.
    Served,
    /// What is free is for the waiter with this ticket.
    Behind(u64),
    /// No slot that satisfies its request is free.
    Full,
    /// None will become free without a person.
    Hopeless,
}

/// What a waiter does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Ask for a slot, under the lock.
    Ask,
    /// Look at the pool, without the lock.
    Look,
    /// Sleep for this long.
    Rest(Duration),
}

/// The pace of one waiter.
#[derive(Debug)]
pub struct Pace {
    timeout: Option<Duration>,
    /// When it last looked or asked.
    looked: Duration,
    /// The interval between two looks while its turn is near.
    rest: Duration,
    /// The backoff after the next refusal.
    backoff: Duration,
    was_near: bool,
    /// The ticket of the next waiter, and since when it is next.
    behind: Option<(u64, Duration)>,
    should_ask: bool,
}

impl Pace {
    /// A waiter that has not asked yet. Without a `timeout` it waits forever.
    pub fn new(timeout: Option<Duration>) -> Self {
        Self {
            timeout,
            looked: Duration::ZERO,
            rest: Duration::ZERO,
            backoff: SHORTEST,
            was_near: false,
            behind: None,
            should_ask: true,
        }
    }

    /// Whether the next step is to ask, at any place in the queue.
    pub fn is_asking(&self) -> bool {
        self.should_ask
    }

    /// Whether the timeout has passed: then the next refusal is the last.
    pub fn is_late(&self, waited: Duration) -> bool {
        self.timeout.is_some_and(|timeout| waited >= timeout)
    }

    /// How much of the timeout is left.
    pub fn left(&self, waited: Duration) -> Duration {
        self.timeout.map_or(Duration::MAX, |timeout| timeout.saturating_sub(waited))
    }

    /// The next step, `waited` after the start. `is_near` says whether the turn is near.
    pub fn step(&mut self, waited: Duration, is_near: bool) -> Step {
        let came_near = is_near && !self.was_near;
        self.was_near = is_near;
        if self.should_ask || self.is_late(waited) {
            return Step::Ask;
        }
        let far_back = (waited / 10).clamp(FAR_BACK, LONGEST_FAR_BACK);
        let pace = if is_near { self.rest } else { far_back };
        match pace.saturating_sub(waited.saturating_sub(self.looked)) {
            left if came_near || left.is_zero() => Step::Look,
            left => Step::Rest(left.min(self.left(waited))),
        }
    }

    /// Notes that the waiter asked and was refused.
    pub fn refused(&mut self, waited: Duration) {
        self.looked = waited;
        self.behind = None;
        self.should_ask = false;
        (self.rest, self.backoff) = (self.backoff, (self.backoff * 2).min(LONGEST_BACKOFF));
    }

    /// Notes what a look showed.
    pub fn saw(&mut self, waited: Duration, outlook: Outlook) {
        self.looked = waited;
        match (outlook, self.behind) {
            (Outlook::Served | Outlook::Hopeless, _) => self.should_ask = true,
            (Outlook::Full, _) => self.behind = None,
            // Asking calls the next waiter.
            (Outlook::Behind(next), Some((known, since))) if next == known => {
                self.should_ask = waited.saturating_sub(since) >= UNCALLED;
            }
            (Outlook::Behind(next), _) => self.behind = Some((next, waited)),
        }
        if !self.should_ask {
            // The interval adds at most a hundredth to the time waited.
            (self.rest, self.backoff) = ((waited / 100).clamp(SHORTEST, LONGEST), SHORTEST);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    /// A waiter that was refused at the start.
    fn refused(timeout: Option<Duration>) -> Pace {
        let mut pace = Pace::new(timeout);
        assert_eq!(pace.step(ms(0), false), Step::Ask);
        pace.refused(ms(0));
        pace
    }

    #[test]
    fn a_waiter_asks_first_and_then_looks_often_only_when_its_turn_is_near() {
        let mut pace = refused(None);
        assert_eq!(pace.step(ms(0), false), Step::Rest(FAR_BACK));
        assert_eq!(pace.step(ms(100), true), Step::Look, "it has just come near");
        pace.saw(ms(100), Outlook::Full);
        assert_eq!(pace.step(ms(101), true), Step::Rest(ms(2)));
        assert_eq!(pace.step(ms(103), true), Step::Look);
        pace.saw(ms(60_000), Outlook::Full);
        assert_eq!(pace.step(ms(60_000), true), Step::Rest(LONGEST));
        assert_eq!(pace.step(ms(60_000), false), Step::Rest(LONGEST_FAR_BACK));
        assert_eq!(pace.step(ms(64_500), false), Step::Look);
    }

    #[test]
    fn a_waiter_far_back_looks_less_and_less_often() {
        let mut pace = refused(None);
        let looks = (0..600_000).step_by(100).filter(|now| {
            let looks = pace.step(ms(*now), false) == Step::Look;
            if looks {
                pace.saw(ms(*now), Outlook::Full);
            }
            looks
        });
        let looks = looks.count();
        assert!((150..250).contains(&looks), "{looks} looks in ten minutes");
    }

    #[test]
    fn a_free_slot_makes_it_ask_and_a_refusal_backs_off() {
        let mut pace = refused(None);
        let mut rests = Vec::new();
        for round in 1..=12 {
            pace.saw(ms(round * 2000), Outlook::Served);
            assert_eq!(pace.step(ms(round * 2000), true), Step::Ask);
            pace.refused(ms(round * 2000));
            let Step::Rest(rest) = pace.step(ms(round * 2000), true) else { panic!("it rests") };
            rests.push(rest);
        }
        assert!(rests.is_sorted(), "{rests:?}");
        assert_eq!((rests[0], rests[11]), (ms(6), LONGEST_BACKOFF));
        pace.saw(ms(30_000), Outlook::Full);
        assert_eq!(pace.backoff, SHORTEST, "the pool was full in between");
        pace.saw(ms(31_000), Outlook::Hopeless);
        assert_eq!(pace.step(ms(31_000), true), Step::Ask, "the refusal says why");
    }

    #[test]
    fn a_waiter_that_does_not_come_is_called_after_a_while() {
        let mut pace = refused(None);
        pace.saw(ms(1000), Outlook::Behind(7));
        pace.saw(ms(2999), Outlook::Behind(7));
        assert_ne!(pace.step(ms(2999), true), Step::Ask);
        pace.saw(ms(3000), Outlook::Behind(7));
        assert_eq!(pace.step(ms(3000), true), Step::Ask);
        pace.refused(ms(3000));
        // Another next waiter gets its own time.
        pace.saw(ms(4000), Outlook::Behind(7));
        pace.saw(ms(5999), Outlook::Behind(8));
        pace.saw(ms(6100), Outlook::Behind(8));
        assert_ne!(pace.step(ms(6100), true), Step::Ask);
        // A full pool restarts that time.
        pace.saw(ms(7000), Outlook::Full);
        pace.saw(ms(8100), Outlook::Behind(8));
        assert_ne!(pace.step(ms(8100), true), Step::Ask);
    }

    #[test]
    fn at_the_timeout_it_asks_once_more() {
        let mut pace = refused(Some(ms(1000)));
        assert_eq!((pace.is_late(ms(999)), pace.left(ms(999))), (false, ms(1)));
        pace.saw(ms(900), Outlook::Full);
        assert_eq!(pace.step(ms(950), false), Step::Rest(ms(50)), "the timeout comes before the next look");
        assert!(pace.is_late(ms(1000)));
        assert_eq!(pace.step(ms(1000), false), Step::Ask);
        assert_eq!(pace.left(ms(2000)), ms(0));
        assert_eq!(refused(None).left(ms(1)), Duration::MAX);
    }
}
