//! Published ports: a service publishes those that slots.toml declares, on the slot's ports, and no others.

use std::collections::{BTreeMap, BTreeSet};

use super::slot::Slot;
use super::yaml::Node;
use crate::compose::model::{PublishedPort, Service};
use crate::compose::resource::{Protocol, Target};
use crate::spec::Spec;

/// The address of a published port that the project gives none.
const LOOPBACK: &str = "127.0.0.1";

/// The most ports in a row that get a line each. More of them are a range such as that of a media server.
const MOST: usize = 24;

/// What a service publishes in a slot.
#[derive(Debug, Default)]
pub(super) struct Ports {
    /// The service's `ports`. `None` if it publishes nothing either way.
    pub(super) node: Option<Node>,
    /// What is not published because slots.toml does not know it, with the project's ports on the machine.
    pub(super) unpublished: Vec<(Target, Option<Range>)>,
    /// What else is to be said.
    pub(super) notes: Vec<String>,
}

/// A range of ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Range {
    /// The first port.
    pub(super) first: u16,
    /// How many there are; at least 1.
    pub(super) count: u16,
}

impl Range {
    /// Reads `8080` or `9000-9002`.
    fn parse(text: &str) -> Option<Self> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let first: u16 = first.parse().ok()?;
        let last: u16 = last.parse().ok()?;
        Some(Self { first, count: last.checked_sub(first)?.checked_add(1)? })
    }

    fn text(self) -> Option<String> {
        let last = self.first.checked_add(self.count.checked_sub(1)?)?;
        Some(if last == self.first { last.to_string() } else { format!("{}-{last}", self.first) })
    }
}

/// What the service publishes in the slot.
pub(super) fn of(name: &str, service: &Service, slot: &Slot<'_>) -> Ports {
    let mut ports = Ports::default();
    let mut entries = Vec::new();
    let targets = targets(name, service, slot, &mut ports.notes);
    for target in &targets {
        let published: Vec<&PublishedPort> =
            service.ports.iter().filter(|port| target_of(name, port).as_ref() == Some(target)).collect();
        let ranges = ranges(target, slot, &mut ports.notes);
        let is_known = slot.spec.publish.values().any(|publish| publish.target == *target);
        for host_ip in addresses(&published) {
            entries.extend(ranges.iter().map(|range| entry(target, Some(range), &host_ip)));
            // Docker chooses this port, so it is no other stack's.
            if !is_known && published.iter().any(|port| port.published.is_none()) {
                entries.push(entry(target, None, &host_ip));
            }
        }
    }
    let (unpublished, notes) = unpublished(name, service, slot.spec);
    ports.unpublished = unpublished;
    ports.notes.extend(notes);
    if !entries.is_empty() || !service.ports.is_empty() {
        ports.node = Some(Node::List(entries).overriding());
    }
    ports
}

/// What a service publishes on the machine and slots.toml does not know, with the project's ports there; and
/// what is to be said of so many that no line is suggested.
pub(super) fn unpublished(
    name: &str,
    service: &Service,
    spec: &Spec,
) -> (Vec<(Target, Option<Range>)>, Vec<String>) {
    let is_known = |target: &Target| spec.publish.values().any(|publish| publish.target == *target);
    let mut unpublished: BTreeMap<Target, Option<Range>> = BTreeMap::new();
    for port in &service.ports {
        let (Some(target), Some(published)) = (target_of(name, port), port.published.as_deref()) else {
            continue;
        };
        if !is_known(&target) {
            // Two containers cannot have one port.
            let wide = |range: Range| Range { count: range.count.max(service.replicas()), ..range };
            unpublished.entry(target).or_insert_with(|| Range::parse(published).map(wide));
        }
    }
    let mut notes = Vec::new();
    for run in runs(unpublished.keys()).into_iter().filter(|run| run.len() > MOST) {
        if let [first, .., last] = run.as_slice() {
            notes.push(format!(
                "`{first}` to `{last}` are {} ports, and a slot publishes none of them: declare those that you need in [ports]",
                run.len()
            ));
        }
        unpublished.retain(|target, _| !run.contains(target));
    }
    (unpublished.into_iter().collect(), notes)
}

/// The targets, those with consecutive ports together.
fn runs<'a>(targets: impl Iterator<Item = &'a Target>) -> Vec<Vec<Target>> {
    let (mut udp, tcp): (Vec<&Target>, Vec<&Target>) = targets.partition(|target| target.protocol.is_udp());
    udp.splice(0..0, tcp);
    let follows = |one: &&Target, next: &&Target| {
        one.protocol == next.protocol && one.port.checked_add(1) == Some(next.port)
    };
    udp.chunk_by(follows).map(|run| run.iter().copied().cloned().collect()).collect()
}

/// The ports of the container that the project publishes, or slots.toml.
fn targets(name: &str, service: &Service, slot: &Slot<'_>, notes: &mut Vec<String>) -> BTreeSet<Target> {
    let mut targets = BTreeSet::new();
    for port in &service.ports {
        match target_of(name, port) {
            Some(target) => drop(targets.insert(target)),
            None => notes.push(format!(
                "`{name}` publishes {}/{}, which a slot does not: kinfra knows TCP and UDP",
                port.target, port.protocol
            )),
        }
    }
    // A service in another's network has no ports of its own.
    if service.network_mode.is_none() {
        let declared = slot.spec.publish.values().map(|publish| &publish.target);
        targets.extend(declared.filter(|target| target.service == name).cloned());
    }
    targets
}

fn target_of(name: &str, port: &PublishedPort) -> Option<Target> {
    let protocol = match port.protocol.as_str() {
        "tcp" | "" => Protocol::Tcp,
        "udp" => Protocol::Udp,
        _ => return None,
    };
    Some(Target { service: name.to_owned(), port: port.target, protocol })
}

/// The slot's ports for a target.
fn ranges(target: &Target, slot: &Slot<'_>, notes: &mut Vec<String>) -> Vec<String> {
    let publish = slot.spec.publish.iter().filter(|(_, publish)| publish.target == *target);
    let mut ranges = Vec::new();
    for (name, publish) in publish {
        let first = slot.ports.get(name);
        let range = first.and_then(|first| Range { first: first.get(), count: publish.count }.text());
        match range {
            Some(range) => ranges.push(range),
            None => notes.push(format!(
                "`{target}` is not published: slot {} has no port `{name}` yet; run `kinfra down`, then `kinfra apply --update --include-claimed`",
                slot.id
            )),
        }
    }
    ranges
}

/// The machine's addresses on which a target is published. One that stands for all of its kind is enough.
fn addresses(published: &[&PublishedPort]) -> BTreeSet<String> {
    let given = published.iter().map(|port| port.host_ip.as_deref().filter(|ip| !ip.is_empty()));
    let mut addresses: BTreeSet<String> = given.map(|ip| ip.unwrap_or(LOOPBACK).to_owned()).collect();
    if addresses.is_empty() {
        addresses.insert(LOOPBACK.to_owned());
    }
    let (v4, v6) = (addresses.contains("0.0.0.0"), addresses.contains("::"));
    addresses.retain(|ip| {
        let is_v6 = ip.contains(':');
        let all = if is_v6 { "::" } else { "0.0.0.0" };
        ip == all || !(if is_v6 { v6 } else { v4 })
    });
    addresses
}

fn entry(target: &Target, range: Option<&String>, host_ip: &str) -> Node {
    let mut entry = vec![("target", Node::Number(target.port))];
    entry.extend(range.map(|range| ("published", Node::text(range))));
    entry.push(("host_ip", Node::text(host_ip)));
    entry.push(("protocol", Node::text(target.protocol.to_string())));
    Node::map(entry)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_and_written() {
        for (text, first, count) in [("8080", 8080, 1), ("9000-9002", 9000, 3)] {
            let range = Range::parse(text).unwrap();
            assert_eq!((range.first, range.count), (first, count));
            assert_eq!(range.text().as_deref(), Some(text));
        }
        for text in ["", "a", "9-8", "1-", "0-65535", "65536"] {
            assert_eq!(Range::parse(text), None, "{text}");
        }
        assert_eq!(Range { first: 65535, count: 2 }.text(), None);
    }

    #[test]
    fn a_run_is_of_one_protocol_without_a_gap() {
        let targets = ["a:1", "a:2", "a:4", "a:5/udp", "a:6/udp", "b:7"].map(|it| Target::parse(it).unwrap());
        let runs = runs(targets.iter());
        let runs: Vec<Vec<u16>> = runs.iter().map(|run| run.iter().map(|it| it.port).collect()).collect();
        assert_eq!(runs, [vec![1, 2], vec![4], vec![7], vec![5, 6]]);
    }

    #[test]
    fn an_address_that_stands_for_all_is_enough() {
        let addresses = |ips: &[Option<&str>]| {
            let port = |ip: Option<&str>| PublishedPort {
                host_ip: ip.map(str::to_owned),
                ..PublishedPort::default()
            };
            let ports: Vec<PublishedPort> = ips.iter().copied().map(port).collect();
            let addresses = addresses(&ports.iter().collect::<Vec<_>>());
            addresses.into_iter().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(addresses(&[]), "127.0.0.1");
        assert_eq!(addresses(&[None, Some("")]), "127.0.0.1");
        assert_eq!(addresses(&[None, Some("::1"), Some("10.0.0.1")]), "10.0.0.1 127.0.0.1 ::1");
        assert_eq!(addresses(&[Some("0.0.0.0"), Some("127.0.0.1"), Some("::1")]), "0.0.0.0 ::1");
        assert_eq!(addresses(&[Some("::"), Some("::1"), None]), "127.0.0.1 ::");
    }

    #[test]
    fn what_slots_toml_does_not_know_is_not_published() {
        let spec = "version = 1\n[pool]\nname = \"a\"\nroot = \"/a\"\n[compose]\n[[profiles]]\nname = \"b\"\n\
                    [[slots]]\nids = \"1\"\nprofile = \"b\"\n[ports]\nweb = { base = 8080, publish = \"s:80\" }\n";
        let spec = Spec::parse(spec).unwrap();
        let of = |ports: &str, rest: &str| {
            let model = format!(r#"{{"name": "x", "services": {{"s": {{"ports": [{ports}]{rest}}}}}}}"#);
            let model = crate::compose::model::Model::parse(&model).unwrap();
            let (unpublished, notes) = unpublished("s", &model.services["s"], &spec);
            let shown = |(target, range): (Target, Option<Range>)| {
                let range = range.map_or_else(|| "any".to_owned(), |it| format!("{}×{}", it.first, it.count));
                format!("{target} {range}")
            };
            (unpublished.into_iter().map(shown).collect::<Vec<_>>().join(", "), notes)
        };
        let port = |target: u16, published: &str, protocol: &str| {
            format!(r#"{{"target": {target}, "published": "{published}", "protocol": "{protocol}"}}"#)
        };
        for (ports, rest, shown) in [
            (port(80, "80", "tcp"), "", ""),
            (port(80, "80", "udp"), "", "s:80/udp 80×1"),
            (port(81, "8081", "tcp"), "", "s:81 8081×1"),
            (port(81, "8081-8083", "tcp"), "", "s:81 8081×3"),
            (port(81, "8081-8083", "tcp"), r#", "deploy": {"replicas": 5}"#, "s:81 8081×5"),
            (port(81, "8081-8083", "tcp"), r#", "deploy": {"replicas": 2}"#, "s:81 8081×3"),
            (port(81, "", "tcp"), "", "s:81 any"),
            (port(81, "81", "sctp"), "", ""),
            (format!("{}, {}", port(81, "1", "tcp"), port(81, "2", "tcp")), "", "s:81 1×1"),
            (r#"{"target": 81}"#.to_owned(), "", ""),
        ] {
            assert_eq!(of(&ports, rest), (shown.to_owned(), vec![]), "{ports} {rest}");
        }
        let run = |count: usize| {
            let ports: Vec<String> =
                (1..=count).map(|at| format!(r#"{{"target": {at}, "published": "{at}"}}"#)).collect();
            let (unpublished, notes) = of(&ports.join(","), "");
            (unpublished.is_empty(), notes.join(" "))
        };
        assert_eq!(run(MOST), (false, String::new()));
        let (is_none, said) = run(MOST + 1);
        assert!(
            is_none && said.starts_with(&format!("`s:1` to `s:{}` are {} ports", MOST + 1, MOST + 1)),
            "{said}"
        );
    }
}
