//! Services that run to their end, and not again while their inputs are the same: the service as Compose
//! resolves it, its image or what that is built from, and the containers that it depends on. A database whose
//! container is another one may be another database.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::build_inputs;
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

/// Services that run once and need none of each other, and the others that they need.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::stack) struct Step {
    pub(in crate::stack) services: BTreeSet<String>,
    pub(in crate::stack) needed: BTreeSet<String>,
}

/// The services that run once, in the order of what they need.
pub(in crate::stack) fn steps(once: &BTreeSet<String>, expected: &Expected) -> Vec<Step> {
    // A service needs, too, what those need that it needs. So it needs more of these services than they do.
    let mut steps = BTreeMap::<usize, Step>::new();
    for name in once {
        let all = expected.clone().only(&BTreeSet::from([name.clone()])).services.into_keys();
        let (earlier, needed): (BTreeSet<String>, BTreeSet<String>) =
            all.partition(|other| once.contains(other));
        let new = || Step { services: BTreeSet::new(), needed: BTreeSet::new() };
        let step = steps.entry(earlier.len()).or_insert_with(new);
        step.services.insert(name.clone());
        step.needed.extend(needed);
    }
    steps.into_values().collect()
}

/// The services that have to run: those that did not, or not with these inputs, or whose container is gone.
/// `last` are the inputs with which each ran last.
pub(in crate::stack) fn due(
    once: &BTreeSet<String>,
    inputs: &BTreeMap<String, Digest>,
    last: &BTreeMap<String, Digest>,
    containers: &[Container],
) -> BTreeSet<String> {
    let ran = |name: &&String| {
        let known = inputs.get(*name);
        let same = known.is_some() && last.get(*name) == known;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_that_run_once_come_in_the_order_of_what_they_need() {
        let model = Model::parse(
            r#"{"name": "x", "services": {
            "db": {}, "cache": {}, "fixtures": {"depends_on": {"cache": {"condition": "service_started"}}},
            "migrate": {"depends_on": {"db": {"condition": "service_healthy"}}},
            "api": {"depends_on": {"migrate": {"condition": "service_completed_successfully"}}},
            "seed": {"depends_on": {"api": {"condition": "service_started"}}}}}"#,
        )
        .unwrap();
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<String>>();
        let once = set(&["fixtures", "migrate", "seed"]);
        let steps = steps(&once, &Expected::of(&model, &once));
        assert_eq!(
            steps,
            [
                Step { services: set(&["fixtures", "migrate"]), needed: set(&["cache", "db"]) },
                Step { services: set(&["seed"]), needed: set(&["api", "db"]) }
            ]
        );
    }
}
