//! The claim of a `run`.

use anyhow::Result;

use super::output::say;
use super::run_slot::{find, give_back};
use super::take::take;
use crate::claims::lease::has_expired;
use crate::claims::pick::Grant;
use crate::claims::refusal::run_goes_on;
use crate::cli::RunArgs;
use crate::fault::Fault;
use crate::host::clock::now;
use crate::registry::Claim;
use crate::report::{self, Paths};
use crate::stack::up::request::Means;

/// The claim that this run makes. `None` if the worktree holds a slot already.
///
/// # Errors
/// When there is no slot for it, or another run of the owner has one.
pub(super) fn claimed(args: &RunArgs, means: &Means<'_>) -> Result<Option<Claim>> {
    let held = find(args, means.invocation)?.and_then(|held| Some((held.slot, held.entry.claim?)));
    match held {
        Some((slot, _)) if args.slot.is_some_and(|wanted| wanted != slot) => {
            let what = format!("this worktree holds slot {slot} already");
            return Err(Fault::refused(what).advise("leave out --slot, or release that slot first").into());
        }
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
    match (claimed.grant, claimed.entry.claim) {
        (Grant::New(_), claim) => Ok(claim),
        // Another run of the owner took it in the meantime, and releases it.
        (grant, Some(claim)) if args.owner.is_some() => Err(run_goes_on(grant.slot(), &claim).into()),
        _ => Ok(None),
    }
}
