//! The flags of the verbs that set up a shell and the manual.

use clap::Args;
use clap_complete::Shell;

/// `kinfra completions`
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    pub shell: Shell,
}

/// `kinfra man`
#[derive(Debug, Args)]
pub struct ManArgs {
    /// The verb to describe [default: kinfra itself]
    #[arg(value_name = "VERB")]
    pub verb: Option<String>,
}
