//! Services that run to their end, and not again while their inputs are the same: the service as Compose
//! resolves it, its image or what that is built from, and the containers that it depends on. A database whose
//! container is another one may be another database.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::build_inputs;
use super::last_start::LastStart;
use crate::compose::model::Model;
use crate::digest::Digest;
use crate::host::container::{Activity, Container};
use crate::stack::gate::state::Expected;

/// What the inputs are taken from.
pub(in crate::stack) struct Sources<'a> {
    /// What the files come to.
    pub(in crate::stack) model: &'a Model,
    /// The same as Compose prints it.
    pub(in crate::stack) config: &'a str,
    /// What the stack should come to.
    pub(in crate::stack) expected: &'a Expected,
    /// The id of each image that is there.
    pub(in crate::stack) images: &'a BTreeMap<String, String>,
}

/// The hash of the inputs of each of these services, with the containers that there are. A service whose
/// inputs are not known has none.
pub(in crate::stack) fn inputs(
    once: &BTreeSet<String>,
    sources: &Sources<'_>,
    containers: &[Container],
) -> BTreeMap<String, Digest> {
    let config: Value = serde_json::from_str(sources.config).unwrap_or_default();
    let of = |name: &String| {
        let service = sources.model.services.get(name)?;
        let resolved = config.get("services")?.get(name)?;
        let code = match &service.build {
            Some(_) => build_inputs::of_service(service)?.to_string(),
            None => sources.images.get(service.image.as_ref()?)?.clone(),
        };
        let mut needed = sources.expected.clone().only(&BTreeSet::from([name.clone()])).services;
        needed.remove(name);
        let is_needed = |container: &&Container| needed.contains_key(&container.service);
        let mut ids: Vec<&str> = containers.iter().filter(is_needed).map(|found| found.id.as_str()).collect();
        ids.sort_unstable();
        Some((name.clone(), Digest::of(format!("{resolved}\n{code}\n{ids:?}").as_bytes())))
    };
    once.iter().filter_map(of).collect()
}

/// The services that have to run: those that did not, or not with these inputs, or whose container is gone.
pub(in crate::stack) fn due(
    once: &BTreeSet<String>,
    inputs: &BTreeMap<String, Digest>,
    last: Option<&LastStart>,
    containers: &[Container],
) -> BTreeSet<String> {
    let ran = |name: &&String| {
        let known = inputs.get(*name);
        let same = known.is_some() && last.and_then(|last| last.once.get(*name)) == known;
        let ended_well = |found: &Container| {
            found.service == **name
                && !found.is_one_off
                && found.activity == Activity::Exited
                && found.exit_code == 0
        };
        same && containers.iter().any(ended_well)
    };
    once.iter().filter(|name| !ran(name)).cloned().collect()
}
