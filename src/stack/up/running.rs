//! Whether a stack runs already, as it would be started now: then nothing has to be started.

use std::collections::{BTreeMap, BTreeSet};
use std::thread;
use std::time::Duration;

use anyhow::{Result, anyhow};

use super::build_inputs;
use super::last_start::{LastStart, images};
use super::request::UpRequest;
use super::start::Start;
use crate::digest::Digest;
use crate::host::container::{Activity, Container};
use crate::host::containers::of_project;
use crate::host::engine::image_ids;
use crate::registry::Engine;
use crate::stack::admission::ownership::on_engine;

/// The longest that Docker may take for one answer.
const LONGEST: Duration = Duration::from_secs(20);

/// The last start, if the stack runs as it would be started now: nothing that decides it changed, and each
/// container is the one that was made then and is as it was. The proof is made anew.
///
/// # Errors
/// [`Fault`](crate::fault::Fault) when the stack is not isolated any more, or Docker does not answer.
pub(in crate::stack) fn runs_already<'a>(
    start: &'a Start<'_>,
    key: Option<Digest>,
) -> Result<Option<&'a LastStart>> {
    let Start { place, request, means, .. } = start;
    let Some(last) = &start.last else { return Ok(None) };
    let has_services = last.named.is_empty() || last.named == request.services;
    if key.is_none() || last.key != key || !has_services || may_build_anew(request, last) {
        return Ok(None);
    }
    let (engine, project) = (place.held.engine(), place.name.as_str());
    let names = images(&last.model);
    let (there, containers, ids) = thread::scope(|scope| {
        let containers = scope.spawn(|| of_project(engine, project, LONGEST).needed());
        let ids = scope.spawn(|| ids_of(engine, &names));
        let there = on_engine(engine);
        (there, containers.join(), ids.join())
    });
    let containers = containers.map_err(|_| anyhow!("the containers could not be looked at"))?;
    let is_same = containers.is_ok_and(|containers| as_they_were(last, &containers))
        && ids.is_ok_and(|ids| ids == last.images);
    if !is_same {
        return Ok(None);
    }
    place.prove_again(&there?, means.invocation)?;
    Ok(Some(last))
}

/// The last start, if another `up` has just had Compose make it as it would be made now. Whether it runs is
/// for the gate to see. The proof is made anew.
///
/// # Errors
/// As [`runs_already`].
pub(in crate::stack) fn was_just_started<'a>(
    start: &'a Start<'_>,
    key: Option<Digest>,
) -> Result<Option<&'a LastStart>> {
    let Start { place, request, means, .. } = start;
    let Some(last) = &start.last else { return Ok(None) };
    let is_same = key.is_some() && last.attempt == key && last.named == request.services;
    if !is_same || may_build_anew(request, last) {
        return Ok(None);
    }
    place.prove_again(&on_engine(place.held.engine())?, means.invocation)?;
    Ok(Some(last))
}

/// Whether a build may come to something else than the last one. What cannot be compared may.
fn may_build_anew(request: &UpRequest, last: &LastStart) -> bool {
    let builds = || build_inputs::of_stack(&last.model);
    request.builds && builds().is_none_or(|builds| Some(builds) != last.builds)
}

/// The id of each of these images. Empty if one of them is not there.
pub(in crate::stack) fn ids_of(
    engine: Option<&Engine>,
    names: &BTreeSet<String>,
) -> BTreeMap<String, String> {
    let list: Vec<&str> = names.iter().map(String::as_str).collect();
    let ids = image_ids(engine, &list).needed().unwrap_or_default();
    if ids.len() == names.len() { names.iter().cloned().zip(ids).collect() } else { BTreeMap::new() }
}

/// Whether the containers of the services are those of the last start, and each runs or has ended as then.
fn as_they_were(last: &LastStart, containers: &[Container]) -> bool {
    let present = containers.iter().filter(|container| !container.is_one_off);
    let state = |container: &Container| match container.activity {
        Activity::Running => Some(true),
        Activity::Exited if container.exit_code == 0 => Some(false),
        Activity::Created
        | Activity::Paused
        | Activity::Restarting
        | Activity::Removing
        | Activity::Exited
        | Activity::Dead => None,
    };
    let present: BTreeMap<&String, Option<bool>> =
        present.map(|container| (&container.id, state(container))).collect();
    last.containers.iter().all(|(id, runs)| present.get(id) == Some(&Some(*runs)))
}
