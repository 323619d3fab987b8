//! The slots and profiles that a shell can complete: those of the pool here.

use anyhow::{Result, anyhow};
use clap::Parser as _;
use clap_complete::CompletionCandidate;

use crate::claims::whereabouts::Following;
use crate::cli::{Cli, PoolArgs, Verb};
use crate::host::invocation::Invocation;
use crate::which::by_worktree::{FoundPool, Search};

/// The profiles of the pool, smallest first.
pub(super) fn profiles() -> Result<Vec<CompletionCandidate>> {
    let declared = this_pool()?.declared;
    let profiles = declared.iter().flat_map(|declared| &declared.spec.profiles).enumerate();
    let candidates = profiles.map(|(place, profile)| {
        CompletionCandidate::new(profile.name.to_string()).display_order(Some(place))
    });
    Ok(candidates.collect())
}

/// The slots of the pool, each with its profile and its holder.
pub(super) fn slots() -> Result<Vec<CompletionCandidate>> {
    let Some(snapshot) = this_pool()?.look(Following::EveryHolder)? else { return Ok(Vec::new()) };
    let slots = snapshot.registry.slots.iter();
    let candidates = slots.enumerate().map(|(place, (id, entry))| {
        let holder =
            entry.claim.as_ref().map_or_else(|| "free".to_owned(), |claim| claim.claimed_by.to_string());
        let holder = holder.rsplit('/').next().unwrap_or_default();
        let help = format!("{}, {}", entry.provisioned.profile, holder.escape_debug());
        CompletionCandidate::new(id.to_string()).help(Some(help.into())).display_order(Some(place))
    });
    Ok(candidates.collect())
}

fn this_pool() -> Result<FoundPool> {
    let (args, invocation) = (pool_args()?, Invocation::gather()?);
    Search { choice: &args.choice(), invocation: &invocation }.here()
}

/// The spec and the root that the environment names. Clap reads those variables, so this parses a verb.
fn pool_args() -> Result<PoolArgs> {
    let Verb::Ports(args) = Cli::try_parse_from(["kinfra", "ports"])?.verb else {
        return Err(anyhow!("`ports` is another verb"));
    };
    Ok(args.list.pool)
}
