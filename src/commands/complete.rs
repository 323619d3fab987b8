//! Answers a shell that asks for completions when the user presses Tab.

use std::{ffi::OsString, path::Path};

use anyhow::Result;
use clap::{Command, CommandFactory as _};
use clap_complete::{ArgValueCandidates, CompleteEnv, CompletionCandidate, engine::ArgValueCompleter};

use super::candidates::{claim_ids, held, slots};
use super::complete_paths::{CommandWords, completes_a_command, plans, verbs};
use super::pool_here::{ports, profiles};
use super::project_verbs::of_project;
use crate::cli::Cli;

/// The variable in which the asking shell names itself.
pub(super) const VARIABLE: &str = "KINFRA_COMPLETE";

/// The command that a shell completes, and runs for completions.
pub(super) const NAME: &str = "kinfra";

/// Answers a shell's question. Returns `false` if this run is none, which costs one look at a variable. An
/// error is what clap says of the question.
pub fn answer(arguments: impl IntoIterator<Item = OsString>) -> clap::error::Result<bool> {
    let arguments: Vec<_> = arguments.into_iter().collect();
    let is_first = completes_a_command(&arguments);
    CompleteEnv::with_factory(|| command(is_first))
        .var(VARIABLE)
        .bin(NAME)
        .completer(NAME)
        .try_complete(arguments, Some(Path::new(".")))
}

/// The command line, with the candidates for what only the pool or the machine knows.
fn command(is_first: bool) -> Command {
    let with = |argument: &'static str, values: fn() -> Result<Vec<CompletionCandidate>>| {
        // The user is in the middle of typing, so an error gives no candidates and no message.
        let values = move || values().unwrap_or_default();
        move |verb: Command| verb.mut_arg(argument, |arg| arg.add(ArgValueCandidates::new(values)))
    };
    let completed = |argument: &'static str, by: ArgValueCompleter| {
        move |verb: Command| verb.mut_arg(argument, |arg| arg.add(by))
    };
    let plan = || completed("saved", ArgValueCompleter::new(plans()));
    let words = || completed("words", ArgValueCompleter::new(CommandWords { is_first }));
    let lists = |verb: Command| with("exclude", slots)(with("only", slots)(verb));
    let chosen = |verb: Command| with("profile", profiles)(with("slot", slots)(verb));
    let command = Cli::command()
        .mut_subcommand("plan", lists)
        .mut_subcommand("apply", |verb| plan()(lists(verb)))
        .mut_subcommand("show", plan())
        .mut_subcommand("claim", chosen)
        .mut_subcommand("start", chosen)
        .mut_subcommand("release", |verb| with("claim_id", claim_ids)(with("slot", held)(verb)))
        .mut_subcommand("renew", with("claim_id", claim_ids))
        .mut_subcommand("exec", words())
        .mut_subcommand("run", |verb| words()(chosen(verb)))
        .mut_subcommand("open", |verb| with("port", ports)(with("slot", held)(verb)))
        .mut_subcommand("man", with("verb", || Ok(verbs())));
    of_project(command)
}
