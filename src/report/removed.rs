//! What `down` and `reset` say: what of a stack is removed, and what stays.

use super::commas::Commas;
use crate::host::engine::Kind;
use crate::shown::printable;
use crate::slot::SlotId;
use crate::stack::remove::{Removed, Sized};
use crate::stack::reset::Reset;

/// What was removed of a stack.
pub fn down(slot: SlotId, removed: &Removed) -> String {
    let Removed { gone, volumes, others } = removed;
    let mut text = if gone.is_empty() {
        format!("Slot {slot} has nothing that could be removed\n")
    } else {
        let counts = [Kind::Container, Kind::Network].map(|kind| {
            let count = gone.iter().filter(|thing| thing.kind == kind).count();
            (count > 0).then(|| format!("{count} {}{}", kind.word(), if count == 1 { "" } else { "s" }))
        });
        let data = gone.iter().filter(|thing| thing.kind == Kind::Volume).map(volume);
        format!("Removed of slot {slot}: {}\n", Commas(counts.into_iter().flatten().chain(data)))
    };
    if !volumes.is_empty() {
        text.push_str(&format!("Kept {}\n", Commas(volumes.iter().map(volume))));
    }
    text.extend(others.iter().map(|other| format!("note: {}\n", printable(other))));
    text
}

fn volume(volume: &Sized) -> String {
    sized(&volume.name, volume.size.as_deref())
}

fn sized(name: &str, size: Option<&str>) -> String {
    let size = size.map_or_else(String::new, |size| format!(" ({})", printable(size)));
    format!("volume `{}`{size}", printable(name))
}

/// What a reset would remove, and the question.
pub fn reset(slot: SlotId, reset: &Reset) -> (String, String) {
    let containers = reset.containers.iter().map(|thing| format!("  - {}\n", printable(&thing.name)));
    let volumes = reset.volumes.iter();
    let volumes = volumes.map(|(volume, size)| format!("  - {}\n", sized(&volume.name, size.as_deref())));
    let listed: String = containers.chain(volumes).collect();
    let plan = format!("Would stop, remove and start anew in slot {slot}:\n{listed}");
    (plan, format!("Do you want to remove this data of slot {slot}? It cannot be brought back."))
}
