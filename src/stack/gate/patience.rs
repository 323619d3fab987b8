//! When the gate has seen enough. Pure.

use std::time::Duration;

use super::state::{Judged, Prospect, ServiceState};

/// How long the gate waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// For the whole stack.
    pub timeout: Duration,
    /// How long a service must be up.
    pub settle: Duration,
}

/// Whether a stack runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Each service is as it should be.
    Runs,
    /// A service is not, and does not get there.
    DoesNotRun,
    /// A service is not ready yet, and the time is over.
    NotInTime,
}

/// How long a service may be stuck after every other one is ready or stuck. A health check may have been too
/// strict with a slow start.
fn grace(state: ServiceState) -> Duration {
    Duration::from_secs(if state == ServiceState::Unhealthy { 30 } else { 10 })
}

impl Patience {
    /// The verdict, or `None` to look again. `stuck_for` says how long no service has been on its way, and
    /// `waited` how long the gate has looked.
    pub fn verdict(&self, judged: &[Judged], stuck_for: Duration, waited: Duration) -> Option<Verdict> {
        let is = |prospect: Prospect| move |judged: &&Judged| judged.prospect == prospect;
        if judged.iter().all(Judged::is_ready) {
            return Some(Verdict::Runs);
        }
        if judged.iter().any(|judged| judged.prospect == Prospect::Over) {
            return Some(Verdict::DoesNotRun);
        }
        let mut stuck = judged.iter().filter(is(Prospect::Stuck));
        if stuck.clone().any(|judged| stuck_for >= grace(judged.state)) {
            return Some(Verdict::DoesNotRun);
        }
        if waited < self.timeout {
            return None;
        }
        let is_pending = |state| matches!(state, ServiceState::Missing | ServiceState::Created);
        let is_bad = stuck.any(|judged| !is_pending(judged.state));
        Some(if is_bad { Verdict::DoesNotRun } else { Verdict::NotInTime })
    }
}
