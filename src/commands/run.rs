//! `kinfra run`

use anyhow::Result;

use super::live::of_compose;
use super::output::say;
use super::run_slot::{find, give_back};
use super::take::take;
use super::within::within;
use crate::claims::lease::has_expired;
use crate::claims::pick::Grant;
use crate::claims::refusal::run_goes_on;
use crate::cli::RunArgs;
use crate::fault::Exit;
use crate::host::clock::now;
use crate::host::fs::Umask;
use crate::host::invocation::Invocation;
use crate::host::lock::LockPolicy;
use crate::host::signals::Relay;
use crate::registry::Claim;
use crate::report::{self, Paths};
use crate::stack::up::request::Means;

pub(super) fn run(args: &RunArgs, umask: Umask, invocation: &Invocation) -> Result<Exit> {
    let relay = Relay::listen()?;
    let invocation = &args.owned(invocation);
    let policy = LockPolicy { interrupt: Some(relay.stop()), ..args.lock.policy("kinfra run") };
    let means = Means { policy, invocation, interrupt: relay.stop(), umask, output: of_compose() };
    let Some(claim) = claimed(args, &means)? else { return within(args, &relay, &means) };
    let ran = within(args, &relay, &means);
    match (ran, give_back(args, claim.claim_id, invocation)) {
        (ran, Ok(())) => ran,
        (Ok(Exit::Done), Err(error)) => Err(error),
        // Why the command failed says more than that its slot is not clean.
        (ran, Err(error)) => {
            say(&report::fault::text(&error));
            ran
        }
    }
}

/// The claim that this run makes. `None` if the worktree holds a slot already.
fn claimed(args: &RunArgs, means: &Means<'_>) -> Result<Option<Claim>> {
    let held = find(args, means.invocation)?.and_then(|held| Some((held.slot, held.entry.claim?)));
    match held {
        Some((slot, _)) if args.owner.is_none() => {
            say(&report::run::held(slot));
            return Ok(None);
        }
        // A run that was killed left it.
        Some((_, claim)) if has_expired(&claim, now()) => give_back(args, claim.claim_id, means.invocation)?,
        Some((slot, claim)) => return Err(run_goes_on(slot, &claim).into()),
        None => {}
    }
    let claimed = take(&args.pool, &args.wishes(), (args.slot, None), &means.policy, means.invocation)?;
    let paths = Paths { home: means.invocation.home.as_deref() };
    say(&report::claim::text(claimed.grant, &claimed.entry, paths));
    Ok(claimed.entry.claim.filter(|_| matches!(claimed.grant, Grant::New(_))))
}
