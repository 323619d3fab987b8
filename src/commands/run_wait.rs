//! How long a `run` waits: for another run of its holder, and for a slot.

use std::time::Duration;

use anyhow::Result;

use super::output::say;
use super::run_slot::find;
use crate::claims::held::Held;
use crate::claims::lease::has_expired;
use crate::claims::refusal::{run_goes_on, run_still_goes_on};
use crate::cli::{RunArgs, Wishes};
use crate::fault::Fault;
use crate::host::clock::{Stopwatch, now, pause};
use crate::registry::Claim;
use crate::report;
use crate::slot::SlotId;
use crate::stack::up::request::Means;
use crate::time::Span;

/// How soon the end of the other run, or Ctrl-C, is noticed.
const HEARD: Duration = Duration::from_millis(100);

/// Another run of the same holder.
pub(super) struct Other {
    pub(super) slot: SlotId,
    pub(super) claim: Claim,
}

/// The wait of a run.
pub(super) struct Wait {
    since: Stopwatch,
    /// Whether it has begun to wait for another run.
    has_waited: bool,
}

impl Wait {
    pub(super) fn new() -> Self {
        Self { since: Stopwatch::start(), has_waited: false }
    }

    /// The wishes of a run, with what is left of the time that it waits.
    pub(super) fn wishes(&self, args: &RunArgs) -> Wishes {
        let wishes = args.wishes();
        let left = |span: Span| Span::seconds(span.duration().saturating_sub(self.since.elapsed()));
        let wait = wishes.wait.map(|wait| wait.map(|span| if self.has_waited { left(span) } else { span }));
        Wishes { wait, ..wishes }
    }

    /// Waits until another run of this holder is over.
    ///
    /// # Errors
    /// [`Fault`] when the run is not to wait, has waited long enough, or is interrupted.
    pub(super) fn until_over(&mut self, other: Other, args: &RunArgs, means: &Means<'_>) -> Result<()> {
        let Other { slot, claim } = other;
        let Some(wait) = args.wishes.wait else { return Err(run_goes_on(slot, &claim).into()) };
        let longest = wait.map_or(Duration::MAX, Span::duration);
        let mut held = find(args, means.invocation)?;
        if !self.has_waited {
            say(&report::run::waiting(slot, &claim));
        }
        self.has_waited = true;
        loop {
            let now_there = held.as_ref().and_then(|held| held.entry.claim.as_ref());
            let goes_on =
                |it: &&Claim| it.claim_id == claim.claim_id && it.is_of_run && !has_expired(it, now());
            let Some(there) = now_there.filter(goes_on) else { return Ok(()) };
            if means.interrupt.is_requested() {
                return Err(Fault::interrupted("stopped waiting: nothing was claimed").into());
            }
            let left = longest.saturating_sub(self.since.elapsed());
            if left.is_zero() {
                return Err(run_still_goes_on(slot, there).into());
            }
            pause(HEARD.min(left));
            held = held.map_or(Ok(None), Held::again)?;
        }
    }
}
