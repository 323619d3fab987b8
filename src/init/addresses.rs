//! Addresses of the main stack in environments and build arguments: `http://localhost:8000`.

use std::collections::BTreeMap;

use super::compose_file::ComposeFile;
use super::text::node::YamlNode;
use crate::compose::model::Model;
use crate::compose::overlay::PortLine;
use crate::compose::resource::Target;
use crate::port::Protocol;

/// Names by which a container or a browser reaches the machine's ports.
const HOSTS: [&str; 5] = ["localhost", "127.0.0.1", "0.0.0.0", "[::1]", "host.docker.internal"];

/// What init says of addresses.
#[derive(Debug, Default)]
pub(super) struct Addresses {
    /// The lines of `[services.NAME.environment]`, by service.
    pub(super) lines: BTreeMap<String, Vec<EnvironmentLine>>,
    /// What is to be said, in sentences.
    pub(super) notes: Vec<String>,
}

/// A line of `[services.NAME.environment]`.
#[derive(Debug)]
pub(super) struct EnvironmentLine {
    /// The variable.
    pub(super) name: String,
    /// Its value, a template.
    pub(super) value: String,
    /// Whether it is in force. Otherwise it is commented out.
    pub(super) in_force: bool,
}

/// Finds the addresses of ports that slots have elsewhere.
pub(super) fn addresses(model: &Model, lines: &[PortLine], sources: &[ComposeFile]) -> Addresses {
    let ports = main_ports(model, lines);
    let texts: Vec<ServiceTexts<'_>> = sources.iter().map(ServiceTexts::of).collect();
    let mut addresses = Addresses::default();
    for (service, of) in &model.services {
        for (name, value) in of.environment.iter().filter_map(|(name, value)| Some((name, value.as_ref()?))) {
            let Some((template, shown)) = moved(value, &ports) else { continue };
            let place = place(service, &["environment"], name, &texts).or_else(|| anywhere(value, sources));
            let at = place.clone().unwrap_or_else(|| "an env file".to_owned());
            let in_force = is_whole_url(value);
            // A value that only an env file has may be a secret.
            let is_known = in_force || is_literal(value, sources);
            let can_be_template = is_known && !["{{", "{%", "{#"].iter().any(|mark| value.contains(mark));
            let what = match (can_be_template, in_force) {
                (true, true) => "each slot has its own in its place",
                (true, false) => "slots.toml has a line for it, commented out",
                (false, _) => "a slot means the main stack with it",
            };
            addresses.notes.push(format!("`{name}` of {service} ({at}) has {shown}: {what}"));
            if can_be_template {
                let line = EnvironmentLine { name: name.clone(), value: template, in_force };
                addresses.lines.entry(service.clone()).or_default().push(line);
            }
        }
        let args = of.build.iter().flat_map(|build| &build.args);
        for (name, value) in args.filter_map(|(name, value)| Some((name, value.as_ref()?))) {
            let Some((_, shown)) = moved(value, &ports) else { continue };
            let place = place(service, &["build", "args"], name, &texts).or_else(|| anywhere(value, sources));
            let at = place.map(|at| format!(" ({at})")).unwrap_or_default();
            addresses.notes.push(format!(
                "the build argument `{name}` of {service}{at} has {shown}, in slots too: it means the main stack"
            ));
        }
    }
    addresses
}

/// The names of the ports that the main stack has, by number.
fn main_ports(model: &Model, lines: &[PortLine]) -> BTreeMap<u16, String> {
    let lines: BTreeMap<&Target, &PortLine> = lines.iter().map(|line| (&line.target, line)).collect();
    let mut ports = BTreeMap::new();
    for (service, of) in &model.services {
        for port in of.ports.iter().filter(|port| port.protocol != "udp") {
            let target = Target { service: service.clone(), port: port.target, protocol: Protocol::Tcp };
            let Some(line) = lines.get(&target) else { continue };
            let Some(published) = &port.published else { continue };
            let first = published.split('-').next().and_then(|first| first.parse::<u16>().ok());
            let Some(first) = first else { continue };
            let names = (first..=u16::MAX).zip(line.names());
            let count = if published.contains('-') { usize::from(line.range.count) } else { 1 };
            ports.extend(names.take(count));
        }
    }
    ports
}

/// The value with the slot's ports, and what in it moves. `None` if nothing does.
fn moved(value: &str, ports: &BTreeMap<u16, String>) -> Option<(String, String)> {
    let (mut template, mut shown, mut rest) = (String::new(), Vec::new(), value);
    while let Some((at, host)) = first_host(rest) {
        let after = at + host.len() + 1;
        let (before, tail) = rest.split_at_checked(after)?;
        let digits = tail.find(|c: char| !c.is_ascii_digit()).unwrap_or(tail.len());
        let (digits, tail) = tail.split_at_checked(digits)?;
        let name = digits.parse().ok().and_then(|port: u16| ports.get(&port));
        // `notlocalhost:80` is another machine.
        let is_part = rest
            .get(..at)
            .is_some_and(|before| before.ends_with(|c: char| c.is_alphanumeric() || "-_.".contains(c)));
        template.push_str(before);
        match name.filter(|_| !is_part) {
            Some(name) => {
                template.extend(["{{ ports.", name, " }}"]);
                shown.push(format!("`{host}:{digits}`"));
            }
            None => template.push_str(digits),
        }
        rest = tail;
    }
    template.push_str(rest);
    shown.dedup();
    (!shown.is_empty()).then(|| (template, shown.join(", ")))
}

/// The first host with a colon after it.
fn first_host(text: &str) -> Option<(usize, &'static str)> {
    let found = HOSTS.iter().filter_map(|host| Some((text.find(&format!("{host}:"))?, *host)));
    found.min_by_key(|(at, _)| *at)
}

/// Whether the whole value is the URL of such a port, without anything that may be a secret.
fn is_whole_url(value: &str) -> bool {
    let rest =
        ["http://", "https://", "ws://", "wss://"].iter().find_map(|scheme| value.strip_prefix(scheme));
    let Some(rest) = rest else { return false };
    let host = HOSTS.iter().find_map(|host| rest.strip_prefix(host)?.strip_prefix(':'));
    host.is_some_and(|rest| {
        let path = rest.trim_start_matches(|c: char| c.is_ascii_digit());
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "/-_.~%".contains(c);
        (path.is_empty() || path.starts_with('/')) && path.chars().all(is_plain)
    })
}

/// Whether a Compose file has the value as it is.
fn is_literal(value: &str, sources: &[ComposeFile]) -> bool {
    let mut scalars = sources.iter().flat_map(|source| source.root.scalars());
    scalars.any(|(_, text)| text == value || text.split_once('=').is_some_and(|(_, text)| text == value))
}

/// What a file says of each service, by its name.
struct ServiceTexts<'a> {
    source: &'a ComposeFile,
    services: BTreeMap<&'a str, &'a YamlNode>,
}

impl<'a> ServiceTexts<'a> {
    fn of(source: &'a ComposeFile) -> Self {
        let services = source.root.get("services").map(YamlNode::entries).unwrap_or_default();
        Self { source, services: services.iter().map(|(name, node)| (name.as_str(), node)).collect() }
    }
}

/// Where a variable or a build argument of a service stands.
fn place(service: &str, keys: &[&str], name: &str, texts: &[ServiceTexts<'_>]) -> Option<String> {
    texts.iter().rev().find_map(|ServiceTexts { source, services }| {
        let node = keys.iter().try_fold(*services.get(service)?, |node, key| node.get(key))?;
        Some(source.at(line_of(node, name)?))
    })
}

/// The line of a variable in a mapping or a list of `NAME=VALUE`.
fn line_of(node: &YamlNode, name: &str) -> Option<usize> {
    let in_list = |item: &&YamlNode| {
        item.text().and_then(|text| text.strip_prefix(name)).is_some_and(|rest| rest.starts_with('='))
    };
    node.get(name).or_else(|| node.items().iter().find(in_list)).map(|node| node.line)
}

/// Where a value stands, in whatever place.
fn anywhere(value: &str, sources: &[ComposeFile]) -> Option<String> {
    sources.iter().find_map(|source| {
        let scalars = source.root.scalars();
        let found = scalars.iter().find(|(_, text)| text.contains(value));
        found.map(|(line, _)| source.at(*line))
    })
}
