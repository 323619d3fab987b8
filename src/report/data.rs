//! The volumes and images of slots that go.

use std::fmt::Write as _;

use owo_colors::OwoColorize as _;

use crate::provision::data::Datum;
use crate::shown::printable;

/// What will be removed with the slots, with the size of each.
pub fn planned(data: &[Datum]) -> String {
    if data.is_empty() {
        return "\nNo volumes and no images of these slots.\n".to_owned();
    }
    let mut text = "\nWith their volumes and images:\n".to_owned();
    for datum in data {
        let size = datum.size.as_deref().map_or_else(|| "size unknown".to_owned(), printable);
        let _ = writeln!(text, "  {} Would remove {} ({size})", "-".red(), named(datum));
    }
    text
}

/// What was removed, and what was not and why.
pub fn removed(data: &[(Datum, Result<(), String>)]) -> String {
    let mut text = String::new();
    for (datum, removed) in data {
        let _ = match removed {
            Ok(()) => writeln!(text, "Removed {}", named(datum)),
            Err(said) => writeln!(text, "{} {}: {}", "Failed".red(), named(datum), printable(said)),
        };
    }
    text
}

fn named(datum: &Datum) -> String {
    format!("{} {} of slot {}", datum.thing.kind.word(), printable(&datum.thing.name), datum.slot)
}
