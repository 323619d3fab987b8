//! The commands, verbs and files that a shell can complete.

use std::ffi::OsStr;
use std::path::Path;

use camino::Utf8Path;
use clap::CommandFactory as _;
use clap_complete::CompletionCandidate;
use clap_complete::engine::{PathCompleter, ValueCompleter};

use crate::cli::Cli;
use crate::host::invocation::environment;
use crate::host::program::commands;
use crate::saved::is_plan;

/// A command, then what it may be about: files.
pub(super) struct CommandWords;

impl ValueCompleter for CommandWords {
    fn complete(&self, current: &OsStr) -> Vec<CompletionCandidate> {
        self.complete_at(0, current)
    }

    fn complete_at(&self, index: usize, current: &OsStr) -> Vec<CompletionCandidate> {
        let files = PathCompleter::any().complete(current);
        let start = current.to_str().filter(|start| index == 0 && !start.is_empty() && !start.contains('/'));
        let path = environment().get("PATH").cloned().unwrap_or_default();
        let commands = start.map(|start| commands(&path, start)).unwrap_or_default();
        commands.into_iter().map(CompletionCandidate::new).chain(files).collect()
    }
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
