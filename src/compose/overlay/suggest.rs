//! The lines of slots.toml that would publish a port.

use std::collections::BTreeSet;
use std::fmt;
use std::num::NonZeroU16;

use super::ports::{Range, unpublished};
use crate::compose::model::Model;
use crate::compose::resource::Target;
use crate::port::{Port, PortFormula};
use crate::proof::ports::{PortRange, TakenPorts, smallest_strides};
use crate::shown::toml_string;
use crate::slot::SlotId;
use crate::spec::Spec;

/// A port that needs privilege is suggested this much higher: 80 as 8080, 443 as 8443.
const ABOVE_PRIVILEGED: u16 = 8000;

/// How far a stride or a base is looked for.
const FAR: u16 = 1000;

/// How many ports get strides that are found for all of them together. That takes time with the square of
/// their number; each further port is placed by itself.
const TOGETHER: usize = 200;

/// A line of `[ports]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortLine {
    /// The port's name.
    pub name: String,
    /// The service, and its port in the container.
    pub target: Target,
    /// The formulas of its ports.
    pub range: PortRange,
    /// The project's own first port on the machine, if it is one.
    pub own: Option<u16>,
}

impl PortLine {
    /// The names of its ports: a port that counts for several has `web`, `web_2` and so on.
    pub fn names(&self) -> impl Iterator<Item = String> {
        of_count(&self.name, self.range.count)
    }
}

/// Such as `web = { base = 8080, publish = "web:80" }`.
impl fmt::Display for PortLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PortLine { name, target, range: PortRange { first, count }, own: _ } = self;
        write!(f, "{name} = {{ base = {}", first.base)?;
        if first.stride > NonZeroU16::MIN {
            write!(f, ", stride = {}", first.stride)?;
        }
        write!(f, ", publish = {}", toml_string(&target.to_string()))?;
        if *count > 1 {
            write!(f, ", count = {count}")?;
        }
        f.write_str(" }")
    }
}

/// The lines for everything that a project publishes and slots.toml does not know.
pub fn port_lines(model: &Model, spec: &Spec) -> Vec<PortLine> {
    let services = model.services.iter();
    lines(services.flat_map(|(name, service)| unpublished(name, service, spec).0).collect(), spec)
}

/// A line for each target. All of them together pass the port proof.
pub(super) fn lines(mut targets: Vec<(Target, Option<Range>)>, spec: &Spec) -> Vec<PortLine> {
    // The plain name of a service is for TCP: that of a name server's web pages is not its `53/udp`.
    let place = |target: &Target| (target.service.clone(), target.protocol.is_udp());
    targets.sort_by_cached_key(|(target, _)| place(target));
    let mut names: BTreeSet<String> = spec.ports.iter().map(|(name, _)| name.to_string()).collect();
    let ids: BTreeSet<SlotId> = spec.slots.keys().copied().collect();
    let declared: Vec<PortRange> = spec.ports.iter().map(|(_, formula)| (*formula).into()).collect();
    let wanted: Vec<PortRange> =
        targets.iter().map(|(target, published)| wanted(target, *published)).collect();
    let formulas = formulas(&targets, &wanted, declared, &ids);
    let line = |((target, published), range): ((Target, Option<Range>), PortRange)| {
        let name = name(&target, range.count, &mut names);
        PortLine { name, target, range, own: published.map(|published| published.first) }
    };
    targets.into_iter().zip(formulas).map(line).collect()
}

/// The project's own ports, or as near as a slot can have them.
fn wanted(target: &Target, published: Option<Range>) -> PortRange {
    let published = published.unwrap_or(Range { first: target.port, count: 1 });
    let is_privileged = Port::new(published.first).is_none();
    let above = if is_privileged { ABOVE_PRIVILEGED } else { 0 };
    let base = Port::at_least(published.first.saturating_add(above));
    let stride = NonZeroU16::new(published.count).unwrap_or(NonZeroU16::MIN);
    PortRange { first: PortFormula { base, stride, protocol: target.protocol }, count: published.count }
}

/// The formulas of the ports. Each that can have the project's own number has it; the others get bases around
/// those.
fn formulas(
    targets: &[(Target, Option<Range>)],
    wanted: &[PortRange],
    declared: Vec<PortRange>,
    ids: &BTreeSet<SlotId>,
) -> Vec<PortRange> {
    let is_own = |(index, range): &(usize, &PortRange)| {
        let published = targets.get(*index).and_then(|(_, published)| *published);
        published.is_some_and(|published| published.first == range.first.base.get())
    };
    let own = wanted.iter().enumerate().filter(is_own).map(|(index, _)| index);
    let mut own: Vec<usize> = own.take(TOGETHER).collect();
    let mut formulas = wanted.to_vec();
    loop {
        let ranges: Vec<PortRange> = own.iter().filter_map(|index| wanted.get(*index).copied()).collect();
        match smallest_strides(&ranges, &declared, ids) {
            Ok(strides) => {
                for (index, range) in own.iter().zip(strides) {
                    if let Some(formula) = formulas.get_mut(*index) {
                        *formula = range;
                    }
                }
                break;
            }
            Err(position) => drop(own.remove(position)),
        }
    }
    let slots: Vec<u16> = std::iter::once(0).chain(ids.iter().map(|id| id.get())).collect();
    let mut taken = TakenPorts::none();
    let settled = own.iter().filter_map(|index| formulas.get(*index).copied());
    for range in declared.into_iter().chain(settled) {
        taken.take(range, &slots);
    }
    for (_, range) in formulas.iter_mut().enumerate().filter(|(index, _)| !own.contains(index)) {
        *range = nearest(*range, &taken, &slots);
        taken.take(*range, &slots);
    }
    formulas
}

/// The range with the smallest stride that works; else with the next base that does.
fn nearest(range: PortRange, taken: &TakenPorts, slots: &[u16]) -> PortRange {
    let with = |base: u16, stride: u16| {
        let (base, stride) = (Port::new(base)?, NonZeroU16::new(stride)?);
        Some(PortRange { first: PortFormula { base, stride, ..range.first }, ..range })
    };
    let works = |range: &PortRange| taken.clone().take(*range, slots);
    let (base, narrowest) = (range.first.base.get(), range.first.stride.get());
    let is_free = taken.has_free(range, &[0]);
    let strides = (narrowest..=FAR).filter(|_| is_free).filter_map(|stride| with(base, stride));
    let bases = (1..=FAR).flat_map(|offset| [base.checked_add(offset), base.checked_sub(offset)]);
    let bases = bases.filter_map(|base| with(base?, narrowest));
    let near = strides.chain(bases).find(|range| taken.has_free(*range, slots) && works(range));
    let far = || with(taken.nearest_base(range, slots)?.get(), narrowest);
    near.or_else(far).unwrap_or(range)
}

/// The names of a port that counts for several: `web`, `web_2` and so on.
fn of_count(name: &str, count: u16) -> impl Iterator<Item = String> {
    let further = (2..=count).map(move |number| format!("{name}_{number}"));
    std::iter::once(name.to_owned()).chain(further)
}

/// A name that no port has: that of the service, else with the port in the container.
fn name(target: &Target, count: u16, names: &mut BTreeSet<String>) -> String {
    let plain: String = target
        .service
        .to_lowercase()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .collect();
    let plain =
        if plain.starts_with(|c: char| c.is_ascii_lowercase()) { plain } else { format!("port_{plain}") };
    let with_port = format!("{plain}_{}", target.port);
    let udp = format!("{with_port}_{}", target.protocol);
    let numbered = (2..=u16::MAX).map(|number| format!("{udp}_{number}"));
    let mut candidates = [plain, with_port, udp.clone()].into_iter().chain(numbered);
    let is_free = |name: &String| of_count(name, count).all(|name| !names.contains(&name));
    let name = candidates.find(is_free).unwrap_or(udp);
    names.extend(of_count(&name, count));
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::port::Protocol;
    use crate::proof::ports::prove;

    #[test]
    fn any_number_of_ports_in_a_row_gets_formulas_that_pass_the_proof() {
        let ids: BTreeSet<SlotId> = (1..=6).filter_map(SlotId::new).collect();
        for count in [1, 4, 150, 500] {
            let target = |port: u16| {
                let service = format!("s{port}");
                (Target { service, port, protocol: Protocol::Tcp }, Some(Range { first: port, count: 1 }))
            };
            let targets: Vec<_> = (20_000..20_000 + count).map(target).collect();
            let wanted: Vec<PortRange> =
                targets.iter().map(|(target, published)| wanted(target, *published)).collect();
            let formulas = formulas(&targets, &wanted, Vec::new(), &ids);
            assert_eq!(prove(&formulas, &ids), Ok(()), "{count} ports");
            let own = formulas
                .iter()
                .zip(&targets)
                .filter(|(range, (target, _))| range.first.base.get() == target.port);
            assert!(own.count() >= usize::from(count.min(150)), "{count} ports");
        }
    }

    #[test]
    fn a_line_has_what_is_not_usual() {
        let range = |stride: u16, count: u16| {
            let (base, stride) = (Port::new(8080).unwrap(), NonZeroU16::new(stride).unwrap());
            PortRange { first: PortFormula { base, stride, protocol: Protocol::Tcp }, count }
        };
        for (range, shown, names) in [
            (range(1, 1), "web = { base = 8080, publish = \"web:80\" }", "web"),
            (range(2, 1), "web = { base = 8080, stride = 2, publish = \"web:80\" }", "web"),
            (range(3, 2), "web = { base = 8080, stride = 3, publish = \"web:80\", count = 2 }", "web web_2"),
        ] {
            let target = Target { service: "web".to_owned(), port: 80, protocol: Protocol::Tcp };
            let line = PortLine { name: "web".to_owned(), target, range, own: None };
            assert_eq!(line.to_string(), shown);
            assert_eq!(line.names().collect::<Vec<_>>().join(" "), names);
        }
    }

    #[test]
    fn a_range_that_cannot_stay_gets_the_next_stride_or_base() {
        let range = |base: u16, stride: u16, count: u16| {
            let (base, stride) = (Port::new(base).unwrap(), NonZeroU16::new(stride).unwrap());
            PortRange { first: PortFormula { base, stride, protocol: Protocol::Tcp }, count }
        };
        let mut taken = TakenPorts::none();
        taken.take(range(8000, 1, 1), &[0, 1, 2]);
        for (wanted, found) in [
            // Its own number is free, and slot 1 has it with another stride.
            (range(7999, 1, 1), range(7999, 4, 1)),
            (range(8000, 1, 1), range(8003, 1, 1)),
            (range(8001, 1, 1), range(8003, 1, 1)),
            (range(8003, 1, 1), range(8003, 1, 1)),
            (range(8002, 2, 2), range(8003, 2, 2)),
        ] {
            assert_eq!(nearest(wanted, &taken, &[0, 1, 2]), found, "{wanted:?}");
        }
    }

    #[test]
    fn a_port_is_named_for_its_service_then_for_its_number() {
        let mut names = BTreeSet::from(["db".to_owned()]);
        let mut next = |service: &str, port, protocol, count| {
            let target = Target { service: service.to_owned(), port, protocol };
            name(&target, count, &mut names)
        };
        for (service, port, protocol, count, expected) in [
            ("web", 80, Protocol::Tcp, 2, "web"),
            ("web", 81, Protocol::Tcp, 1, "web_81"),
            ("web", 81, Protocol::Udp, 1, "web_81_udp"),
            ("web", 81, Protocol::Udp, 1, "web_81_udp_2"),
            ("My-Db", 1, Protocol::Tcp, 1, "my_db"),
            ("9p", 1, Protocol::Tcp, 1, "port_9p"),
            ("db", 5432, Protocol::Tcp, 1, "db_5432"),
            ("web_2", 7, Protocol::Tcp, 1, "web_2_7"),
        ] {
            assert_eq!(next(service, port, protocol, count), expected);
        }
    }
}
