//! Whether a stack was up and is not: the machine or its engine was started anew, or its containers were
//! stopped without kinfra.

use super::sight::{Glance, Sight};
use crate::claims::listing::Listed;
use crate::host::root::Root;
use crate::stack::admission::uses::Uses;
use crate::stack::gate::state::ServiceState;
use crate::stack::up::last_start::LastStart;

/// What Docker showed of a slot's stack. Where nothing of it runs, the slot's directory tells whether
/// something should.
pub(in crate::stack) fn seen(listed: &Listed, glances: Vec<Glance>) -> Sight {
    let is_up = |glance: &Glance| glance.up_for.is_some() || glance.state == ServiceState::Looping;
    if !glances.iter().any(is_up) && is_to_be_up(listed) && ran(listed, &glances) && !is_in_hand(listed) {
        Sight::WasUp(glances)
    } else {
        Sight::Seen(glances)
    }
}

/// Whether the holder's stack was started, and no `down` was asked for since.
fn is_to_be_up(listed: &Listed) -> bool {
    let is_noted = listed.entry.started.as_ref().is_some_and(|started| started.left.is_none());
    let has_not_ended = || Uses::read(listed.dir()).ok().flatten().is_some_and(|uses| !uses.has_ended);
    listed.entry.claim.is_some() && is_noted && has_not_ended()
}

/// Whether something ran that was to stay up: by the last start that came to something, or by what it left.
fn ran(listed: &Listed, glances: &[Glance]) -> bool {
    match LastStart::read(listed.dir()).map(|last| last.containers) {
        Some(containers) if !containers.is_empty() => containers.values().any(|runs| *runs),
        Some(_) | None => glances.iter().any(|glance| glance.state == ServiceState::Failed),
    }
}

/// Whether another process starts, stops or cleans the stack now.
fn is_in_hand(listed: &Listed) -> bool {
    let root = listed.dir().parent().and_then(|root| Root::open(root).ok().flatten());
    root.is_some_and(|root| !matches!(root.holder_of_stack(listed.slot), Ok(None)))
}
