//! A `run` in a slot that is held already.

use anyhow::Result;

use super::output::say;
use crate::claims::held::Held;
use crate::claims::pick::ProfileOrder;
use crate::cli::RunArgs;
use crate::fault::Fault;
use crate::registry::Claim;
use crate::report;

/// Says that the slot is used as it is, and which flags change nothing there.
///
/// # Errors
/// [`Fault`] when another slot is asked for.
pub(super) fn use_as_it_is(args: &RunArgs, held: &Held, claim: &Claim) -> Result<()> {
    let (slot, profile) = (held.slot, &held.entry.provisioned.profile);
    if args.slot.is_some_and(|wanted| wanted != slot) {
        let what = format!("this worktree holds slot {slot} already");
        return Err(Fault::refused(what).advise("leave out --slot, or release that slot first").into());
    }
    let profiles = held.spec().map(|spec| spec.profiles.iter().map(|profile| profile.name.clone()).collect());
    let profiles = ProfileOrder(profiles.unwrap_or_default());
    if args.wishes.profile.as_ref().is_some_and(|wanted| !profiles.suffices(profile, wanted)) {
        let what = format!("this worktree holds slot {slot} already, whose profile is {profile}");
        return Err(Fault::refused(what).advise("leave out --profile, or release that slot first").into());
    }
    let flags = [("--lease", args.wishes.lease.is_some()), ("--note", args.wishes.note.is_some())];
    let unused: Vec<&str> =
        flags.into_iter().filter(|(_, is_given)| *is_given).map(|(flag, _)| flag).collect();
    say(&report::run::held(slot, claim, &unused));
    Ok(())
}
