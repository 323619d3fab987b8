//! How long a `run` waits: for another run of its holder, and for a slot.

use std::time::Duration;

use anyhow::Result;

use super::output::say;
use super::run_slot::find;
use crate::claims::other_run::OtherRun;
use crate::claims::refusal::run_goes_on;
use crate::cli::{RunArgs, Wishes};
use crate::host::clock::Stopwatch;
use crate::report;
use crate::stack::up::request::Means;
use crate::time::Span;

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
    /// When the run is not to wait, or has waited long enough; as [`OtherRun::until_over`].
    pub(super) fn until_over(&mut self, other: &OtherRun, args: &RunArgs, means: &Means<'_>) -> Result<()> {
        let Some(wait) = args.wishes.wait else { return Err(run_goes_on(other.slot, &other.claim).into()) };
        if !self.has_waited {
            say(&report::run::waiting(other.slot, &other.claim));
        }
        self.has_waited = true;
        let longest = wait.map_or(Duration::MAX, Span::duration);
        other.until_over(find(args, means.invocation)?, (&self.since, longest), means.interrupt)
    }
}
