//! Whose the containers, volumes and networks under a slot's project name are.

use std::time::Duration;

use anyhow::Result;

use crate::claims::held::Held;
use crate::fault::Fault;
use crate::host::engine::volumes_made;
use crate::host::things;
use crate::registry::Engine;
use crate::shown::printable;
use crate::thing::{Kind, Thing};
use crate::time::Time;

/// The most things that a message names.
const MOST_NAMED: usize = 5;

/// The containers, volumes and networks that are on an engine.
///
/// # Errors
/// [`Fault`] when Docker does not answer.
pub(in crate::stack) fn on_engine(engine: Option<&Engine>) -> Result<Vec<Thing>> {
    let there = things::list(engine, &[Kind::Container, Kind::Volume, Kind::Network]).needed();
    Ok(there.map_err(|reason| Fault::docker(format!("Docker cannot say what slots have: {reason}")))?)
}

/// Refuses to touch a stack where something under the slot's project name belongs to another registry:
/// another user's, another home directory's, or a stack that kinfra did not start.
///
/// # Errors
/// [`Fault`] names what it is and the other root; also when Docker does not answer.
pub fn check(held: &Held) -> Result<()> {
    refuse_foreign(held, &on_engine(held.engine())?)
}

/// [`check`] of what is on the engine.
pub(in crate::stack) fn refuse_foreign(held: &Held, there: &[Thing]) -> Result<()> {
    let (slot, project) = (held.slot, held.project());
    let foreign = held.whose().part(slot, &project, there.to_vec()).others;
    let Some(first) = foreign.first() else { return Ok(()) };
    let named: Vec<String> = foreign
        .iter()
        .take(MOST_NAMED)
        .map(|thing| format!("{} `{}`", thing.kind.word(), printable(&thing.name)))
        .collect();
    let more = if foreign.len() > MOST_NAMED { ", …" } else { "" };
    let owner = match first.labels.root.as_str() {
        "" => "was not started by kinfra".to_owned(),
        root => format!("belongs to the pool in `{}`", printable(root)),
    };
    let what = format!(
        "the stack of slot {slot} is not touched: {}{more} has the name of its project `{project}` and {owner}",
        named.join(", ")
    );
    let advice = "give this pool another `name` in slots.toml, or remove these things where they belong";
    Err(Fault::refused(what).advise(advice).into())
}

/// Refuses to start a stack for the first time on volumes that are older than the claim. They are of an
/// earlier slot of this number, which a prune or `destroy` removed without its data.
///
/// # Errors
/// [`Fault`] names them; also when Docker does not answer.
pub(in crate::stack) fn refuse_earlier(held: &Held, there: &[Thing]) -> Result<()> {
    let claimed = held.entry.claim.as_ref().and_then(|claim| Time::parse(claim.claimed_at.as_deref()?).ok());
    let (Some(claimed), None) = (claimed, &held.entry.started) else { return Ok(()) };
    let project = held.project();
    let own = there.iter().filter(|thing| thing.kind == Kind::Volume && thing.is_under(&project));
    let names: Vec<&str> = own.map(|volume| volume.name.as_str()).collect();
    let ages = volumes_made(held.engine(), &names).needed();
    let ages =
        ages.map_err(|reason| Fault::docker(format!("Docker cannot say how old volumes are: {reason}")))?;
    // Docker tells whole seconds.
    let is_older = |made: &Time| claimed.since(*made) >= Duration::from_secs(1);
    let older: Vec<String> = ages
        .iter()
        .filter(|(_, made)| is_older(made))
        .map(|(name, _)| format!("`{}`", printable(name)))
        .collect();
    if older.is_empty() {
        return Ok(());
    }
    let what = format!(
        "slot {} is not started on data that is older than its claim: volume {}",
        held.slot,
        older.join(", ")
    );
    Err(Fault::refused(what).advise("`kinfra reset` removes it, after asking, and starts the stack").into())
}
