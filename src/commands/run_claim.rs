//! The claim of a `run`.

use anyhow::Result;

use super::output::say;
use super::run_end::give_back;
use super::run_slot::find;
use super::take::take_for;
use crate::claims::claimant::Purpose;
use crate::claims::refusal::run_goes_on;
use crate::claims::{lease::has_expired, pick::Grant};
use crate::cli::RunArgs;
use crate::fault::Fault;
use crate::host::clock::now;
use crate::registry::Claim;
use crate::report::{self, Paths};
use crate::stack::up::request::Means;

/// The claim that this run makes. `None` if the worktree holds a slot already, or the run around this one.
///
/// # Errors
/// When there is no slot for it, or another run has that of its holder.
pub(super) fn claimed(args: &RunArgs, means: &Means<'_>) -> Result<Option<Claim>> {
    if let Some(held) = find(args, means.invocation)?
        && let Some(claim) = held.entry.claim.clone()
    {
        let slot = held.slot;
        if args.slot.is_some_and(|wanted| wanted != slot) {
            let what = format!("this worktree holds slot {slot} already");
            return Err(Fault::refused(what).advise("leave out --slot, or release that slot first").into());
        }
        if !claim.is_of_run || (claim.claim_id.is_some() && claim.claim_id == means.invocation.run) {
            say(&report::run::held(slot, &claim));
            return Ok(None);
        }
        if !has_expired(&claim, now()) {
            return Err(run_goes_on(slot, &claim).into());
        }
        // A run that was killed left it.
        give_back(args, claim.claim_id, means.invocation)?;
    }
    let wishes = args.wishes();
    let (pool, policy) = ((&args.pool, &wishes), &means.policy);
    let claimed = take_for(Purpose::Run, pool, (args.slot, None), policy, means.invocation)?;
    let paths = Paths { home: means.invocation.home.as_deref() };
    say(&report::claim::text(claimed.grant, &claimed.entry, paths));
    match (claimed.grant, claimed.entry.claim) {
        (Grant::New(_), claim) => Ok(claim),
        // Another run took it in the meantime, and releases it.
        (grant, Some(claim)) if claim.is_of_run => Err(run_goes_on(grant.slot(), &claim).into()),
        _ => Ok(None),
    }
}
