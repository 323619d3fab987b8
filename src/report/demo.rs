//! What to try in the repository that `kinfra demo` made.

use std::fmt::Write as _;

use camino::Utf8Path;

use super::Paths;
use crate::demo::Demo;
use crate::shown::printable;

/// The commands to try, and what each does.
const STEPS: [(&str, &str); 5] = [
    ("kinfra apply", "creates the slots of slots.toml"),
    ("kinfra start blue", "a branch, its worktree, a slot, and its own stack"),
    ("kinfra start green", "a second one, beside the first"),
    ("kinfra slots", "who has which slot, and what runs"),
    ("kinfra done blue", "takes all of it back: the stack, its data, the worktree"),
];

/// Where it is, and the commands. `named` is the directory as the user named it.
pub fn text(named: &Utf8Path, Demo { dir, image }: &Demo, paths: Paths<'_>) -> String {
    let mut text =
        format!("Made {}, a repository with a stack of `{}`. Try:\n", paths.show(dir), printable(image));
    let _ = writeln!(text, "  cd {}", printable(named.as_str()));
    let width = STEPS.iter().map(|(command, _)| command.len()).max().unwrap_or_default();
    for (command, what) in STEPS {
        let _ = writeln!(text, "  {command:width$}   # {what}");
    }
    text
}
