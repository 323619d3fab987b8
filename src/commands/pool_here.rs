//! The pool here, for a shell that completes: its profiles and ports.

use anyhow::{Result, anyhow};
use clap::Parser as _;
use clap_complete::CompletionCandidate;

use crate::claims::whereabouts::Following;
use crate::cli::{Cli, PoolArgs, Verb};
use crate::host::invocation::Invocation;
use crate::ledger::Snapshot;
use crate::which::by_worktree::{FoundPool, Search};

/// The profiles of the pool, smallest first.
pub(super) fn profiles() -> Result<Vec<CompletionCandidate>> {
    let declared = pool()?.declared;
    let profiles = declared.iter().flat_map(|declared| &declared.spec.profiles);
    Ok(in_order(profiles.map(|profile| CompletionCandidate::new(profile.name.to_string()))))
}

/// The ports of the pool.
pub(super) fn ports() -> Result<Vec<CompletionCandidate>> {
    let declared = pool()?.declared;
    let names = declared.iter().flat_map(|declared| &declared.spec.ports);
    Ok(in_order(names.map(|(name, _)| CompletionCandidate::new(name.to_string()))))
}

/// What its registry says. `None` if it is not applied yet.
pub(super) fn snapshot() -> Result<Option<Snapshot>> {
    pool()?.look(Following::EveryHolder)
}

fn pool() -> Result<FoundPool> {
    let (args, invocation) = (pool_args()?, Invocation::gather()?);
    Search { choice: &args.choice(), invocation: &invocation }.here()
}

/// The spec and the root that the environment names. Clap reads those variables, so this parses a verb.
pub(super) fn pool_args() -> Result<PoolArgs> {
    let Verb::Ports(args) = Cli::try_parse_from(["kinfra", "ports"])?.verb else {
        return Err(anyhow!("`ports` is another verb"));
    };
    Ok(args.list.pool)
}

/// Candidates in an order of their own.
pub(super) fn in_order(candidates: impl Iterator<Item = CompletionCandidate>) -> Vec<CompletionCandidate> {
    candidates.enumerate().map(|(place, candidate)| candidate.display_order(Some(place))).collect()
}
