//! The variables of a slot, in the languages that shells and programs read.

use anyhow::Error;
use serde_json::json;

use super::document::{FORMAT_VERSION, document};
use crate::agent::Agent;
use crate::claims::environment::Change;
use crate::dotenv::{Variables, is_name};
use crate::shown::printable;
use crate::slot::SlotId;

/// A change of the environment for `eval` in a POSIX shell.
pub fn shell(change: &Change) -> String {
    let quoted = |value: &str| format!("'{}'", value.replace('\'', r"'\''"));
    lines(change, "unset -v", |name, value| format!("export {name}={}\n", quoted(value)))
}

/// A change of the environment for `source` in fish.
pub fn fish(change: &Change) -> String {
    let quoted = |value: &str| format!("'{}'", value.replace('\\', r"\\").replace('\'', r"\'"));
    lines(change, "set -e", |name, value| format!("set -gx {name} {}\n", quoted(value)))
}

fn lines(change: &Change, unset: &str, set: impl Fn(&str, &str) -> String) -> String {
    // No shell can hold any other name, and none is to read it as something else.
    let unset = change.unset.iter().filter(|name| is_name(name)).map(|name| format!("{unset} {name}\n"));
    unset.chain(change.set.iter().map(|(name, value)| set(name, value))).collect()
}

/// What a shell does where there are no variables for it: forget the last slot, and fail, so that a command
/// after `eval "$(kinfra env)" &&` does not run.
pub fn without_slot(change: &str) -> String {
    format!("{change}false\n")
}

/// The variables that the caller had set on purpose, and that a command in the slot does not see.
pub fn dropped(change: &Change) -> String {
    let line = |(name, value): (&String, &String)| {
        let (value, done) =
            (printable(value), if change.set.contains_key(name) { "replaced" } else { "dropped" });
        format!("note: {name} was set to `{value}`: {done}, because it would lead Compose elsewhere\n")
    };
    change.dropped.iter().map(line).collect()
}

/// That Compose refuses to run with these variables, because the overlay could not be written.
pub fn unwritten(error: Option<&Error>, agent: Option<Agent>) -> String {
    let Some(error) = error else { return String::new() };
    let why = format!("{error:#}");
    let why = agent.and_then(|agent| agent.keeps_from_error(&why)).unwrap_or(why);
    let what = printable(&why);
    format!("warning: `docker compose` fails with these: {what}\nhelp: `kinfra up` writes it where it may\n")
}

/// The variables as one JSON document.
pub fn json(slot: SlotId, variables: &Variables) -> String {
    document(&json!({ "format_version": FORMAT_VERSION, "slot_id": slot, "variables": variables }))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn change() -> Change {
        let set = [("A", "it's"), ("B", "x\\y")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        let dropped = [("A", "old"), ("COMPOSE_FILE", "x\u{1b}")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let unset: BTreeSet<String> = ["OLD", "no name"].map(str::to_owned).into();
        Change { unset, set: set.into_iter().collect(), dropped: dropped.into_iter().collect() }
    }

    #[test]
    fn a_change_is_told_in_the_language_of_the_shell() {
        assert_eq!(shell(&change()), "unset -v OLD\nexport A='it'\\''s'\nexport B='x\\y'\n");
        assert_eq!(fish(&change()), "set -e OLD\nset -gx A 'it\\'s'\nset -gx B 'x\\\\y'\n");
        assert_eq!(without_slot("unset -v OLD\n"), "unset -v OLD\nfalse\n");
        let notes = dropped(&change());
        let why = "because it would lead Compose elsewhere";
        assert_eq!(
            notes,
            format!(
                "note: A was set to `old`: replaced, {why}\nnote: COMPOSE_FILE was set to `x\\u{{1b}}`: dropped, {why}\n"
            )
        );
        let unwritten = |error: Option<Error>| super::unwritten(error.as_ref(), None);
        assert_eq!(unwritten(None), "");
        let said = unwritten(Some(Error::msg("no space")));
        assert!(said.starts_with("warning: `docker compose` fails with these: no space\nhelp: "), "{said}");
        let told: serde_json::Value =
            serde_json::from_str(&json(SlotId::new(3).unwrap(), &change().set)).unwrap();
        let variables = json!({ "A": "it's", "B": "x\\y" });
        assert_eq!(told, json!({ "format_version": FORMAT_VERSION, "slot_id": 3, "variables": variables }));
    }
}
