//! The claim of a `run`.

use anyhow::Result;

use super::output::say;
use super::run_end::Own;
use super::run_held::use_as_it_is;
use super::run_release::give_back;
use super::run_slot::find;
use super::run_wait::Wait;
use super::take::take_for;
use crate::claims::{lease::has_expired, other_run::OtherRun, pick::Grant, purpose::Purpose};
use crate::cli::RunArgs;
use crate::host::signals::Relay;
use crate::report::{self, Paths};
use crate::stack::up::request::Means;

/// The claim of a run, if it makes one, or the other run of its holder.
type Claimed = Result<Option<Own>, Box<OtherRun>>;

/// The claim that this run makes. `None` if the worktree holds a slot already, or the run around this one.
///
/// # Errors
/// When there is no slot for it, or another run has that of its holder.
pub(super) fn claimed(args: &RunArgs, relay: &Relay, means: &Means<'_>) -> Result<Option<Own>> {
    let mut wait = Wait::new();
    loop {
        match once(args, &wait, relay, means)? {
            Ok(claim) => return Ok(claim),
            Err(other) => wait.until_over(&other, args, means)?,
        }
    }
}

fn once(args: &RunArgs, wait: &Wait, relay: &Relay, means: &Means<'_>) -> Result<Claimed> {
    if let Some(held) = find(args, means.invocation)?
        && let Some(claim) = held.entry.claim.clone()
    {
        if !claim.is_of_run || (claim.claim_id.is_some() && claim.claim_id == means.invocation.run) {
            return use_as_it_is(args, &held, &claim).map(|()| Ok(None));
        }
        if !has_expired(&claim, held.seen().now()) {
            return Ok(Err(Box::new(OtherRun { slot: held.slot, claim })));
        }
        // A run that was killed left it.
        give_back(args, (held.slot, claim), held.into_pool(), relay)?;
    }
    let (wishes, home) = (wait.wishes(args), means.invocation.home.as_deref());
    let pool = (&args.pool, &wishes);
    let (claimed, pool) = take_for(Purpose::Run, pool, (args.slot, None), &means.policy, means.invocation)?;
    let (grant, claim) = (claimed.grant, claimed.entry.claim.clone());
    Ok(match (grant, claim.filter(|claim| claim.is_of_run)) {
        // Another run took it in the meantime, and releases it.
        (Grant::Held(slot), Some(claim)) => Err(Box::new(OtherRun { slot, claim })),
        (_, claim) => {
            say(&report::claim::text(grant, &claimed.entry, Paths { home }));
            Ok(claim.map(|claim| Own { claim, pool }))
        }
    })
}
