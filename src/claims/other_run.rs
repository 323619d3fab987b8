//! Another run of the same holder: waiting until it is over.

use std::time::Duration;

use anyhow::Result;

use super::held::Held;
use super::lease::has_expired;
use super::refusal::run_still_goes_on;
use crate::fault::Fault;
use crate::host::clock::{Stopwatch, pause};
use crate::host::signals::Interrupt;
use crate::registry::Claim;
use crate::slot::SlotId;
use crate::time::Time;

/// How soon its end, or Ctrl-C, is noticed.
const HEARD: Duration = Duration::from_millis(100);

/// Another run of the same holder.
pub struct OtherRun {
    /// The slot that it has.
    pub slot: SlotId,
    /// Its claim.
    pub claim: Claim,
}

impl OtherRun {
    /// Waits until it is over: its claim ended or ran out, or the worktree made it its own. `held` is the
    /// slot of the holder, and `since` when the wait began.
    ///
    /// # Errors
    /// [`Fault`] when it goes on for longer than that, or the wait is interrupted.
    pub fn until_over(
        &self,
        mut held: Option<Held>,
        (since, longest): (&Stopwatch, Duration),
        interrupt: &Interrupt,
    ) -> Result<()> {
        loop {
            let there = held.as_ref().and_then(|held| Some((held.entry.claim.as_ref()?, held.seen().now())));
            let Some((there, _)) = there.filter(|there| self.goes_on(*there)) else { return Ok(()) };
            if interrupt.is_requested() {
                return Err(Fault::interrupted("stopped waiting: nothing was claimed").into());
            }
            let left = longest.saturating_sub(since.elapsed());
            if left.is_zero() {
                return Err(run_still_goes_on(self.slot, there).into());
            }
            pause(HEARD.min(left));
            held = held.map_or(Ok(None), Held::again)?;
        }
    }

    fn goes_on(&self, (claim, now): (&Claim, Time)) -> bool {
        claim.is_of_run && claim.claim_id == self.claim.claim_id && !has_expired(claim, now)
    }
}
