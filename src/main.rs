//! `kinfra`: parses the command line, runs the verb, prints the error chain, exits with its code.

use std::env;
use std::io::Write as _;
use std::process::ExitCode;

use anyhow::{Error, Result};
use clap::Parser as _;
use kinfra::cli::{Cli, with_tip};
use kinfra::commands;
use kinfra::fault::{Exit, exit_of};
use kinfra::host::invocation::Invocation;
use kinfra::report;

fn main() -> ExitCode {
    let exit = match commands::answer(env::args_os()) {
        Ok(true) => Exit::Done,
        Ok(false) => match Cli::try_parse() {
            Ok(cli) => run(cli).unwrap_or_else(|error| tell(&error)),
            Err(shown) => show(&with_tip(shown)),
        },
        Err(shown) => show(&shown),
    };
    ExitCode::from(exit as u8)
}

/// Shows what clap says: help, or what is wrong with the command line.
fn show(shown: &clap::Error) -> Exit {
    // A closed pipe is no error, and no reader is left to tell of another.
    let _ = shown.print();
    if shown.use_stderr() { Exit::Usage } else { Exit::Done }
}

fn run(cli: Cli) -> Result<Exit> {
    match Invocation::gather() {
        Ok(invocation) => commands::run(cli.verb, &invocation),
        Err(error) => commands::stop(&cli.verb).and(Err(error)),
    }
}

/// Prints an error.
fn tell(error: &Error) -> Exit {
    let _ = anstream::stderr().write_all(report::fault::text(error).as_bytes());
    exit_of(error)
}
