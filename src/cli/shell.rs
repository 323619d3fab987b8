//! The flags of the verbs that set up a shell and the manual.
#![expect(missing_docs, reason = "clap would show the comments of flags as help")]

use clap::{Args, Subcommand};
use clap_complete::Shell;

// `kinfra completions`
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_enum, required = true)]
    pub shell: Option<Shell>,
    /// What to do in place of printing.
    #[command(subcommand)]
    pub verb: Option<CompletionsVerb>,
}

// What `kinfra completions` does beside printing.
#[derive(Debug, Subcommand)]
pub enum CompletionsVerb {
    /// Add the line that does it to the start-up file of your shell
    Install(InstallArgs),
}

// `kinfra completions install`
#[derive(Debug, Args)]
pub struct InstallArgs {
    /// The shell [default: the one that SHELL names]
    #[arg(value_enum)]
    pub shell: Option<Shell>,
    /// Show what would be added, and stop
    #[arg(long)]
    pub dry_run: bool,
}

// `kinfra man`
#[derive(Debug, Args)]
pub struct ManArgs {
    /// The verb to describe [default: kinfra itself]
    #[arg(value_name = "VERB")]
    pub verb: Option<String>,
}
