//! What `hook` says.

use anyhow::Error;
use camino::Utf8Path;

use super::diff::of_project;
use crate::fault::advice_of;
use crate::hooks::install::{Aim, Change};
use crate::shown::printable;
use crate::slot::SlotId;

/// What would change in the file of a tool.
pub fn difference(change: &Change) -> String {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    of_project(change.path().as_str(), &text(&change.old), &text(&change.new))
}

/// What is asked.
pub fn question(aim: Aim) -> &'static str {
    match aim {
        Aim::Install => "Do you want to add these hooks?",
        Aim::Uninstall => "Do you want to remove these hooks?",
    }
}

/// That there is nothing to do.
pub fn nothing(aim: Aim, tool: &str) -> String {
    match aim {
        Aim::Install => format!("Nothing to do: the hooks for {tool} are there\n"),
        Aim::Uninstall => format!("Nothing to do: kinfra added no hook for {tool}\n"),
    }
}

/// What was done with a file.
pub fn done(change: &Change) -> String {
    let what = match (&change.old, &change.new) {
        (None, _) => "Made",
        (_, None) => "Removed",
        (Some(_), Some(_)) => "Changed",
    };
    format!("{what} {}\n", printable(change.path().as_str()))
}

/// Why a hook did nothing, in one line.
pub fn excuse(error: &Error) -> String {
    let advice = advice_of(error).map_or_else(String::new, |advice| format!("; {advice}"));
    // Who reads it typed another program's command, such as git's, that has no such flag.
    let advice = advice.replace("`--wait` waits", "`kinfra claim --wait` there waits");
    let text = format!("{error:#}{advice}");
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !is_of_a_frame(line)).collect();
    format!("kinfra: {}\n", lines.join("; "))
}

/// Whether a line draws the source around a mistake, or is empty.
fn is_of_a_frame(line: &str) -> bool {
    line.trim_start_matches(|c: char| c.is_ascii_digit()).trim_start().starts_with('|') || line.is_empty()
}

/// What an agent is told of the slot of its worktree.
pub fn context(slot: SlotId, worktree: &Utf8Path) -> String {
    format!(
        "The worktree {} holds slot {slot} of kinfra's pool. `kinfra up` starts its stack on its own ports, \
         `kinfra status` shows its addresses, and `kinfra logs --failing` says why a service does not run.\n",
        printable(worktree.as_str())
    )
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;
    use crate::fault::Fault;

    #[test]
    fn a_mistake_of_slots_toml_is_told_without_its_frame() {
        let error = anyhow!(
            "error: the file has no key `verb`\n  --> slots.toml:56:2\n   |\n56 | [verb]\n   |  ^^^^\n   |\n   = help: did you mean `verbs`?"
        );
        let told =
            "kinfra: error: the file has no key `verb`; --> slots.toml:56:2; = help: did you mean `verbs`?\n";
        assert_eq!(excuse(&error), told);
    }

    #[test]
    fn a_flag_that_the_command_of_another_program_lacks_is_told_with_its_verb() {
        let error = Fault::no_slot("no slot is free").advise("`--wait` waits for a slot").into();
        let told = "kinfra: no slot is free; `kinfra claim --wait` there waits for a slot\n";
        assert_eq!(excuse(&error), told);
    }

    #[test]
    fn what_a_hook_does_is_said() {
        for (aim, asked, nothing_said) in [
            (Aim::Install, "Do you want to add these hooks?", "Nothing to do: the hooks for git are there\n"),
            (
                Aim::Uninstall,
                "Do you want to remove these hooks?",
                "Nothing to do: kinfra added no hook for git\n",
            ),
        ] {
            assert_eq!((question(aim), nothing(aim, "git").as_str()), (asked, nothing_said));
        }
        let told = context(SlotId::new(3).unwrap(), Utf8Path::new("/w"));
        assert!(told.starts_with("The worktree /w holds slot 3 of kinfra's pool. `kinfra up`"), "{told}");
        assert!(is_of_a_frame("12 | x") && is_of_a_frame("|") && is_of_a_frame(""));
        assert!(!is_of_a_frame("12 x") && !is_of_a_frame("= help: | x"));
    }
}
