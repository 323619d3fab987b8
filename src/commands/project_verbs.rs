//! The verbs that slots.toml declares. It is read for them only where clap knows no such verb, or the verbs
//! are to be listed or completed.

use std::ffi::OsString;

use anyhow::Result;
use clap::{Command, Error, Parser as _};

use super::output::say;
use super::pool_here::pool_args;
use crate::cli::{Cli, Verb, is_about_verbs, parse, with_verbs};
use crate::host::invocation::Invocation;
use crate::report::verbs::{not_known, taken};
use crate::spec::Verbs;
use crate::which::{by_worktree::Search, choice::PoolChoice, verbs::verbs};

/// What clap makes of the words once it knows the verbs of the project, if these matter.
///
/// # Errors
/// What clap says.
pub fn in_project(shown: Error, words: impl IntoIterator<Item = OsString>) -> Result<Cli, Error> {
    let words: Vec<OsString> = words.into_iter().collect();
    if !is_about_verbs(&shown, &words) {
        return Err(shown);
    }
    match declared(&words) {
        Ok(verbs) => {
            say(&taken(&verbs));
            if verbs.declared.is_empty() { Err(shown) } else { parse(&words, &verbs.declared) }
        }
        Err(why) => {
            say(&not_known(&why));
            Err(shown)
        }
    }
}

/// The command line that a shell completes, with the verbs of the project.
pub(super) fn of_project(command: Command) -> Command {
    // The user is in the middle of typing, so an error gives no verbs and no message.
    with_verbs(command, &declared(&[]).unwrap_or_default().declared)
}

fn declared(words: &[OsString]) -> Result<Verbs> {
    let choice = choice(words)?;
    verbs(&Search { choice: &choice, invocation: &Invocation::gather()? })
}

/// The pool that the words name for `start`.
fn choice(words: &[OsString]) -> Result<PoolChoice> {
    let words = words.iter().enumerate();
    let as_start = words.map(|(at, word)| if at == 1 { OsString::from("start") } else { word.clone() });
    match Cli::try_parse_from(as_start).map(|cli| cli.verb) {
        Ok(Verb::Start(args)) if args.wishes.embedded => Ok(args.pool.embedded()),
        Ok(Verb::Start(args)) => Ok(args.pool.choice()),
        Ok(_) | Err(_) => Ok(pool_args()?.choice()),
    }
}
