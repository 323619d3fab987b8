//! Whose the containers, volumes and networks under a slot's project name are.

use std::collections::BTreeSet;

use anyhow::Result;

use super::remove::is_ours;
use crate::claims::held::Held;
use crate::fault::Fault;
use crate::host::engine::{Made, made_by};
use crate::host::lock::LockPolicy;
use crate::registry::RegistryId;
use crate::shown::printable;

/// The most things that a message names.
const MOST_NAMED: usize = 5;

/// What is on the engine under the names of projects.
///
/// # Errors
/// [`Fault`] when Docker does not answer.
pub(super) fn on_engine(projects: &BTreeSet<String>) -> Result<Vec<Made>> {
    let made = made_by(projects).needed();
    Ok(made.map_err(|reason| Fault::docker(format!("Docker cannot say what slots have: {reason}")))?)
}

/// Refuses to touch a stack where something under the slot's project name belongs to another registry:
/// another user's, another home directory's, or a stack that kinfra did not start.
///
/// # Errors
/// [`Fault`] names what it is and the other root; also when Docker does not answer.
pub fn check(held: &Held, policy: &LockPolicy<'_>) -> Result<()> {
    let projects = BTreeSet::from([held.project()]);
    let id = held.pool().ledger().id(held.seen(), policy)?;
    refuse_foreign(held, &on_engine(&projects)?, id)
}

/// [`check`] of what is on the engine.
pub(super) fn refuse_foreign(held: &Held, made: &[Made], id: RegistryId) -> Result<()> {
    let (slot, project) = (held.slot, held.project());
    let own = made.iter().filter(|made| made.project == project);
    let foreign: Vec<&Made> = own
        .filter(|made| !is_ours(made.id.as_deref(), &made.project, held.entry.started.as_ref(), id))
        .collect();
    let Some(first) = foreign.first() else { return Ok(()) };
    let named: Vec<String> = foreign
        .iter()
        .take(MOST_NAMED)
        .map(|made| format!("{} `{}`", made.kind.word(), printable(&made.name)))
        .collect();
    let more = if foreign.len() > MOST_NAMED { ", …" } else { "" };
    let owner = match &first.root {
        Some(root) => format!("belongs to the pool in `{}`", printable(root)),
        None => "was not started by kinfra".to_owned(),
    };
    let what = format!(
        "the stack of slot {slot} is not touched: {}{more} has the name of its project `{project}` and {owner}",
        named.join(", ")
    );
    let advice = "give this pool another `name` in slots.toml, or remove these things where they belong";
    Err(Fault::refused(what).advise(advice).into())
}
