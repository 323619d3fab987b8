//! What the verbs say that run a slot's stack.

use super::env;
use crate::shown::{count, printable};
use crate::stack::admission::neighbours::LastLook;
use crate::stack::compose_files::look::Remarks;
use crate::stack::prepare::Prepared;

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

/// What is to be said before Compose runs.
pub fn prepared(prepared: &Prepared<'_>) -> String {
    let by_name = prepared
        .broken
        .as_ref()
        .map(|error| format!("note: without the project's files, by its name alone: {error:#}\n"));
    let dropped = env::dropped(&prepared.change);
    format!("{}{dropped}{}", by_name.unwrap_or_default(), remarks(&prepared.remarks))
}

/// What a plan says of isolation. It asks no one, so it says how old its knowledge is.
pub fn last_look(look: Option<&LastLook>) -> String {
    match look {
        None => String::new(),
        Some(LastLook { started: 0, .. }) => {
            "Isolation: not checked. `kinfra validate` says what slots would share\n".to_owned()
        }
        Some(LastLook { started, conflicts }) if conflicts.is_empty() => {
            format!(
                "Isolation: as last started, the stacks of {} share nothing but what is declared\n",
                count(*started, "slot")
            )
        }
        Some(LastLook { started: _, conflicts }) => {
            let conflicts = conflicts.iter().map(|conflict| format!("  - {conflict}\n"));
            format!(
                "Isolation: as last started, stacks share what is not declared\n{}",
                conflicts.collect::<String>()
            )
        }
    }
}
