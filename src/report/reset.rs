//! What `reset` says before it asks.

use super::clean::with_size;
use crate::shown::printable;
use crate::stack::reset::Reset;

/// What a reset would remove, a line each.
pub fn plan(reset: &Reset) -> String {
    let containers =
        reset.containers.iter().map(|thing| format!("  - container {}\n", printable(&thing.name)));
    let volumes = reset.volumes.iter();
    let volumes = volumes.map(|(volume, size)| format!("  - {}\n", with_size(&volume.name, size.as_deref())));
    let listed: String = containers.chain(volumes).collect();
    format!("Would remove from slot {}, and start it anew:\n{listed}", reset.held().slot)
}

/// The question.
pub fn question(reset: &Reset) -> String {
    format!("Do you want to reset slot {}? The data of these volumes is lost.", reset.held().slot)
}
