//! Answers a shell that asks for completions when the user presses Tab.

use std::{ffi::OsString, path::Path};

use anyhow::Result;
use clap::{Command, CommandFactory as _};
use clap_complete::{ArgValueCandidates, CompleteEnv, CompletionCandidate, engine::ArgValueCompleter};

use super::candidates::{claim_ids, held, slots};
use super::complete_paths::{CommandWords, completes_a_command, plans, verbs};
use super::pool_here::{ports, profiles};
use super::project_verbs::of_project;
use crate::cli::{self, Cli, whole};

/// The variable in which the asking shell names itself.
pub(super) const VARIABLE: &str = "KINFRA_COMPLETE";

/// The command that a shell completes, and runs for completions.
pub(super) const NAME: &str = "kinfra";

/// Answers a shell's question; `false` if this run is none. An error is what clap says of the question.
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
    let plan = |verb: Command| verb.mut_arg("saved", |arg| arg.add(ArgValueCompleter::new(plans())));
    let words = |verb: Command| {
        verb.mut_arg("words", |arg| arg.add(ArgValueCompleter::new(CommandWords { is_first })))
    };
    let lists = |verb: Command| with("exclude", slots)(with("only", slots)(verb));
    let chosen = |verb: Command| with("profile", profiles)(with("slot", slots)(verb));
    let released = |verb: Command| with("claim_id", claim_ids)(with("slot", held)(verb));
    let command = Cli::command()
        .mut_subcommand("plan", |verb| lists(whole::<cli::PlanArgs>(verb)))
        .mut_subcommand("apply", |verb| plan(lists(whole::<cli::ApplyArgs>(verb))))
        .mut_subcommand("show", |verb| plan(whole::<cli::ShowArgs>(verb)))
        .mut_subcommand("claim", |verb| chosen(whole::<cli::ClaimArgs>(verb)))
        .mut_subcommand("start", |verb| chosen(whole::<cli::StartWorktreeArgs>(verb)))
        .mut_subcommand("release", |verb| released(whole::<cli::ReleaseArgs>(verb)))
        .mut_subcommand("renew", |verb| with("claim_id", claim_ids)(whole::<cli::RenewArgs>(verb)))
        .mut_subcommand("exec", |verb| words(whole::<cli::ExecArgs>(verb)))
        .mut_subcommand("run", |verb| words(chosen(whole::<cli::RunArgs>(verb))))
        .mut_subcommand("open", |verb| with("port", ports)(with("slot", held)(whole::<cli::OpenArgs>(verb))))
        .mut_subcommand("history", |verb| with("slot", slots)(whole::<cli::HistoryArgs>(verb)))
        .mut_subcommand("man", |verb| with("verb", || Ok(verbs()))(whole::<cli::ManArgs>(verb)));
    of_project(command)
}
