//! `kinfra claim --wait`: queueing for a slot.

use std::io::{self, IsTerminal as _};
use std::time::Duration;

use anyhow::Result;

use super::claim::{Claimant, Granted};
use super::say;
use crate::fault::Fault;
use crate::host::clock::{Stopwatch, pause};
use crate::host::signals::Interrupt;
use crate::registry::Span;
use crate::report;

/// How often the first in the queue looks. Whoever is further back need not look as often: each before him takes a while.
const PACE: Duration = Duration::from_millis(3);
/// How often everybody looks, however far back.
const SLOWEST: Duration = Duration::from_millis(250);
/// The longest pause after a slot was free and not fit for use.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Queues until there is a slot, or the patience is at an end. Nothing is locked but the ticket meanwhile.
pub(super) fn wait(claimant: &Claimant<'_>, patience: Option<Span>) -> Result<Granted> {
    let interrupt = Interrupt::listen()?;
    let waiting = Stopwatch::start();
    let mut sign = Sign { shown: None, is_redrawn: io::stderr().is_terminal() };
    let mut ticket = None;
    let mut setback = PACE;
    loop {
        let refusal = match claimant.ask(&mut ticket)? {
            Ok(granted) => {
                sign.clear()?;
                return Ok(granted);
            }
            Err(refusal) => refusal,
        };
        let is_late = || patience.is_some_and(|patience| waiting.elapsed() >= patience.duration());
        let Some(ticket) = ticket.as_ref().filter(|_| refusal.may_pass && !is_late()) else {
            sign.clear()?;
            return Err(refusal.error);
        };
        pause(setback);
        setback = (setback * 2).min(LONGEST_PAUSE);
        loop {
            if interrupt.is_requested() {
                sign.clear()?;
                return Err(Fault::interrupted("stopped waiting: nothing was claimed").into());
            }
            let ahead = ticket.place()?;
            sign.show(ahead)?;
            if is_late() || claimant.may_be_served(ticket)? {
                break;
            }
            setback = PACE;
            let turns = u32::try_from(ahead + 1).unwrap_or(u32::MAX);
            // Whoever has waited for long is served a hundredth of that later at most.
            let pace = PACE.max(waiting.elapsed() / 100);
            pause(pace.saturating_mul(turns).min(SLOWEST));
        }
    }
}

/// What is said of the place in the queue: redrawn on a terminal, said once elsewhere.
struct Sign {
    shown: Option<usize>,
    is_redrawn: bool,
}

impl Sign {
    fn show(&mut self, ahead: usize) -> io::Result<()> {
        if self.shown == Some(ahead) || (self.shown.is_some() && !self.is_redrawn) {
            return Ok(());
        }
        self.shown = Some(ahead);
        let line = report::claim::waiting(ahead);
        say(&if self.is_redrawn { format!("\r\u{1b}[K{line}") } else { format!("{line}\n") })
    }

    fn clear(&mut self) -> io::Result<()> {
        if self.shown.take().is_some() && self.is_redrawn { say("\r\u{1b}[K") } else { Ok(()) }
    }
}
