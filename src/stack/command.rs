//! A command of the user with the variables of a slot. Its claim is renewed for as long as it runs.

use std::ffi::OsString;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::compose_files::variables::of_slot;
use crate::claims::environment::Change;
use crate::claims::held::Held;
use crate::claims::lease::renewed_every;
use crate::fault::Fault;
use crate::host::foreground::Foreground;
use crate::host::fs::Umask;
use crate::host::invocation::{Invocation, environment};
use crate::host::lock::LockPolicy;
use crate::host::signals::Relay;
use crate::names::KINFRA_RUN;

/// What a command runs with.
pub struct Surroundings<'a> {
    /// How the registry is locked. The command's signals do not end a renewal.
    pub policy: LockPolicy<'a>,
    /// The invocation.
    pub invocation: &'a Invocation,
    /// The umask of the command.
    pub umask: Umask,
    /// The signals that the command gets.
    pub relay: &'a Relay,
}

/// What is to be said while a command runs.
#[derive(Debug)]
pub enum Notice<'a> {
    /// The variables that it gets.
    Entering(&'a Change),
    /// Its claim ended, or could not be renewed.
    NotRenewed(&'a str),
}

/// Runs a command to its end. Its exit code.
///
/// # Errors
/// [`Fault`] when the variables are not known, or the command cannot be started.
pub fn run(
    held: Held,
    words: &[OsString],
    around: &Surroundings<'_>,
    tell: &mut impl FnMut(Notice<'_>),
) -> Result<u8> {
    let (program, arguments) = words.split_first().context("no command was given")?;
    let variables = of_slot(&held, &around.policy, around.invocation)?;
    let claim = held.entry.claim.as_ref();
    let run = claim.filter(|claim| claim.is_of_run).and_then(|claim| claim.claim_id);
    let run = run.map(|id| id.to_string());
    let change = Change::to_slot(variables, &environment());
    tell(Notice::Entering(&change));
    let set = change.set.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let command = Foreground {
        program,
        arguments,
        unset: change.unset.iter().map(String::as_str).collect(),
        set: set.chain(run.as_deref().map(|id| (KINFRA_RUN, id))).collect(),
        umask: around.umask,
    };
    let lease = held.entry.claim.as_ref().and_then(|claim| claim.lease);
    let every = lease.map_or(Duration::MAX, renewed_every);
    let mut held = Some(held);
    let ended = command.run(around.relay, every, || {
        let Some(before) = held.take() else { return };
        held = renew(before, &around.policy, tell);
    });
    Ok(ended.map_err(|error| Fault::command(program, &error))?)
}

/// Renews the claim. `None` where it ended meanwhile.
fn renew(held: Held, policy: &LockPolicy<'_>, tell: &mut impl FnMut(Notice<'_>)) -> Option<Held> {
    let slot = held.slot;
    match held.extend(policy) {
        Ok(Some(_)) => return Some(held),
        Ok(None) => tell(Notice::NotRenewed(&format!(
            "the claim of slot {slot} ended while the command runs: another may get the slot"
        ))),
        Err(error) => {
            tell(Notice::NotRenewed(&format!("the lease of slot {slot} was not renewed: {error:#}")));
            return Some(held);
        }
    }
    None
}
