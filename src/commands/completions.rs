//! `kinfra completions`

use anyhow::{Result, anyhow};
use clap_complete::env::Shells;

use super::complete::{NAME, VARIABLE};
use super::output::print;
use crate::cli::CompletionsArgs;
use crate::fault::Exit;

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
