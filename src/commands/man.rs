//! `kinfra man`

use anyhow::Result;
use clap::CommandFactory as _;
use clap_mangen::Man;

use super::output::print;
use crate::cli::{Cli, EXIT_CODES, ManArgs};
use crate::fault::{Exit, Fault};

pub(crate) fn run(args: &ManArgs) -> Result<Exit> {
    let mut kinfra = Cli::command().disable_help_subcommand(true).after_long_help(EXIT_CODES);
    kinfra.build();
    let page = match &args.verb {
        None => &kinfra,
        Some(verb) => kinfra.find_subcommand(verb).ok_or_else(|| {
            Fault::usage(format!("there is no verb `{}`", verb.escape_debug()))
                .advise("`kinfra --help` lists them")
        })?,
    };
    let mut text = Vec::new();
    let source = format!("kinfra {}", env!("CARGO_PKG_VERSION"));
    Man::new(page.clone()).source(source).render(&mut text)?;
    print(&String::from_utf8(text)?)?;
    Ok(Exit::Done)
}
