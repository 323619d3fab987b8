//! `kinfra claim --wait`: queueing for a slot.

use std::io::{self, IsTerminal as _};
use std::time::Duration;

use anyhow::Result;

use super::claim::{Asking, Claimant, Granted, Outlook};
use super::say;
use crate::fault::Fault;
use crate::host::clock::{Stopwatch, pause};
use crate::host::queue::Ticket;
use crate::host::signals::Interrupt;
use crate::registry::Span;
use crate::report;

/// How often those look whose turn is near.
const PACE: Duration = Duration::from_millis(3);
/// How soon Ctrl-C is heard.
const HEARD: Duration = Duration::from_millis(50);
/// How often everybody looks, however far back or however long.
const LOOK: Duration = Duration::from_millis(250);
/// How often at least somebody looks who finds a slot free that he does not get, because it is not fit for use.
const LONGEST_SETBACK: Duration = Duration::from_secs(1);
/// How long somebody has to come when it is his turn.
const COMING: Duration = Duration::from_secs(10);

/// Queues until there is a slot, or the patience is at an end. Nothing is locked but the ticket meanwhile.
pub(super) fn wait(claimant: &Claimant<'_>, patience: Option<Span>) -> Result<Granted> {
    let interrupt = &Interrupt::listen()?;
    let waiting = Stopwatch::start();
    let is_late = || patience.is_some_and(|patience| waiting.elapsed() >= patience.duration());
    let mut sign = Sign { shown: None, is_redrawn: io::stderr().is_terminal() };
    let mut ticket = None;
    let (mut was_near, mut turn) = (false, Turn::default());
    let (mut rest, mut setback) = (Duration::ZERO, PACE);
    loop {
        // Without an end to the patience there is none to that for the lock.
        let left = patience.map_or(Duration::MAX, |span| span.duration().saturating_sub(waiting.elapsed()));
        let absent = turn.take_absent();
        let asked = claimant.ask(Asking::InTurn { ticket: &mut ticket, absent, left, interrupt });
        let refusal = match asked {
            Ok(Err(refusal)) if refusal.may_pass && !is_late() => refusal,
            asked => {
                sign.clear()?;
                return asked?.map_err(|refusal| refusal.error);
            }
        };
        let Some(ticket) = &mut ticket else { return Err(refusal.error) };
        sign.show(ticket)?;
        let mut looked = Stopwatch::start();
        while !is_late() {
            if interrupt.is_requested() {
                sign.clear()?;
                return Err(Fault::interrupted("stopped waiting: nothing was claimed").into());
            }
            let is_near = ticket.is_near_within(HEARD)?;
            // Whoever has just come near looks at once.
            let pace = if is_near { rest } else { LOOK };
            let remaining =
                if is_near && !was_near { Duration::ZERO } else { pace.saturating_sub(looked.elapsed()) };
            was_near = is_near;
            if !remaining.is_zero() {
                if is_near {
                    pause(remaining.min(HEARD));
                }
                continue;
            }
            ticket.come()?;
            looked = Stopwatch::start();
            match claimant.outlook(ticket)? {
                Outlook::Served => {
                    turn = Turn::default();
                    break;
                }
                Outlook::Full => turn = Turn::default(),
                Outlook::Behind(next) => turn.is_of(next),
            }
            if turn.is_missed() {
                break;
            }
            sign.show(ticket)?;
            // Whoever has waited for long is served a hundredth of that later at most.
            (rest, setback) = ((waiting.elapsed() / 100).clamp(PACE, LOOK), PACE);
        }
        (rest, setback) = (setback, (setback * 2).min(LONGEST_SETBACK));
    }
}

/// Whose turn it is, and since when that was seen.
#[derive(Default)]
struct Turn(Option<(u64, Stopwatch)>);

impl Turn {
    fn is_of(&mut self, ticket: u64) {
        if self.0.is_none_or(|(of, _)| of != ticket) {
            self.0 = Some((ticket, Stopwatch::start()));
        }
    }

    fn is_missed(&self) -> bool {
        self.0.is_some_and(|(_, since)| since.elapsed() >= COMING)
    }

    /// The ticket of whoever has missed his turn.
    fn take_absent(&mut self) -> Option<u64> {
        let is_missed = self.is_missed();
        self.0.take().filter(|_| is_missed).map(|(ticket, _)| ticket)
    }
}

/// What is said of the place in the queue: redrawn on a terminal, said once elsewhere.
struct Sign {
    shown: Option<usize>,
    is_redrawn: bool,
}

impl Sign {
    fn show(&mut self, ticket: &Ticket) -> Result<()> {
        if self.shown.is_some() && !self.is_redrawn {
            return Ok(());
        }
        let ahead = ticket.place()?;
        if self.shown == Some(ahead) {
            return Ok(());
        }
        self.shown = Some(ahead);
        let line = report::claim::waiting(ahead);
        say(&if self.is_redrawn { format!("\r\u{1b}[K{line}") } else { format!("{line}\n") })?;
        Ok(())
    }

    fn clear(&mut self) -> io::Result<()> {
        if self.shown.take().is_some() && self.is_redrawn { say("\r\u{1b}[K") } else { Ok(()) }
    }
}
