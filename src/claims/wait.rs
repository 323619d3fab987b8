//! `kinfra claim --wait`: queueing for a slot. [`super::pace`] decides when to look and when to ask.

use std::time::Duration;

use anyhow::{Context as _, Error, Result};

use super::claim::{Claimed, Refusal, Turn};
use super::claimant::Claimant;
use super::pace::{Pace, Step};
use super::pick::are_all_around;
use super::refusal::{self, Obstacles};
use super::whereabouts::Following;
use crate::fault::{Exit, Fault, Reason, is_away};
use crate::host::clock::{Stopwatch, pause};
use crate::host::signals::Interrupt;
use crate::ledger::{Snapshot, Ticket};
use crate::time::Span;

/// How soon Ctrl-C is heard by a waiter whose turn is near.
const HEARD: Duration = Duration::from_millis(100);

/// How soon it is heard by one that is far back. There may be a thousand of them.
const HEARD_FAR_BACK: Duration = Duration::from_millis(500);

/// What a waiter reports while it waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// No slot can be given now, and why.
    Refused(Obstacles),
    /// It waits behind this many others.
    Waiting(usize),
    /// Docker cannot be asked what is left in free slots, or the registry's server cannot be asked.
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
    let mut waiter = Waiter {
        claimant,
        waiting: Stopwatch::start(),
        has_end: timeout.is_some(),
        pace: Pace::new(timeout.map(Span::duration)),
        ticket: None,
        seen: Some(seen),
    };
    loop {
        if interrupt.is_requested() {
            progress(Progress::Over);
            return Err(Fault::interrupted("stopped waiting: nothing was claimed").into());
        }
        match waiter.step(interrupt, progress) {
            Ok(Some(claimed)) => {
                progress(Progress::Over);
                return Ok(claimed);
            }
            Ok(None) => {}
            // Its server is started anew, say. What it was asked last is asked again.
            Err(error) if is_away(&error) && waiter.has_time() => {
                progress(Progress::Unasked(error.to_string()));
                pause(HEARD_FAR_BACK);
            }
            Err(error) => {
                progress(Progress::Over);
                return Err(error);
            }
        }
    }
}

/// A claimant that waits.
struct Waiter<'a> {
    claimant: &'a Claimant<'a>,
    waiting: Stopwatch,
    /// Whether its wait has a timeout.
    has_end: bool,
    pace: Pace,
    ticket: Option<Ticket>,
    /// The pool as it was looked at last.
    seen: Option<Snapshot>,
}

impl Waiter<'_> {
    /// Whether it waits already, and may go on.
    fn has_time(&self) -> bool {
        self.ticket.is_some() && !self.pace.is_late(self.waiting.elapsed())
    }

    /// Looks, asks or rests once. `None` if it has no slot yet.
    fn step(
        &mut self,
        interrupt: &Interrupt,
        progress: &mut impl FnMut(Progress),
    ) -> Result<Option<Claimed>> {
        let is_near = match &mut self.ticket {
            Some(ticket) if !self.pace.is_asking() => ticket.is_near_within(HEARD_FAR_BACK)?,
            Some(_) | None => true,
        };
        match self.pace.step(self.waiting.elapsed(), is_near) {
            Step::Ask => return self.ask(interrupt, progress),
            Step::Look => {
                let ticket = self.ticket.as_ref().context("a waiter has a ticket")?;
                ticket.answer()?;
                let now = look(self.claimant, self.seen.as_ref())?;
                self.pace.saw(self.waiting.elapsed(), self.claimant.outlook(ticket, &now)?);
                let is_same = self.seen.as_ref().is_some_and(|seen| seen.is_same(&now));
                self.seen = Some(now);
                // To count the waiters ahead, each ticket is looked at.
                if is_near || !is_same {
                    progress(Progress::Waiting(ticket.place()?));
                }
            }
            Step::Rest(rest) if is_near => pause(rest.min(HEARD)),
            // The sleep until the turn was near counts as the pause.
            Step::Rest(_) => {}
        }
        Ok(None)
    }

    fn ask(&mut self, interrupt: &Interrupt, progress: &mut impl FnMut(Progress)) -> Result<Option<Claimed>> {
        let left = self.pace.left(self.waiting.elapsed());
        let turn = Turn { ticket: &mut self.ticket, left, interrupt };
        turn.ticket.as_ref().map_or(Ok(()), Ticket::answer)?;
        let now = look(self.claimant, self.seen.as_ref())?;
        let is_vain = !self.has_end && is_vain(self.claimant, &now);
        let refusal = match self.claimant.ask(now, Some(turn))? {
            Ok(claimed) => return Ok(Some(claimed)),
            Err(refusal) => refusal,
        };
        if refusal.may_pass && is_vain {
            return Err(refusal::waits_for_itself().into());
        }
        if !refusal.may_pass || self.pace.is_late(self.waiting.elapsed()) {
            return Err(too_late(refusal));
        }
        let Some(ticket) = &self.ticket else { return Err(refusal.error) };
        self.pace.refused(self.waiting.elapsed());
        refusal.unasked.into_iter().for_each(|why| progress(Progress::Unasked(why)));
        progress(Progress::Refused(refusal.obstacles));
        progress(Progress::Waiting(ticket.place()?));
        Ok(None)
    }
}

/// Whether a wait has no end: it is for a slot of a run that waits for it.
fn is_vain(claimant: &Claimant<'_>, now: &Snapshot) -> bool {
    let (wanted, run) = (&claimant.request.wanted, claimant.invocation.run);
    run.is_some_and(|run| are_all_around(&now.registry, wanted, &claimant.profiles, run))
}

/// That the time is over: no slot came, whatever was in the way.
fn too_late(Refusal { error, may_pass, .. }: Refusal) -> Error {
    match error.downcast::<Fault>() {
        Ok(fault) if may_pass && fault.exit == Exit::Refused => {
            Fault { exit: Exit::NoSlot, ..fault }.because(Reason::Full).into()
        }
        Ok(fault) => fault.into(),
        Err(error) => error,
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
