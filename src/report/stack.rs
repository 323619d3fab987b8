//! What the verbs say that run a slot's stack.

use crate::shown::printable;
use crate::stack::look::Remarks;

/// What the overlay leaves out or cannot move.
pub fn remarks(Remarks { unpublished, notes }: &Remarks) -> String {
    let mut text = String::new();
    if !unpublished.is_empty() {
        let targets: Vec<&str> = unpublished.iter().map(|(target, _)| target.as_str()).collect();
        let targets = printable(&targets.join(", "));
        text = format!("note: not published on this machine: {targets}. These lines of [ports] would:\n");
        text.extend(unpublished.iter().map(|(_, line)| format!("      {}\n", printable(line))));
    }
    text.extend(notes.iter().map(|note| format!("note: {}\n", printable(note))));
    text
}
