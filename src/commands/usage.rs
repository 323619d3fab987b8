//! A command line that is no verb to run: it asks for help, or is wrong.

use std::ffi::OsString;

use clap::Error;

use super::env;
use super::failure::tell;
use super::output::{pass_on, show_as_laid_out};
use crate::cli::EnvFormat;
use crate::fault::Exit;

/// Shows what clap says of the arguments. A shell that evaluates what `env` prints hears of it, too.
pub fn explain(error: &Error, arguments: impl IntoIterator<Item = OsString>) -> Exit {
    let text = error.render().ansi().to_string();
    if !error.use_stderr() {
        return show_as_laid_out(&text).map_or_else(|why| tell(&why.into()), |()| Exit::Done);
    }
    evaluated(arguments).into_iter().for_each(env::stop);
    pass_on(&text);
    Exit::Usage
}

/// The format that `env` was to print, as far as the arguments can be read.
fn evaluated(arguments: impl IntoIterator<Item = OsString>) -> Option<EnvFormat> {
    let arguments: Vec<OsString> = arguments.into_iter().skip(1).collect();
    let is_env = arguments.first().is_some_and(|verb| verb == "env");
    let is_named = |format: &str| {
        arguments.iter().any(|argument| argument == format || *argument == *format!("--format={format}"))
    };
    match () {
        () if !is_env || is_named("dotenv") || is_named("json") => None,
        () if is_named("fish") => Some(EnvFormat::Fish),
        () => Some(EnvFormat::Shell),
    }
}
