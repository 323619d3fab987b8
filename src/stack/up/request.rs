//! What is asked of `up`, and what it works with.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::host::child::Destination;
use crate::host::fs::Umask;
use crate::host::invocation::Invocation;
use crate::host::lock::LockPolicy;
use crate::host::signals::Interrupt;
use crate::registry::Elsewhere;
use crate::stack::compose_files::look::Remarks;
use crate::stack::gate::patience::Patience;
use crate::stack::gate::state::Judged;

/// How a stack is to be started.
#[derive(Debug, Clone)]
pub struct UpRequest {
    /// The services. None is all of them.
    pub services: BTreeSet<String>,
    /// The profiles of Compose. `None` are those that are kept with the slot.
    pub profiles: Option<Vec<String>>,
    /// Whether images are built first.
    pub builds: bool,
    /// How long the gate waits.
    pub patience: Patience,
    /// Whether there is a gate.
    pub is_gated: bool,
    /// How long it waits for memory.
    pub waits: Duration,
}

/// What a start works with.
#[derive(Clone, Copy)]
pub struct Means<'a> {
    /// How the registry is locked.
    pub policy: LockPolicy<'a>,
    /// The invocation.
    pub invocation: &'a Invocation,
    /// What ends it early.
    pub interrupt: &'a Interrupt,
    /// The umask of what it runs.
    pub umask: Umask,
    /// Where Compose's output goes.
    pub output: Destination,
}

/// What a start reports while it is on its way.
#[derive(Debug)]
pub enum Progress<'a> {
    /// It waits for another process that starts, stops or cleans the stack.
    Waiting(&'a str),
    /// The stack is on an engine that is not the one in use.
    Elsewhere(&'a Elsewhere),
    /// It waits for memory, for this reason.
    NoMemory(&'a str),
    /// It removes the containers of these services, which the stack does not have any more.
    Removing(&'a BTreeSet<String>),
    /// It starts services: these, or all.
    Starting(&'a BTreeSet<String>, &'a Remarks),
    /// Compose is done.
    Started,
    /// The gate has looked.
    Looked(&'a [Judged]),
    /// The project's own check runs.
    Verifying(&'a [String]),
}

/// How long Compose may take where it builds images.
const BUILDING: Duration = Duration::from_mins(30);

impl UpRequest {
    /// How long a whole start may take: Compose, the gate and the project's own check. As long is another one
    /// waited for.
    pub(in crate::stack) fn longest(&self) -> Duration {
        self.longest_start(true).saturating_add(self.patience.timeout.saturating_mul(2))
    }

    /// How long Compose may take.
    pub(in crate::stack) fn longest_start(&self, is_built: bool) -> Duration {
        if is_built && self.builds { self.patience.timeout.max(BUILDING) } else { self.patience.timeout }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_that_may_take_for_ever_may_take_for_ever() {
        let longest = |timeout| {
            let patience = Patience { timeout, settle: Duration::ZERO };
            let (services, waits) = (BTreeSet::new(), Duration::ZERO);
            UpRequest { services, profiles: None, builds: true, patience, is_gated: true, waits }.longest()
        };
        assert_eq!(longest(Duration::from_mins(1)), Duration::from_mins(32));
        assert_eq!(longest(Duration::MAX), Duration::MAX);
    }
}
