//! The containers of an engine: which there are, what they do, what they print.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

use super::container::{Container, TEMPLATE};
use super::container_row::{self, Row};
use super::docker::{Answer, ask_of, output_of};
use crate::names::{PROJECT_LABEL, SERVICE_LABEL};
use crate::port::{HostPort, Port, Protocol};
use crate::registry::Engine;
use crate::thing::{Kind, Labels, Thing};

/// How often a look begins anew, because a container went away in the middle of it.
const ATTEMPTS: usize = 5;
/// The most characters of a line that are kept.
const WIDEST: usize = 400;

/// The containers of all Compose projects, running or not, as one list.
pub fn list(engine: Option<&Engine>, timeout: Duration) -> Answer<Vec<Row>> {
    list_with(engine, PROJECT_LABEL, timeout)
}

fn list_with(engine: Option<&Engine>, label: &str, timeout: Duration) -> Answer<Vec<Row>> {
    let filter = format!("label={label}");
    let format = ["--no-trunc", "--filter", &filter, "--format", container_row::TEMPLATE];
    let arguments = [&["ps", "--all"], &format[..]].concat();
    ask_of(engine, &arguments, timeout).then(|lines| read(&lines, Row::parse))
}

/// The containers of a Compose project, running or not.
pub fn of_project(engine: Option<&Engine>, project: &str, timeout: Duration) -> Answer<Vec<Container>> {
    let label = format!("{PROJECT_LABEL}={project}");
    let mut answer = Answer::Is(Vec::new());
    for _ in 0..ATTEMPTS {
        answer = list_with(engine, &label, timeout)
            .then(|rows| inspect(engine, &rows.iter().collect::<Vec<_>>(), timeout));
        let went = |reason: &str| reason.to_lowercase().contains("no such container");
        if !matches!(&answer, Answer::Failed(reason) if went(reason)) {
            break;
        }
    }
    answer
}

/// What listed containers do. Fails if one of them is not there any more.
pub fn inspect(engine: Option<&Engine>, rows: &[&Row], timeout: Duration) -> Answer<Vec<Container>> {
    if rows.is_empty() {
        return Answer::Is(Vec::new());
    }
    let ids: Vec<&str> = rows.iter().map(|row| row.id.as_str()).collect();
    let arguments = [&["container", "inspect", "--format", TEMPLATE], &ids[..]].concat();
    let answer = ask_of(engine, &arguments, timeout).then(|lines| read(&lines, Container::parse));
    answer.map(|mut containers| {
        for container in &mut containers {
            container.up_for = rows.iter().find(|row| row.id == container.id).and_then(|row| row.up_for);
        }
        containers
    })
}

fn read<T>(lines: &str, parse: impl Fn(&str) -> serde_json::Result<T>) -> Answer<Vec<T>> {
    let read: serde_json::Result<Vec<T>> = lines.lines().map(parse).collect();
    read.map_or_else(
        |error| Answer::Failed(format!("docker printed what kinfra does not understand: {error}")),
        Answer::Is,
    )
}

/// The last lines that a container printed. None if Docker does not say.
pub fn last_lines(engine: Option<&Engine>, id: &str, count: usize, timeout: Duration) -> Vec<String> {
    let tail = count.to_string();
    let Ok(output) = output_of(engine, &["logs", "--tail", &tail, "--timestamps", id], timeout) else {
        return Vec::new();
    };
    let both = [output.stdout, output.stderr].concat();
    let both = String::from_utf8_lossy(&both);
    let mut lines: Vec<&str> = both.lines().collect();
    // Both streams, in the order of their times.
    lines.sort_by_key(|line| line.split_once(' ').map(|(at, _)| at));
    let text = lines.iter().map(|line| line.split_once(' ').map_or("", |(_, text)| text));
    // Docker counts each stream by itself.
    let text = text.skip(lines.len().saturating_sub(count));
    text.map(|line| line.trim_end().chars().take(WIDEST).collect()).collect()
}

/// A container that runs, and the ports of the machine that it publishes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publisher {
    /// Its name.
    pub name: String,
    /// Whose it is. The root is not asked for.
    pub labels: Labels,
    /// The ports.
    pub ports: BTreeSet<HostPort>,
}

impl Publisher {
    /// What is asked for: a JSON array.
    const TEMPLATE: &str = "[{{json .Names}},{{json .Ports}},{{json (.Label \"com.docker.compose.project\")}},\
        {{json (.Label \"com.docker.compose.project.working_dir\")}},{{json (.Label \"kinfra.id\")}},\
        {{json (.Label \"kinfra.slot\")}}]";

    /// Reads an answer to the template.
    fn parse(line: &str) -> serde_json::Result<Self> {
        let (name, ports, project, working_dir, id, slot): (String, String, String, String, String, String) =
            serde_json::from_str(line)?;
        let labels = Labels { project, working_dir, id, root: String::new(), slot };
        Ok(Self { name, labels, ports: published(&ports) })
    }

    /// The container.
    pub fn thing(&self) -> Thing {
        let (key, name) = (self.name.clone(), self.name.clone());
        Thing { kind: Kind::Container, key, name, labels: self.labels.clone(), bytes: None }
    }
}

/// The containers that run, and what they publish.
pub fn publishers(engine: Option<&Engine>, timeout: Duration) -> Answer<Vec<Publisher>> {
    let answer = ask_of(engine, &["ps", "--format", Publisher::TEMPLATE], timeout);
    answer.then(|lines| read(&lines, Publisher::parse))
}

/// The ports of the machine in a list such as `0.0.0.0:8001->80/tcp, [::]:9000-9002->9000-9002/udp, 70/tcp`.
fn published(list: &str) -> BTreeSet<HostPort> {
    let ports = |part: &str| {
        let (host, container) = part.trim().split_once("->")?;
        let protocol = Protocol::udp_if(container.ends_with("/udp"));
        let (_, numbers) = host.rsplit_once(':')?;
        let (first, last) = numbers.split_once('-').unwrap_or((numbers, numbers));
        let numbers = first.parse::<u16>().ok()?..=last.parse().ok()?;
        Some(numbers.filter_map(Port::new).map(move |port| HostPort { port, protocol }))
    };
    list.split(',').filter_map(ports).flatten().collect()
}

/// What files say inside a container, as far as they and `cat` are there.
pub fn read_inside(engine: Option<&Engine>, id: &str, files: &[&str], timeout: Duration) -> Option<String> {
    let arguments = [&["exec", id, "cat"], files].concat();
    let output = output_of(engine, &arguments, timeout).ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (!text.is_empty()).then_some(text)
}

/// The volumes that a container uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mounts {
    /// The container's id, in full.
    pub container: String,
    /// The service that it is of.
    pub service: String,
    /// The names of the volumes.
    pub volumes: BTreeSet<String>,
}

/// The volumes that containers use, by their ids.
pub fn volumes_of(engine: Option<&Engine>, ids: &[&str], timeout: Duration) -> Answer<Vec<Mounts>> {
    if ids.is_empty() {
        return Answer::Is(Vec::new());
    }
    let service = format!("{{{{json (index .Config.Labels \"{SERVICE_LABEL}\")}}}}");
    let format = format!("[{{{{json .Id}}}},{service},{{{{json .Mounts}}}}]");
    let arguments = [&["container", "inspect", "--format", &format], ids].concat();
    let mounts = |line: &str| {
        let (container, service, mounts): (String, Option<String>, Vec<Value>) =
            serde_json::from_str(line).ok()?;
        let volumes = mounts.iter().filter(|mount| mount["Type"] == "volume");
        let volumes = volumes.filter_map(|mount| mount["Name"].as_str().map(str::to_owned)).collect();
        Some(Mounts { container, service: service.unwrap_or_default(), volumes })
    };
    ask_of(engine, &arguments, timeout).map(|lines| lines.lines().filter_map(mounts).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ports_that_docker_lists_are_read() {
        let of = |list: &str| published(list).iter().map(HostPort::to_string).collect::<Vec<_>>().join(" ");
        assert_eq!(of("0.0.0.0:8001->80/tcp, [::]:8001->80/tcp, 5432/tcp"), "8001");
        assert_eq!(of("127.0.0.1:9000-9001->9000-9001/udp, :::7001->70/tcp"), "7001 9000/udp 9001/udp");
        assert_eq!(of(""), "");
        assert_eq!(of("x->y, 1:99999->1/tcp"), "");
    }
}
