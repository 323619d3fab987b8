//! `kinfra completions`, and the answers to what shells then ask at each press of Tab.

use std::ffi::OsString;
use std::path::Path;

use anyhow::{Result, anyhow};
use clap::{Command, CommandFactory as _, Parser as _};
use clap_complete::env::Shells;
use clap_complete::{ArgValueCandidates, CompleteEnv, CompletionCandidate};

use super::print;
use crate::claims::whereabouts::Following;
use crate::cli::{Cli, CompletionsArgs, PoolArgs, Verb};
use crate::fault::Exit;
use crate::host::invocation::Invocation;
use crate::which::by_worktree::{FoundPool, Search};

/// The variable by which a shell that asks says which it is.
const VARIABLE: &str = "KINFRA_COMPLETE";

/// The name that a shell completes, and that it asks.
const NAME: &str = "kinfra";

pub(crate) fn run(args: &CompletionsArgs) -> Result<Exit> {
    let shell = args.shell.to_string();
    let shells = Shells::builtins();
    let completer =
        shells.completer(&shell).ok_or_else(|| anyhow!("{shell} cannot be told how to complete"))?;
    let mut text = Vec::new();
    completer.write_registration(VARIABLE, NAME, NAME, NAME, &mut text)?;
    print(&String::from_utf8(text)?)?;
    Ok(Exit::Done)
}

/// Answers a shell that asks what could come next. Whether one did; every other run pays for a look at a variable.
///
/// # Errors
/// What clap says of the question.
pub fn answer(arguments: impl IntoIterator<Item = OsString>) -> clap::error::Result<bool> {
    CompleteEnv::with_factory(command)
        .var(VARIABLE)
        .bin(NAME)
        .completer(NAME)
        .try_complete(arguments, Some(Path::new(".")))
}

/// The command line, and where its values come from.
fn command() -> Command {
    let with = |argument: &'static str, values: fn() -> Result<Vec<CompletionCandidate>>| {
        // Whatever is wrong with the pool, a shell is not told.
        let values = move || values().unwrap_or_default();
        move |verb: Command| verb.mut_arg(argument, |arg| arg.add(ArgValueCandidates::new(values)))
    };
    let lists = |verb: Command| with("exclude", slots)(with("only", slots)(verb));
    let wishes = |verb: Command| with("profile", profiles)(with("slot", slots)(verb));
    Cli::command()
        .mut_subcommand("plan", lists)
        .mut_subcommand("apply", lists)
        .mut_subcommand("claim", wishes)
        .mut_subcommand("release", with("slot", slots))
}

/// The pool of whoever presses Tab.
fn this_pool() -> Result<FoundPool> {
    let (args, invocation) = (pool_args()?, Invocation::gather()?);
    Search { choice: &args.choice(), invocation: &invocation }.here()
}

/// The profiles of the pool, smallest first.
fn profiles() -> Result<Vec<CompletionCandidate>> {
    let declared = this_pool()?.declared;
    let profiles = declared.iter().flat_map(|declared| &declared.spec.profiles).enumerate();
    let candidates = profiles.map(|(place, profile)| {
        CompletionCandidate::new(profile.name.to_string()).display_order(Some(place))
    });
    Ok(candidates.collect())
}

/// The slots of the pool, each with what tells it from the others.
fn slots() -> Result<Vec<CompletionCandidate>> {
    let Some(snapshot) = this_pool()?.look(Following::Everyone)? else { return Ok(Vec::new()) };
    let slots = snapshot.registry.slots.into_iter();
    let candidates = slots.enumerate().map(|(place, (id, entry))| {
        let holder = entry.claim.as_ref().map_or("free".to_owned(), |claim| {
            claim.claimed_by.to_string().rsplit('/').next().unwrap_or_default().to_owned()
        });
        let help = format!("{}, {}", entry.provisioned.profile, holder.escape_debug());
        CompletionCandidate::new(id.to_string()).help(Some(help.into())).display_order(Some(place))
    });
    Ok(candidates.collect())
}

/// The pool that the environment names.
fn pool_args() -> Result<PoolArgs> {
    let Verb::Ports(args) = Cli::try_parse_from([NAME, "ports"])?.verb else {
        return Err(anyhow!("`ports` is another verb"));
    };
    Ok(args.pool)
}
