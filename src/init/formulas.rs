//! The ports that a project publishes → named formulas that pass the port proof.

use std::collections::{BTreeMap, BTreeSet};

use super::compose_facts::{PortPlace, WrittenPort};
use super::project::ComposeFile;
use crate::identifier::PortName;
use crate::port::{Port, PortFormula, Protocol};
use crate::proof::ports::{Remedy, smallest_strides};
use crate::slot::SlotId;

/// What is added to a port that needs privilege: 80 becomes 8080, 443 becomes 8443.
const ABOVE_PRIVILEGED: u16 = 8000;

/// How far a base that kinfra chooses is from the others. With stride 1, no slot of a new pool reaches that
/// far.
const DISTANCE: u16 = 10;

/// Where the search for a base stops: slots still fit between it and the last port.
const LAST_BASE: u16 = 60_000;

/// What other pools on the machine ask of the port formulas, each with its reason.
pub type Remedies = BTreeMap<PortName, (Remedy, String)>;

/// The formulas of a project, and which port of its files each is for.
#[derive(Debug)]
pub(super) struct Formulas {
    pub(super) declared: Vec<NewFormula>,
    by_key: BTreeMap<String, usize>,
}

/// A formula as it will stand in slots.toml.
#[derive(Debug)]
pub(super) struct NewFormula {
    pub(super) name: PortName,
    pub(super) formula: PortFormula,
    /// The project's own variable for the port.
    pub(super) variable: Option<String>,
    /// The file, line and service that the port comes from.
    pub(super) origin: String,
    /// Why its base is not the project's port, if it is not.
    pub(super) moved: Option<String>,
}

/// A port of a project that has no formula yet.
struct WantedPort {
    name: PortName,
    port: WrittenPort,
    origin: String,
}

impl Formulas {
    /// A formula for every port that is published at `places`, changed as `remedies` ask.
    ///
    /// # Errors
    /// A sentence: there are too many ports.
    pub(super) fn of<'a>(
        places: impl Iterator<Item = (&'a ComposeFile, &'a PortPlace)>,
        slots: &BTreeSet<SlotId>,
        remedies: &Remedies,
    ) -> Result<Self, String> {
        let mut wanted: Vec<WantedPort> = Vec::new();
        let mut by_key = BTreeMap::new();
        for (file, place) in places {
            for port in &place.ports {
                if by_key.contains_key(&port.key) {
                    continue;
                }
                by_key.insert(port.key.clone(), wanted.len());
                let name = name(place, port, |name| wanted.iter().any(|other| other.name.as_str() == name))?;
                let origin = format!("{}:{}, {}", file.path, place.line, place.service);
                wanted.push(WantedPort { name, port: port.clone(), origin });
            }
        }
        let (formulas, moved) = formulas(&wanted, slots)?;
        let declared =
            wanted.into_iter().zip(formulas).zip(moved).map(|((wanted, mut formula), mut moved)| {
                match remedies.get(&wanted.name) {
                    Some((Remedy::Stride(stride), _)) => formula.stride = *stride,
                    Some((Remedy::Base(base), why)) => {
                        formula.base = *base;
                        moved = Some(why.clone());
                    }
                    None => {}
                }
                let WantedPort { name, port: WrittenPort { variable, .. }, origin } = wanted;
                NewFormula { name, formula, variable, origin, moved }
            });
        Ok(Self { declared: declared.collect(), by_key })
    }

    /// The names of the ports that are published at a place.
    pub(super) fn names(&self, place: &PortPlace) -> Vec<&str> {
        let index = |port: &WrittenPort| self.by_key.get(&port.key).copied();
        let declared = place.ports.iter().filter_map(|port| self.declared.get(index(port)?));
        declared.map(|declared| declared.name.as_str()).collect()
    }
}

/// A formula for each port, and why its base had to move, if it had to.
fn formulas(
    wanted: &[WantedPort],
    slots: &BTreeSet<SlotId>,
) -> Result<(Vec<PortFormula>, Vec<Option<String>>), String> {
    // Every port keeps its number if it can. The others get bases around those.
    let mut taken = BTreeSet::new();
    let own: Vec<Option<Port>> = wanted
        .iter()
        .map(|wanted| wanted.port.number.and_then(Port::new).filter(|port| taken.insert(port.get())))
        .collect();
    let mut moved = vec![None; wanted.len()];
    let mut bases = Vec::new();
    for ((wanted, own), moved) in wanted.iter().zip(own).zip(&mut moved) {
        let base = if let Some(own) = own {
            own
        } else {
            let (near, why) = instead(&wanted.port);
            *moved = Some(why);
            free_base(near, &taken)?
        };
        taken.insert(base.get());
        bases.push((base, Protocol::Tcp));
    }
    // Each turn moves one base that is too high.
    for _ in 0..=wanted.len() {
        match smallest_strides(&bases, slots) {
            Ok(formulas) => return Ok((formulas, moved)),
            Err(index) => {
                let (Some((base, _)), Some(moved)) = (bases.get_mut(index), moved.get_mut(index)) else {
                    break;
                };
                *moved = Some(format!("{base} leaves no room for the slots below 65536"));
                *base = free_base(LAST_BASE, &taken)?;
                taken.insert(base.get());
            }
        }
    }
    Err(format!("{} ports for each slot are too many: no strides keep them apart", wanted.len()))
}

/// Where to look for a base for a port that cannot have its own number, and why it cannot.
fn instead(port: &WrittenPort) -> (u16, String) {
    match (port.number, port.container) {
        (Some(number), _) if number < Port::MIN => {
            (number + ABOVE_PRIVILEGED, format!("{number} needs privilege"))
        }
        (Some(number), _) => (number, format!("{number} is the base of another port")),
        (None, Some(container)) => {
            let near = if container < Port::MIN { container + ABOVE_PRIVILEGED } else { container };
            (near, format!("chosen, because `{}` names none", port.key))
        }
        (None, None) => (ABOVE_PRIVILEGED, format!("chosen, because `{}` names none", port.key)),
    }
}

/// The base `near` if it is free, else the next one that is far enough from all others.
fn free_base(near: u16, taken: &BTreeSet<u16>) -> Result<Port, String> {
    let is_alone = |base: &u16| {
        taken.range(base.saturating_sub(DISTANCE)..=base.saturating_add(DISTANCE)).next().is_none()
    };
    let asked = (near <= LAST_BASE && !taken.contains(&near)).then_some(near);
    let above = || (near..LAST_BASE).find(is_alone);
    let below = || (Port::MIN..near.min(LAST_BASE)).rev().find(is_alone);
    let found = asked.or_else(above).or_else(below).and_then(Port::new);
    found.ok_or_else(|| "the project publishes more ports than there is room for".to_owned())
}

/// A free name: the variable's, the service's, or the service's with the container port.
fn name(place: &PortPlace, port: &WrittenPort, is_taken: impl Fn(&str) -> bool) -> Result<PortName, String> {
    let variable = port.variable.as_deref().and_then(|name| {
        let name = name.to_lowercase();
        let name = name.strip_suffix("_port").or_else(|| name.strip_prefix("port_")).unwrap_or(&name);
        PortName::new(name).ok().filter(|name| name.as_str() != "port")
    });
    let service: String = place
        .service
        .to_lowercase()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .collect();
    let service = if service.starts_with(|first: char| first.is_ascii_lowercase()) {
        service
    } else {
        format!("port_{service}")
    };
    let container = port.container.or(port.number).map(|container| format!("{service}_{container}"));
    let numbered = (2..=u16::MAX).map(|number| format!("{service}_{number}"));
    let mut names = variable
        .map(|name| name.as_str().to_owned())
        .into_iter()
        .chain([service.clone()])
        .chain(container)
        .chain(numbered);
    names
        .find(|name| !is_taken(name))
        .map_or_else(|| Err("too many ports of one service".to_owned()), |name| PortName::new(&name))
}
