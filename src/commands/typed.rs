//! A verb as a person would type it, with the defaults of its flags and what the environment says.

use anyhow::Result;
use clap::Parser as _;

use crate::cli::{ClaimArgs, Cli, Verb};
use crate::fault::Fault;

/// Reads the words after `kinfra`.
///
/// # Errors
/// [`Fault`] when they are no verb, which only words from elsewhere can be.
pub(super) fn typed(words: &[&str]) -> Result<Verb> {
    let words = std::iter::once("kinfra").chain(words.iter().copied());
    Ok(Cli::try_parse_from(words).map_err(|error| Fault::usage(error.to_string()))?.verb)
}

/// How long a hook waits for another kinfra: the tool waits for the hook.
pub(super) const BRIEFLY: [&str; 2] = ["--lock-timeout", "2s"];

/// How a hook claims.
pub(super) fn claim_args() -> Result<ClaimArgs> {
    let Verb::Claim(args) = typed(&[&["claim"][..], &BRIEFLY].concat())? else {
        return Err(Fault::usage("no claim").into());
    };
    Ok(args)
}
