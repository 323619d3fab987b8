//! Removing the data of a slot's stack, or of one of its services, so that it starts anew.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context as _, Error, Result};

use super::admission::admit::note_end;
use super::admission::uses::Uses;
use super::turn::{Turn, take_turn};
use super::up::{last_start, named_last};
use crate::claims::held::Held;
use crate::claims::refusal::holds_none;
use crate::fault::Fault;
use crate::history::What;
use crate::host::containers::volumes_of;
use crate::host::docker::Answer;
use crate::host::lock::LockPolicy;
use crate::host::things;
use crate::shown::printable;
use crate::thing::{Kind, Thing};

/// The longest that Docker may take for one answer.
const LONGEST: Duration = Duration::from_secs(20);

/// What a reset removes, before it does.
pub struct Reset {
    turn: Turn,
    /// The containers. Each is made anew.
    pub containers: Vec<Thing>,
    /// The volumes, each with its size in Docker's words, if Docker says it.
    pub volumes: Vec<(Thing, Option<String>)>,
    /// The service that is reset; `None` is all of them.
    pub service: Option<String>,
    /// The services that are to be started afterwards. None is all of them.
    pub services: BTreeSet<String>,
}

impl Reset {
    /// Looks what a reset of a service, or of the whole stack, would remove: its containers, its volumes, and
    /// the containers of other services that use one of these.
    ///
    /// # Errors
    /// [`Fault`] when there is no such service, Docker does not answer, or another process has the stack.
    pub fn plan(held: Held, service: Option<&str>, policy: &LockPolicy<'_>) -> Result<Self> {
        let turn = take_turn(held, policy.patience, policy)?;
        let held = &turn.held;
        let on = held.stack_on();
        let ours = on.look()?.own;
        let of = |kind: Kind| ours.iter().filter(|thing| thing.kind == kind).cloned().collect::<Vec<_>>();
        let (mut containers, mut volumes) = (of(Kind::Container), of(Kind::Volume));
        if let Some(service) = service {
            let (wanted, used) = meant(held, service, &containers)?;
            containers.retain(|container| used.contains(&container.key));
            volumes.retain(|volume| wanted.contains(&volume.name));
        }
        let sizes = if volumes.is_empty() { BTreeMap::new() } else { things::volume_sizes(on.engine) };
        let volumes = volumes.into_iter().map(|volume| (sizes.get(&volume.name).cloned(), volume));
        let volumes = volumes.map(|(size, volume)| (volume, size)).collect();
        let services = named_last(held);
        Ok(Self { turn, containers, volumes, service: service.map(str::to_owned), services })
    }

    /// The slot.
    pub fn held(&self) -> &Held {
        &self.turn.held
    }

    /// Removes it. The slot, to be started anew.
    ///
    /// # Errors
    /// [`Fault`] when something of it stays, Docker does not answer, or the claim ended since it was planned.
    pub fn remove(self, policy: &LockPolicy<'_>) -> Result<Held> {
        let held = &self.turn.held;
        if !held.is_still_held()? {
            return Err(holds_none(held.worktree()).into());
        }
        note_end(held)?;
        last_start::forget(&held.dir()).context("could not note that the stack is reset")?;
        let volumes: Vec<Thing> = self.volumes.iter().map(|(volume, _)| volume.clone()).collect();
        let failures: Vec<String> = [(Kind::Container, &self.containers), (Kind::Volume, &volumes)]
            .into_iter()
            .filter_map(|(kind, things)| things::remove(held.engine(), kind, things).needed().err())
            .collect();
        let there = asked(things::list(held.engine(), &[Kind::Container, Kind::Volume]))?;
        let mut left = self.containers.iter().chain(&volumes);
        if let Some(left) = left.find(|thing| there.iter().any(|other| other.key == thing.key)) {
            return Err(stays(left, &failures));
        }
        let with_data = !volumes.is_empty();
        held.pool().ledger().record(
            held.seen(),
            policy,
            held.slot,
            What::Reset { service: self.service, with_data },
        );
        Ok(self.turn.held)
    }
}

/// The volumes of a service, and the containers that use one of them or are its own.
fn meant(held: &Held, service: &str, containers: &[Thing]) -> Result<(BTreeSet<String>, BTreeSet<String>)> {
    let ids: Vec<&str> = containers.iter().map(|container| container.key.as_str()).collect();
    let mounted = asked(volumes_of(held.engine(), &ids, LONGEST))?;
    let own = mounted.iter().filter(|mounts| mounts.service == service);
    let mut volumes: BTreeSet<String> = own.clone().flat_map(|mounts| mounts.volumes.clone()).collect();
    let mut is_known = own.clone().next().is_some();
    // It may have no container now.
    if let Some(model) = Uses::read(&held.dir())?.map(|uses| uses.model)
        && let Some(found) = model.services.get(service)
    {
        is_known = true;
        let keys = found.volumes.iter().filter(|mount| mount.kind == "volume");
        let named = keys.filter_map(|mount| model.volumes.get(mount.source.as_ref()?)?.name.clone());
        volumes.extend(named);
    }
    if !is_known {
        let what = format!("slot {} has no service `{}`", held.slot, printable(service));
        return Err(Fault::usage(what).advise("`kinfra status` names the services").into());
    }
    let uses = |container: &&crate::host::containers::Mounts| {
        container.service == service || !container.volumes.is_disjoint(&volumes)
    };
    let used = mounted.iter().filter(uses).map(|mounts| mounts.container.clone()).collect();
    Ok((volumes, used))
}

fn asked<T>(answer: Answer<T>) -> Result<T> {
    Ok(answer
        .needed()
        .map_err(|why| Fault::docker(format!("Docker cannot say what the stack has: {why}")))?)
}

fn stays(thing: &Thing, failures: &[String]) -> Error {
    let why = failures.first().map_or_else(String::new, |why| format!(": {}", printable(why)));
    let what = format!("{} `{}` cannot be removed{why}", thing.kind.word(), printable(&thing.name));
    Fault::failed(what).advise("end what uses it, and run `kinfra reset` again").into()
}
