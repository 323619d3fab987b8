//! `kinfra`: parses the command line, runs the verb, prints the error chain, exits with its code.

use std::env::args_os;
use std::process::ExitCode;

use clap::Parser as _;
use kinfra::cli::{Cli, with_tip};
use kinfra::commands::{answer, explain, in_project, run, tell};
use kinfra::fault::Exit;

fn main() -> ExitCode {
    let exit = match answer(args_os()) {
        Ok(true) => Exit::Done,
        Ok(false) => match Cli::try_parse().or_else(|shown| in_project(shown, args_os())) {
            Ok(cli) => run(cli.verb).unwrap_or_else(|error| tell(&error)),
            Err(shown) => explain(&with_tip(shown), args_os()),
        },
        Err(shown) => explain(&shown, args_os()),
    };
    ExitCode::from(exit.code())
}
