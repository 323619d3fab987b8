//! The commands, verbs and files that a shell can complete.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use camino::Utf8Path;
use clap::CommandFactory as _;
use clap_complete::CompletionCandidate;
use clap_complete::engine::{PathCompleter, ValueCompleter};

use crate::cli::Cli;
use crate::host::invocation::in_environment;
use crate::host::program::commands;
use crate::saved::is_plan;

/// A command, then what it may be about: files.
pub(super) struct CommandWords {
    /// Whether the word is the command.
    pub(super) is_first: bool,
}

impl ValueCompleter for CommandWords {
    fn complete(&self, current: &OsStr) -> Vec<CompletionCandidate> {
        let files = PathCompleter::any().complete(current);
        let start =
            current.to_str().filter(|start| self.is_first && !start.is_empty() && !start.contains('/'));
        let path = in_environment("PATH").unwrap_or_default();
        let commands = start.map(|start| commands(&path, start)).unwrap_or_default();
        commands.into_iter().map(CompletionCandidate::new).chain(files).collect()
    }
}

/// Whether a shell asks for the first word of a command: the one after the verb or after `--`. It says which
/// word it asks for, or that is the last one.
pub(super) fn completes_a_command(arguments: &[OsString]) -> bool {
    let words: Vec<&OsString> = arguments.iter().skip_while(|word| *word != "--").skip(1).collect();
    let index = in_environment("_CLAP_COMPLETE_INDEX").and_then(|index| index.parse().ok());
    let before = index.unwrap_or(words.len().saturating_sub(1)).checked_sub(1);
    let before = before.and_then(|before| words.get(before));
    before.is_some_and(|word| ["--", "exec", "run"].iter().any(|one| *word == one))
}

/// Plans that were saved, and the directories on the way to them.
pub(super) fn plans() -> PathCompleter {
    let may_be = |path: &Path| path.is_dir() || Utf8Path::from_path(path).is_some_and(is_plan);
    PathCompleter::any().filter(may_be)
}

/// The verbs.
pub(super) fn verbs() -> Vec<CompletionCandidate> {
    let command = Cli::command();
    let verbs = command.get_subcommands().filter(|verb| !verb.is_hide_set());
    verbs.map(|verb| CompletionCandidate::new(verb.get_name().to_owned())).collect()
}
