//! `kinfra claim --wait`: queueing for a slot. [`super::pace`] decides when to look and when to ask.

use std::time::Duration;

use anyhow::{Context as _, Result};

use super::claim::{Claimed, Turn};
use super::claimant::Claimant;
use super::pace::{Pace, Step};
use super::refusal::Obstacles;
use super::whereabouts::Following;
use crate::fault::Fault;
use crate::host::clock::{Stopwatch, pause};
use crate::host::queue::Ticket;
use crate::host::signals::Interrupt;
use crate::ledger::Snapshot;
use crate::time::Span;

/// How soon Ctrl-C is heard.
const HEARD: Duration = Duration::from_millis(100);

/// What a waiter reports while it waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// No slot can be given now, and why.
    Refused(Obstacles),
    /// It waits behind this many others.
    Waiting(usize),
    /// Docker cannot be asked what is left in free slots.
    Unasked(String),
    /// The wait is over.
    Over,
}

/// Queues until there is a slot, or until the timeout. Meanwhile only the ticket is locked.
///
/// # Errors
/// The last refusal; or that the wait was interrupted.
pub fn wait(
    claimant: &Claimant<'_>,
    seen: Snapshot,
    timeout: Option<Span>,
    interrupt: &Interrupt,
    progress: &mut impl FnMut(Progress),
) -> Result<Claimed> {
    let waiting = Stopwatch::start();
    let mut pace = Pace::new(timeout.map(Span::duration));
    let (mut ticket, mut seen) = (None::<Ticket>, Some(seen));
    loop {
        if interrupt.is_requested() {
            progress(Progress::Over);
            return Err(Fault::interrupted("stopped waiting: nothing was claimed").into());
        }
        let is_near = match &mut ticket {
            Some(ticket) if !pace.is_asking() => ticket.is_near_within(HEARD)?,
            Some(_) | None => true,
        };
        let waited = waiting.elapsed();
        match pace.step(waited, is_near) {
            Step::Ask => {
                let turn = Turn { ticket: &mut ticket, left: pace.left(waited), interrupt };
                let now = look(claimant, seen.as_ref())?;
                let asked = claimant.ask(now, Some(turn));
                match asked {
                    Ok(Err(refusal)) if refusal.may_pass && !pace.is_late(waiting.elapsed()) => {
                        let Some(ticket) = &ticket else { return Err(refusal.error) };
                        pace.refused(waiting.elapsed());
                        refusal.unasked.into_iter().for_each(|why| progress(Progress::Unasked(why)));
                        progress(Progress::Refused(refusal.obstacles));
                        progress(Progress::Waiting(ticket.place()?));
                    }
                    asked => {
                        progress(Progress::Over);
                        return asked?.map_err(|refusal| refusal.error);
                    }
                }
            }
            Step::Look => {
                let ticket = ticket.as_ref().context("a waiter has a ticket")?;
                ticket.answer()?;
                let now = look(claimant, seen.as_ref())?;
                pace.saw(waiting.elapsed(), claimant.outlook(ticket, &now)?);
                seen = Some(now);
                progress(Progress::Waiting(ticket.place()?));
            }
            Step::Rest(rest) if is_near => pause(rest.min(HEARD)),
            // The sleep until the turn was near counts as the pause.
            Step::Rest(_) => {}
        }
    }
}

/// Looks at the pool. What did not change since the last look is not parsed again.
fn look(claimant: &Claimant<'_>, last: Option<&Snapshot>) -> Result<Snapshot> {
    let (ledger, following) = (claimant.pool().ledger(), Following::Of(claimant.worktree()));
    let now = match last {
        Some(last) => ledger.read_since(last, following)?,
        None => ledger.read(following)?,
    };
    Ok(now.ok_or_else(|| claimant.pool().missing())?)
}
