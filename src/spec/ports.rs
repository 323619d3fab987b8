//! `[ports]`: the formulas, what they publish, and the flaws of the port proof as mistakes at their places.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU16;
use std::ops::Range;

use toml::Spanned;
use toml::de::DeValue;

use super::compose::needs_compose;
use super::declared::PublishSpec;
use super::invalid::Invalid;
use super::keys::{Keys, user_key};
use super::mistake::Mistake;
use super::value::{TomlValue, number, text, wrong_type};
use crate::compose::resource::Target;
use crate::identifier::{PortName, WorkerKind};
use crate::port::{Port, PortFormula, Protocol};
use crate::proof::ports::{self, Flaw, PortRange, Remedy};
use crate::slot::SlotId;

/// The most ports that one entry declares. Each has a name and a variable of its own.
const MOST_PORTS: u16 = 1000;

/// The ports with their places. They are not proven yet.
pub(super) struct Ports(Vec<DeclaredPort>);

/// An entry of `[ports]`.
struct DeclaredPort {
    place: Range<usize>,
    name: PortName,
    range: PortRange,
    publish: Option<Spanned<PublishSpec>>,
}

/// Reads the ports. Only a pool with `[compose]` publishes any.
pub(super) fn read(keys: Keys<'_>, has_compose: bool, mistakes: &mut Vec<Mistake>) -> Option<Ports> {
    let span = keys.span();
    let read = keys.entries().map(|(name, value)| {
        let port = port(value, has_compose, mistakes);
        let place = name.span().start..value.span().end;
        let name = user_key(&name, PortName::new, mistakes);
        let (range, publish) = port?;
        Some(DeclaredPort { place, name: name?, range, publish })
    });
    let ports: Vec<_> = read.collect::<Vec<_>>().into_iter().collect::<Option<_>>()?;
    if ports.is_empty() {
        let help = "declare at least the primary port of a slot, such as `web = 8000`".to_owned();
        mistakes.push(Mistake::new(span, "[ports] is empty").help(help));
    }
    let ports = Ports(ports);
    ports.refuse_clashes(mistakes);
    ports.refuse_equal_targets(mistakes);
    Some(ports)
}

fn port(
    value: TomlValue<'_>,
    has_compose: bool,
    mistakes: &mut Vec<Mistake>,
) -> Option<(PortRange, Option<Spanned<PublishSpec>>)> {
    if let DeValue::Integer(_) = value.get_ref() {
        let (base, stride, protocol) = (base(value, mistakes)?, NonZeroU16::MIN, Protocol::Tcp);
        return Some((PortFormula { base, stride, protocol }.into(), None));
    }
    let DeValue::Table(_) = value.get_ref() else {
        mistakes.push(wrong_type(
            value,
            "a port",
            "a base such as `8000`, or `{ base = 8000, stride = 10 }`",
        ));
        return None;
    };
    let mut keys = Keys::of(value, "a port", mistakes)?;
    let base = keys.require("base").and_then(|value| base(value, mistakes));
    let stride = match keys.get("stride") {
        None => Some(NonZeroU16::MIN),
        Some(value) => number(value, "a stride", 1..=u16::MAX, mistakes).and_then(NonZeroU16::new),
    };
    let publish = publish(&mut keys, has_compose, mistakes);
    keys.finish(mistakes);
    let target = publish.as_ref().map(|publish| &publish.get_ref().target);
    let protocol = target.map_or(Protocol::Tcp, |target| target.protocol);
    let count = publish.as_ref().map_or(1, |publish| publish.get_ref().count);
    Some((PortRange { first: PortFormula { base: base?, stride: stride?, protocol }, count }, publish))
}

fn base(value: TomlValue<'_>, mistakes: &mut Vec<Mistake>) -> Option<Port> {
    number(value, "a base", Port::MIN..=Port::MAX, mistakes).and_then(Port::new)
}

/// Reads what a port publishes. A port that does so wrongly publishes nothing, so that it is still proven.
fn publish(
    keys: &mut Keys<'_>,
    has_compose: bool,
    mistakes: &mut Vec<Mistake>,
) -> Option<Spanned<PublishSpec>> {
    let value = keys.get("publish");
    let (count_value, scheme_value) = (keys.get("count"), keys.get("scheme"));
    let count = count_value.map_or(Some(1), |value| number(value, "`count`", 1..=MOST_PORTS, mistakes));
    let scheme = match scheme_value {
        None => Some(None),
        Some(value) => text(value, "`scheme`", mistakes, scheme).map(Some),
    };
    let Some(value) = value else {
        for (key, value) in [("count", count_value), ("scheme", scheme_value)] {
            if let Some(value) = value {
                let help = "add the service and its port, such as `publish = \"web:80\"`".to_owned();
                mistakes.push(Mistake::new(value.span(), format!("`{key}` needs `publish`")).help(help));
            }
        }
        return None;
    };
    let target = text(value, "`publish`", mistakes, Target::parse);
    if !has_compose {
        mistakes.push(needs_compose(value.span(), "`publish`"));
    }
    let publish = PublishSpec { target: target?, count: count?, scheme: scheme? };
    Some(Spanned::new(value.span(), publish))
}

fn scheme(scheme: &str) -> Result<String, Invalid> {
    let starts_well = scheme.starts_with(|first: char| first.is_ascii_lowercase());
    let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "+-.".contains(c);
    if starts_well && scheme.chars().all(is_part) {
        return Ok(scheme.to_owned());
    }
    let message = format!("`{}` is not a valid scheme", scheme.escape_debug());
    Err(Invalid::new(message, "write what stands before `://`, such as `http` or `postgres`"))
}

impl Ports {
    /// Refuses a name that another entry already gives to one of its further ports.
    fn refuse_clashes(&self, mistakes: &mut Vec<Mistake>) {
        for port in &self.0 {
            let Some((first, n)) = port.name.row() else { continue };
            let is_row = |other: &&DeclaredPort| other.name.as_str() == first && other.range.count >= n;
            if let Some(row) = self.0.iter().find(is_row) {
                let message =
                    format!("`{}` is already port {n} of the {} of `{first}`", port.name, row.range.count);
                let mistake =
                    Mistake::new(port.place.clone(), message).help("choose another name".to_owned());
                mistakes.push(mistake.related(row.place.clone(), "declared here"));
            }
        }
    }

    fn refuse_equal_targets(&self, mistakes: &mut Vec<Mistake>) {
        let mut places: BTreeMap<&Target, Range<usize>> = BTreeMap::new();
        let mut published: Vec<_> = self.0.iter().filter_map(|port| port.publish.as_ref()).collect();
        published.sort_by_key(|publish| publish.span().start);
        for publish in published {
            let target = &publish.get_ref().target;
            match places.get(target) {
                Some(earlier) => {
                    let mistake = Mistake::new(publish.span(), format!("`{target}` is published twice"));
                    mistakes.push(mistake.related(earlier.clone(), "first published here"));
                }
                None => drop(places.insert(target, publish.span())),
            }
        }
    }

    /// Refuses more workers than their service has ports: two of them cannot publish one port.
    pub(super) fn refuse_surplus_workers(
        &self,
        workers: &[Spanned<(WorkerKind, u16)>],
        mistakes: &mut Vec<Mistake>,
    ) {
        for place in workers {
            let (kind, wanted) = place.get_ref();
            for port in &self.0 {
                let Some(publish) = &port.publish else { continue };
                let PublishSpec { target, count, scheme: _ } = publish.get_ref();
                if target.service == kind.as_str() && wanted > count {
                    let message = format!(
                        "{wanted} workers of `{kind}` need as many ports for `{target}`, and `{}` has {count}",
                        port.name
                    );
                    let help =
                        format!("give `{}` a `count` of {wanted}, or declare fewer workers", port.name);
                    let mistake = Mistake::new(place.span(), message).help(help);
                    mistakes.push(mistake.related(port.place.clone(), "published here"));
                }
            }
        }
    }

    /// Runs the port proof and notes every flaw at the formulas that cause it.
    pub(super) fn prove(&self, slots: &BTreeSet<SlotId>, mistakes: &mut Vec<Mistake>) {
        let ranges: Vec<PortRange> = self.0.iter().map(|port| port.range).collect();
        let flaws = ports::prove(&ranges, slots).err().unwrap_or_default();
        mistakes.extend(flaws.into_iter().filter_map(|flaw| self.mistake(&flaw, slots)));
    }

    /// The names of all ports, each of several in a row included.
    pub(super) fn names(&self) -> impl Iterator<Item = PortName> {
        self.0.iter().flat_map(|port| (1..=port.range.count).map(|n| port.name.nth(n)))
    }

    /// The formulas of all ports.
    pub(super) fn formulas(&self) -> Vec<(PortName, PortFormula)> {
        let formulas = self.0.iter().flat_map(|port| port.range.formulas());
        self.names().zip(formulas).filter_map(|(name, formula)| Some((name, formula?))).collect()
    }

    /// What the ports publish, by the name of the first.
    pub(super) fn published(&self) -> BTreeMap<PortName, PublishSpec> {
        let published =
            self.0.iter().filter_map(|port| Some((port.name.clone(), port.publish.clone()?.into_inner())));
        published.collect()
    }

    fn mistake(&self, flaw: &Flaw, slots: &BTreeSet<SlotId>) -> Option<Mistake> {
        match *flaw {
            Flaw::OutOfRange { formula, slot, number } => {
                let DeclaredPort { place, name, range, publish: _ } = self.0.get(formula)?;
                let name = name.nth(range.count);
                let message = format!("port `{name}` of slot {slot} would be {number}, above {}", Port::MAX);
                let past_base = range.last_number(slots.last()?.get()) - u32::from(range.first.base.get());
                let highest_base = u32::from(Port::MAX).checked_sub(past_base);
                let help = match highest_base.filter(|base| *base >= Port::MIN.into()) {
                    Some(base) => format!("the highest base that keeps every slot in range is {base}"),
                    None => "no base keeps every slot in range; use a smaller stride or lower ids".to_owned(),
                };
                Some(Mistake::new(place.clone(), message).label(label(*range)).help(help))
            }
            Flaw::Collision { first, second, port, remedy } => {
                let (one, other) = (self.0.get(first.0)?, self.0.get(second.0)?);
                let message = format!(
                    "ports collide: `{}` of {} and `{}` of {} are both {port}",
                    one.name_of(port, first.1)?,
                    stack(first.1),
                    other.name_of(port, second.1)?,
                    stack(second.1),
                );
                let mistake = Mistake::new(other.place.clone(), message).label(label(other.range));
                if first.0 == second.0 {
                    return Some(mistake.help(help_with_range(one.range, remedy)));
                }
                let help = help_with_two(&other.name, remedy);
                Some(mistake.related(one.place.clone(), label(one.range)).help(help))
            }
        }
    }
}

impl DeclaredPort {
    /// The name of the port that has a number in a slot.
    fn name_of(&self, port: Port, slot: u16) -> Option<PortName> {
        let offset = u32::from(port.get()).checked_sub(self.range.first.number(slot))?;
        Some(self.name.nth(u16::try_from(offset).ok()? + 1))
    }
}

fn help_with_two(second: &PortName, remedy: Option<Remedy>) -> String {
    match remedy {
        Some(Remedy::Stride(stride)) => format!("the smallest stride that works for both is {stride}"),
        Some(Remedy::Base(base)) => format!(
            "as long as the other ports stay, no stride works for both; \
             the nearest free base for `{second}` is {base}"
        ),
        None => "no stride and no base works; declare fewer slots or fewer ports".to_owned(),
    }
}

fn help_with_range(range: PortRange, remedy: Option<Remedy>) -> String {
    let count = range.count;
    match remedy {
        Some(Remedy::Stride(stride)) => {
            format!(
                "{count} ports for each slot need a stride of at least {count}; the smallest that works is {stride}"
            )
        }
        Some(Remedy::Base(_)) | None => format!(
            "{count} ports for each slot need a stride of at least {count}, and as long as the other ports stay, \
             none works; declare fewer slots or a smaller `count`"
        ),
    }
}

fn label(range: PortRange) -> String {
    match range.count {
        1 => range.first.to_string(),
        count => format!("{}, and the {} after it", range.first, count - 1),
    }
}

fn stack(slot: u16) -> String {
    match slot {
        0 => "the main stack (slot 0)".to_owned(),
        slot => format!("slot {slot}"),
    }
}
