//! `kinfra`: parses the command line, runs the verb, prints the error chain, exits with its code.

use std::env;
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser as _;
use kinfra::cli::{Cli, with_tip};
use kinfra::commands;
use kinfra::fault::Exit;
use kinfra::host::invocation::Invocation;

fn main() -> ExitCode {
    let exit = match commands::answer(env::args_os()) {
        Ok(true) => Exit::Done,
        Ok(false) => match Cli::try_parse() {
            Ok(cli) => run(cli).unwrap_or_else(|error| commands::tell(&error)),
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
