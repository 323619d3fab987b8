//! A close look at one slot's stack: the gate's facts once, without waiting, and what else uses its ports.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;

use super::sight::{Glance, Sight};
use super::stacks::{LONGEST, SETTLE, UNTRUSTED, by_slot, engine_noted, engine_of, may_run, unanswered};
use super::was_up;
use crate::claims::held::Held;
use crate::claims::listing::Listed;
use crate::compose::model::Model;
use crate::host::clock::Stopwatch;
use crate::host::container::Container;
use crate::host::containers::{inspect, list};
use crate::host::context::{elsewhere, remote_host};
use crate::host::net::is_in_use;
use crate::identifier::PortName;
use crate::memory::Memory;
use crate::observe::port_user::{PortUser, PortUsers};
use crate::observe::whose::Whose;
use crate::port::HostPort;
use crate::registry::{Elsewhere, Engine};
use crate::stack::admission::uses::{Asked, Uses};
use crate::stack::gate::listening::listening;
use crate::stack::gate::state::{Expected, Judged, Part, Seen, judge};
use crate::stack::up::addresses::{Reach, Url};
use crate::stack::up::last_start::LastStart;
use crate::stack::up::memory::declared;
use crate::which::trust::Trust;

/// A slot's stack, looked at closely.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Examined {
    /// What it does, in short.
    pub sight: Sight,
    /// Each of its services.
    pub services: Vec<Judged>,
    /// The services that were not asked for, and are not there.
    pub not_started: Vec<String>,
    /// The slot's ports that something else uses.
    pub taken: Vec<Taken>,
    /// The address of each port of the slot.
    pub urls: BTreeMap<PortName, Url>,
    /// The engine that the stack is on, if that is not the one in use.
    pub elsewhere: Option<Elsewhere>,
    /// The memory that its profile declares.
    pub declared_memory: Option<Memory>,
}

/// A port of a slot that something uses which is not of its stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// The port's name.
    pub name: PortName,
    /// The port.
    pub port: HostPort,
    /// What uses it.
    pub by: PortUser,
}

/// Looks at a slot's stack, for at most two seconds.
pub fn examine(held: &Held, listed: &Listed) -> Examined {
    let (spec, whose) = (held.spec(), held.whose());
    let engine = engine_of(&listed.entry);
    let host = remote_host(Some(&engine));
    let uses = Uses::read(listed.dir()).ok().flatten().filter(|uses| !uses.has_ended);
    let asked = uses.as_ref().map(|uses| uses.asked.clone()).unwrap_or_default();
    let model = LastStart::read(listed.dir()).map(|last| last.model).or(uses.map(|uses| uses.model));
    let model = model.unwrap_or_default();
    let reach = Reach { host: host.as_deref(), spec, model: &model, slot: listed.slot };
    let ports = listed.entry.provisioned.host_ports();
    let urls = ports.map(|(name, port)| (name.clone(), reach.url(name, port))).collect();
    let elsewhere = elsewhere(engine_noted(&listed.entry));
    let without_any = |sight| Examined {
        sight,
        services: Vec::new(),
        not_started: Vec::new(),
        taken: Vec::new(),
        urls,
        elsewhere,
        declared_memory: spec.and_then(|spec| declared(spec, &listed.entry)),
    };
    if !may_run(&listed.entry) {
        return without_any(Sight::NeverStarted);
    }
    if held.pool().trust != Trust::Given {
        return without_any(unanswered(&listed.entry, UNTRUSTED));
    }
    let seen = match containers(&engine, listed, &whose) {
        Ok(seen) => seen,
        Err(why) => return without_any(unanswered(&listed.entry, &why)),
    };
    let once = spec.map(|spec| &spec.stack.once);
    let (expected, not_started) = expected(&model, &asked, &seen, once.unwrap_or(&BTreeSet::new()));
    let services = judge(&expected, &seen, SETTLE);
    let sight = if seen.is_empty() && listed.entry.started.is_none() {
        Sight::NeverStarted
    } else {
        was_up::seen(listed, services.iter().map(|judged| glance(judged, &seen)).collect())
    };
    // The ports of another machine are not known here.
    let users = PortUsers::new(Some(&engine), Some(whose));
    let taken = if host.is_some() { Vec::new() } else { taken(listed, &seen, &users) };
    Examined { sight, services, not_started, taken, ..without_any(Sight::NeverStarted) }
}

fn containers(engine: &Engine, listed: &Listed, whose: &Whose<'_>) -> Result<Vec<Seen>, String> {
    let clock = Stopwatch::start();
    let left = || LONGEST.saturating_sub(clock.elapsed());
    let look = || {
        let rows = list(Some(engine), LONGEST).needed()?;
        let own = by_slot(&rows, whose).remove(&listed.slot).unwrap_or_default();
        inspect(Some(engine), &own, left()).needed()
    };
    // A container may go away between the two questions.
    let containers = look().or_else(|why| if left() > LONGEST / 2 { look() } else { Err(why) })?;
    let seen = |container: Container| Seen {
        up_for: container.up_for.unwrap_or_default(),
        listening: listening(Some(engine), &container, left()),
        container,
    };
    Ok(containers.into_iter().map(seen).collect())
}

/// What the starts so far should have come to, and what there is besides; and the services that were not
/// asked for.
fn expected(model: &Model, asked: &Asked, seen: &[Seen], once: &BTreeSet<String>) -> (Expected, Vec<String>) {
    // Where nothing is left, nothing is missing.
    let all = if seen.is_empty() { Expected::default() } else { Expected::of(model, once) };
    let mut expected = match asked {
        Asked::All => all.clone(),
        Asked::Only(named) if named.is_empty() => Expected::default(),
        Asked::Only(named) => all.clone().only(named),
    };
    let mut counts: BTreeMap<&str, u16> = BTreeMap::new();
    for seen in seen {
        *counts.entry(&seen.container.service).or_default() += 1;
    }
    for (service, replicas) in counts {
        let part = Part { replicas, is_to_end: once.contains(service), depends_on: BTreeSet::new() };
        expected.services.entry(service.to_owned()).or_insert(part);
    }
    let is_left_out = |name: &String| !expected.services.contains_key(name);
    let not_started = all.services.into_keys().filter(is_left_out).collect();
    (expected, not_started)
}

fn glance(judged: &Judged, seen: &[Seen]) -> Glance {
    let id = judged.container.as_ref().map(|(_, id)| id);
    let own = seen.iter().find(|seen| Some(&seen.container.id) == id && seen.container.is_up());
    Glance {
        service: judged.service.clone(),
        state: judged.state,
        exit_code: judged.exit_code,
        is_out_of_memory: judged.is_out_of_memory,
        up_for: own.map(|seen| seen.up_for),
    }
}

/// The slot's ports that something else uses.
fn taken(listed: &Listed, seen: &[Seen], users: &PortUsers<'_>) -> Vec<Taken> {
    let up = seen.iter().filter(|seen| seen.container.is_up());
    let own: BTreeSet<_> = up
        .flat_map(|seen| &seen.container.ports)
        .filter_map(|port| Some((port.host?, port.protocol)))
        .collect();
    let others = listed.entry.provisioned.host_ports().filter(|(_, port)| {
        let is_own = own.contains(&(port.port.get(), port.protocol));
        !is_own && is_in_use(*port)
    });
    others.map(|(name, port)| Taken { name: name.clone(), port, by: users.of(port) }).collect()
}
