//! Whose the containers, volumes and networks under a slot's project name are.

use std::collections::BTreeSet;

use anyhow::Result;

use crate::fault::Fault;
use crate::host::docker::Answer;
use crate::host::engine::{Made, made_by};
use crate::registry::{Entry, RegistryId};
use crate::shown::printable;
use crate::slot::SlotId;

/// The most things that a message names.
const MOST_NAMED: usize = 5;

/// Refuses to touch a stack where something under the slot's project name belongs to another registry:
/// another user's, another home directory's, or a stack that kinfra did not start.
///
/// # Errors
/// [`Fault`] names what it is and the other root; also when Docker does not answer.
pub(super) fn check(slot: SlotId, entry: &Entry, project: &str, id: RegistryId) -> Result<()> {
    let made = match made_by(&BTreeSet::from([project.to_owned()])) {
        Answer::Is(made) => made,
        Answer::NoCommand => return Err(Fault::docker("there is no `docker` command").into()),
        Answer::NoDaemon => return Err(Fault::docker("Docker does not answer").into()),
        Answer::Failed(reason) => {
            return Err(Fault::docker(format!("Docker cannot say what `{project}` has: {reason}")).into());
        }
    };
    let foreign: Vec<Made> = made.into_iter().filter(|made| !is_ours(made, entry, id)).collect();
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

/// Whether something is this registry's. Without our labels it is only if a start was noted under the name.
pub fn is_ours(made: &Made, entry: &Entry, id: RegistryId) -> bool {
    let was_started = || entry.started.as_ref().is_some_and(|started| started.project == made.project);
    made.id.as_ref().map_or_else(was_started, |other| *other == id.to_string())
}
