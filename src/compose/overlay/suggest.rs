//! The lines of slots.toml that would publish a port.

use std::collections::BTreeSet;
use std::num::NonZeroU16;

use super::ports::Range;
use crate::compose::resource::{Protocol, Target};
use crate::port::{Port, PortFormula};
use crate::slot::SlotId;
use crate::spec::Spec;

/// A port that needs privilege is suggested this much higher: 80 as 8080, 443 as 8443.
const ABOVE_PRIVILEGED: u16 = 8000;

/// How far a stride or a base is looked for.
const FAR: u16 = 1000;

/// A line of `[ports]` for each target, such as `web = { base = 8080, publish = "web:80" }`. All of them
/// together pass the port proof.
pub(super) fn lines(targets: Vec<(Target, Option<Range>)>, spec: &Spec) -> Vec<(Target, String)> {
    let mut names: BTreeSet<String> = spec.ports.iter().map(|(name, _)| name.to_string()).collect();
    let ids: BTreeSet<SlotId> = spec.slots.keys().copied().collect();
    let (mut tcp, mut udp) = formulas(spec);
    let line = |(target, published): (Target, Option<Range>)| {
        let published = published.unwrap_or(Range { first: target.port, count: 1 });
        let formulas = match target.protocol {
            Protocol::Tcp => &mut tcp,
            Protocol::Udp => &mut udp,
        };
        let formula = formula(published, formulas, &ids);
        formulas.extend(each(formula, published.count));
        let name = name(&target, published.count, &mut names);
        let base = formula.base;
        let stride = formula.stride.get();
        let stride = if stride == 1 { String::new() } else { format!(", stride = {stride}") };
        let count =
            if published.count == 1 { String::new() } else { format!(", count = {}", published.count) };
        let line = format!("{name} = {{ base = {base}{stride}, publish = \"{target}\"{count} }}");
        (target, line)
    };
    targets.into_iter().map(line).collect()
}

/// The formulas of TCP and of UDP. The two never collide.
fn formulas(spec: &Spec) -> (Vec<PortFormula>, Vec<PortFormula>) {
    spec.ports.iter().map(|(_, formula)| *formula).partition(|formula| !formula.protocol.is_udp())
}

/// The names of a port that counts for several: `web`, `web_2` and so on.
fn of_count(name: &str, count: u16) -> impl Iterator<Item = String> {
    let further = (2..=count).map(move |number| format!("{name}_{number}"));
    std::iter::once(name.to_owned()).chain(further)
}

/// The formulas of a port that counts for several. Those that would leave the range are missing.
fn each(formula: PortFormula, count: u16) -> impl Iterator<Item = PortFormula> {
    let base = move |offset| formula.base.get().checked_add(offset).and_then(Port::new);
    (0..count).filter_map(move |offset| Some(PortFormula { base: base(offset)?, ..formula }))
}

/// The project's own port with the smallest stride that works; else the next base that does.
fn formula(published: Range, taken: &[PortFormula], ids: &BTreeSet<SlotId>) -> PortFormula {
    let is_privileged = Port::new(published.first).is_none();
    let above = if is_privileged { ABOVE_PRIVILEGED } else { 0 };
    let base = Port::at_least(published.first.saturating_add(above));
    // The caller keeps TCP and UDP apart.
    let as_published = PortFormula { base, stride: NonZeroU16::MIN, protocol: Protocol::Tcp };
    let with = |base: u16, stride: u16| {
        Some(PortFormula { base: Port::new(base)?, stride: NonZeroU16::new(stride)?, ..as_published })
    };
    // Only whether it works is asked. The proof would also look for remedies, for each that does not.
    let slots = || std::iter::once(0).chain(ids.iter().map(|id| id.get()));
    let used: BTreeSet<Port> =
        taken.iter().flat_map(|formula| slots().filter_map(|slot| formula.port(slot))).collect();
    let works = |formula: &PortFormula| {
        let mut own = BTreeSet::new();
        let ports = (0..published.count).flat_map(|offset| slots().map(move |slot| (offset, slot)));
        let mut ports = ports.map(|(offset, slot)| formula.number(slot) + u32::from(offset));
        ports.all(|number| {
            let port = u16::try_from(number).ok().and_then(Port::new);
            port.is_some_and(|port| !used.contains(&port) && own.insert(port))
        })
    };
    let strides = (1..=FAR).filter_map(|stride| with(base.get(), stride));
    let bases = (1..=FAR).filter_map(|offset| with(base.get().checked_add(offset)?, published.count));
    strides.chain(bases).find(works).unwrap_or(as_published)
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
