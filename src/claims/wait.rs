//! `kinfra claim --wait`: queueing for a slot.

use std::io::{self, IsTerminal as _};
use std::time::Duration;

use anyhow::Result;

use crate::commands::claim::{Asking, Claimant, Granted, Outlook};
use crate::commands::say;
use crate::fault::Fault;
use crate::host::clock::{Stopwatch, pause};
use crate::host::queue::Ticket;
use crate::host::signals::Interrupt;
use crate::report;
use crate::time::Span;

/// How often those look whose turn is near.
const PACE: Duration = Duration::from_millis(3);
/// How soon Ctrl-C is heard.
const HEARD: Duration = Duration::from_millis(100);
/// How often everybody looks, however far back.
const LOOK: Duration = Duration::from_millis(500);
/// How often at least those look whose turn is near, however long they have waited.
const SLOWEST: Duration = Duration::from_millis(250);
/// How often at least somebody looks who finds a slot free that he does not get, because it is not fit for use.
const LONGEST_SETBACK: Duration = Duration::from_secs(1);
/// How long somebody has to come by himself when it is his turn, before those behind him call him.
const UNCALLED: Duration = Duration::from_secs(2);

/// Queues until there is a slot, or the patience is at an end. Nothing is locked but the ticket meanwhile.
pub(crate) fn wait(claimant: &Claimant<'_>, patience: Option<Span>) -> Result<Granted> {
    let interrupt = &Interrupt::listen()?;
    let waiting = Stopwatch::start();
    let is_late = || patience.is_some_and(|patience| waiting.elapsed() >= patience.duration());
    let mut sign = Sign { shown: None, is_redrawn: io::stderr().is_terminal() };
    let mut ticket = None;
    let (mut was_near, mut behind) = (false, None::<(u64, Stopwatch)>);
    let (mut rest, mut setback) = (Duration::ZERO, PACE);
    loop {
        // Without an end to the patience there is none to that for the lock.
        let left = patience.map_or(Duration::MAX, |span| span.duration().saturating_sub(waiting.elapsed()));
        let asked = claimant.ask(Asking::InTurn { ticket: &mut ticket, left, interrupt });
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
                Outlook::Served => break,
                Outlook::Full => behind = None,
                Outlook::Behind(next) => match behind {
                    // Asking calls him.
                    Some((whom, since)) if whom == next && since.elapsed() >= UNCALLED => break,
                    Some((whom, _)) if whom == next => {}
                    Some(_) | None => behind = Some((next, Stopwatch::start())),
                },
            }
            sign.show(ticket)?;
            // Whoever has waited for long is served a hundredth of that later at most.
            (rest, setback) = ((waiting.elapsed() / 100).clamp(PACE, SLOWEST), PACE);
        }
        behind = None;
        (rest, setback) = (setback, (setback * 2).min(LONGEST_SETBACK));
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
