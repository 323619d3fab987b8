//! The claim of a `run`.

use anyhow::Result;

use super::output::say;
use super::run_end::give_back;
use super::run_held::use_as_it_is;
use super::run_slot::find;
use super::run_wait::{Other, Wait};
use super::take::take_for;
use crate::claims::claimant::Purpose;
use crate::claims::{lease::has_expired, pick::Grant};
use crate::cli::RunArgs;
use crate::host::clock::now;
use crate::host::signals::Relay;
use crate::registry::Claim;
use crate::report::{self, Paths};
use crate::stack::up::request::Means;

/// The claim that this run makes. `None` if the worktree holds a slot already, or the run around this one.
///
/// # Errors
/// When there is no slot for it, or another run has that of its holder.
pub(super) fn claimed(args: &RunArgs, relay: &Relay, means: &Means<'_>) -> Result<Option<Claim>> {
    let mut wait = Wait::new();
    loop {
        match once(args, &wait, relay, means)? {
            Ok(claim) => return Ok(claim),
            Err(other) => wait.until_over(*other, args, means)?,
        }
    }
}

/// The same, or the other run of its holder.
fn once(
    args: &RunArgs,
    wait: &Wait,
    relay: &Relay,
    means: &Means<'_>,
) -> Result<Result<Option<Claim>, Box<Other>>> {
    if let Some(held) = find(args, means.invocation)?
        && let Some(claim) = held.entry.claim.clone()
    {
        if !claim.is_of_run || (claim.claim_id.is_some() && claim.claim_id == means.invocation.run) {
            return use_as_it_is(args, &held, &claim).map(|()| Ok(None));
        }
        if !has_expired(&claim, now()) {
            return Ok(Err(Box::new(Other { slot: held.slot, claim })));
        }
        // A run that was killed left it.
        give_back(args, (held.slot, claim.claim_id), relay, means.invocation)?;
    }
    let wishes = wait.wishes(args);
    let (pool, policy) = ((&args.pool, &wishes), &means.policy);
    let claimed = take_for(Purpose::Run, pool, (args.slot, None), policy, means.invocation)?;
    let paths = Paths { home: means.invocation.home.as_deref() };
    match (claimed.grant, &claimed.entry.claim) {
        // Another run took it in the meantime, and releases it.
        (Grant::Held(slot), Some(claim)) if claim.is_of_run => {
            return Ok(Err(Box::new(Other { slot, claim: claim.clone() })));
        }
        _ => say(&report::claim::text(claimed.grant, &claimed.entry, paths)),
    }
    Ok(Ok(claimed.entry.claim.filter(|_| matches!(claimed.grant, Grant::New(_)))))
}
