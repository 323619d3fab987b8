//! The colours of what needs attention: red for what does not work, yellow for what you should look at.

use owo_colors::AnsiColors;

use crate::claims::standing::Standing;
use crate::registry::{Condition, Entry};
use crate::stack::gate::state::Prospect;
use crate::stack::observe::sight::{Sight, StackState};

#[cfg(test)]
#[path = "attention_tests.rs"]
mod tests;

/// The colour of a slot's status.
pub(super) fn of_slot(entry: &Entry, standing: Option<Standing>, sight: &Sight) -> Option<AnsiColors> {
    let is_over = matches!(standing, Some(Standing::Orphaned | Standing::Missing | Standing::Expired));
    if entry.pending.is_some() || is_over {
        return Some(AnsiColors::Yellow);
    }
    match (entry.condition(), sight.state()) {
        (Condition::Held, StackState::Down | StackState::Exited) if matches!(sight, Sight::WasUp(_)) => {
            Some(AnsiColors::Yellow)
        }
        (Condition::Quarantined(_), _) => Some(AnsiColors::Red),
        (_, StackState::Looping | StackState::OutOfMemory | StackState::Failed | StackState::Unhealthy) => {
            Some(AnsiColors::Red)
        }
        (Condition::Dirty(_), _) | (_, StackState::Unknown) => Some(AnsiColors::Yellow),
        (
            Condition::Held | Condition::Clean | Condition::KeepsData(_),
            StackState::NeverStarted
            | StackState::Down
            | StackState::Exited
            | StackState::Starting
            | StackState::Running,
        ) => None,
    }
}

/// The place of a slot among others: first what does not work, then what you should look at.
pub(super) fn rank(entry: &Entry, standing: Option<Standing>, sight: &Sight) -> u8 {
    match of_slot(entry, standing, sight) {
        Some(AnsiColors::Red) => 0,
        Some(_) => 1,
        None => 2,
    }
}

/// The colour of a service's state.
pub(super) fn of_service(prospect: Prospect) -> Option<AnsiColors> {
    match prospect {
        Prospect::Over | Prospect::Stuck => Some(AnsiColors::Red),
        Prospect::OnItsWay | Prospect::Ready => None,
    }
}
