//! Containers of services that the stack does not have any more: of a profile of Compose that is not in use,
//! or that the files do not name. Compose leaves them, and does not speak of those of a profile.

use std::collections::BTreeSet;

use anyhow::Result;

use super::request::Progress;
use super::start::Start;
use crate::compose::model::Model;
use crate::fault::Fault;
use crate::host::container::Container;
use crate::host::things;
use crate::shown::printable;
use crate::stack::admission::admit::Admitted;
use crate::thing::{Kind, Labels, Thing};

impl Start<'_> {
    /// Stops and removes them, before what is started needs their ports. Volumes stay. A start of single
    /// services leaves the others alone, unless it names the profiles. Returns the containers that there are.
    ///
    /// # Errors
    /// [`Fault`] when one of them stays, or Docker does not answer.
    pub(in crate::stack) fn remove_unused(
        &self,
        admitted: &Admitted,
        progress: &mut impl FnMut(Progress<'_>),
    ) -> Result<Vec<Container>> {
        if !admitted.had_containers {
            return Ok(Vec::new());
        }
        let (before, held) = (self.containers()?, self.place.held);
        if !self.request.services.is_empty() && self.request.profiles.is_none() {
            return Ok(before);
        }
        let registry = held.pool().ledger().id(held.seen(), &self.means.policy)?.to_string();
        let unused: Vec<&Container> =
            before.iter().filter(|it| is_unused(it, &admitted.model, &registry)).collect();
        if unused.is_empty() {
            return Ok(before);
        }
        let services: BTreeSet<String> = unused.iter().map(|container| container.service.clone()).collect();
        progress(Progress::Removing(&services));
        let gone: Vec<Thing> = unused.into_iter().map(thing).collect();
        let stopped = things::stop(held.engine(), &gone).needed();
        let failure = things::remove(held.engine(), Kind::Container, &gone).needed().err().or(stopped.err());
        // Only what Docker shows counts.
        let after = self.containers()?;
        match after.iter().find(|container| gone.iter().any(|thing| thing.key == container.id)) {
            None => Ok(after),
            Some(left) => Err(stays(left, failure).into()),
        }
    }
}

fn is_unused(container: &Container, model: &Model, registry: &str) -> bool {
    let is_ours = container.registry.as_deref() == Some(registry) && !container.is_one_off;
    is_ours && !model.services.contains_key(&container.service)
}

fn thing(container: &Container) -> Thing {
    let (key, name) = (container.id.clone(), container.name.clone());
    Thing { kind: Kind::Container, key, name, labels: Labels::default(), bytes: None }
}

fn stays(left: &Container, why: Option<String>) -> Fault {
    let why = why.map_or_else(String::new, |why| format!(": {}", printable(&why)));
    let name = printable(&left.name);
    Fault::failed(format!(
        "container `{name}`, which the stack does not have any more, cannot be removed{why}"
    ))
    .advise("remove it, and run `kinfra up` again")
}
