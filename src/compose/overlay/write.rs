//! The overlay of a slot: its parts, put together.

use std::collections::BTreeSet;

use super::addresses;
use super::attachments;
use super::images::Images;
use super::mounts;
use super::ports::{self, Range};
use super::slot::Slot;
use super::storage;
use super::subnets::{self, Subnets};
use super::suggest;
use super::yaml::Node;
use crate::compose::model::{Build, Model, Service};
use crate::compose::resource::Target;
use crate::fault::Fault;

#[cfg(test)]
#[path = "write_tests.rs"]
mod tests;

/// What kinfra adds to a project's own Compose files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overlay {
    /// The text of the file.
    pub text: String,
    /// What the project publishes and the slot does not, each with the line of `[ports]` that would add it.
    pub unpublished: Vec<(Target, String)>,
    /// What else is not as in the project.
    pub notes: Vec<String>,
}

/// What is found on the way through the services.
#[derive(Default)]
struct Findings {
    /// Named volumes in place of mounts.
    volumes: BTreeSet<String>,
    unpublished: Vec<(Target, Option<Range>)>,
    notes: Vec<String>,
}

/// The overlay of a slot. `model` is what the worktree's files come to under the name of the main stack, with
/// every profile and without an overlay.
///
/// # Errors
/// [`Fault`] if the slot's block of addresses is too small for its networks.
pub fn overlay(model: &Model, slot: &Slot<'_>) -> Result<Overlay, Fault> {
    let mut findings = Findings::default();
    let subnets = subnets::of(model, slot)?;
    let is_own = slot.spec.compose.is_some();
    let groups =
        if is_own { own(model, &subnets, slot, &mut findings) } else { labels(model, &subnets, slot) };
    let groups = groups.into_iter().filter(|(_, entries)| !entries.is_empty());
    let document = Node::map(groups.map(|(key, entries)| (key, Node::Map(entries)))).document();
    let head = format!(
        "# Written by kinfra for slot {} of pool {}. A change here is lost: kinfra writes it again.",
        slot.id, slot.pool
    );
    let lines = suggest::lines(findings.unpublished, slot.spec);
    Ok(Overlay {
        text: format!("{head}\n{document}\n"),
        unpublished: lines.into_iter().map(|line| (line.target.clone(), line.to_string())).collect(),
        notes: findings.notes,
    })
}

/// The three groups of a Compose file.
type Groups = [(&'static str, Vec<(String, Node)>); 3];

/// A pool of templates has files of its own, which set its slots apart. It gets labels, and the addresses
/// that the files leave open.
fn labels(model: &Model, subnets: &Subnets<'_>, slot: &Slot<'_>) -> Groups {
    let labelled = |key: &String| (key.clone(), Node::map([("labels", slot.labels())]));
    let services = model.services.iter().map(|(name, service)| {
        let build = service.build.iter().map(|_| ("build", Node::map([("labels", slot.labels())])));
        (name.clone(), Node::map(build.chain([("labels", slot.labels())])))
    });
    let networks = model.networks.iter().filter(|(_, network)| !network.external).map(|(key, _)| {
        let ipam = subnets.get(key.as_str()).map(|subnet| ("ipam", storage::ipam(*subnet)));
        (key.clone(), Node::map(ipam.into_iter().chain([("labels", slot.labels())])))
    });
    let volumes = model.volumes.iter().filter(|(_, volume)| !volume.external);
    [
        ("services", services.collect()),
        ("networks", networks.collect()),
        ("volumes", volumes.map(|(key, _)| labelled(key)).collect()),
    ]
}

/// A project's own files are shared by its slots. What a machine has only one of is set apart.
fn own(model: &Model, subnets: &Subnets<'_>, slot: &Slot<'_>, findings: &mut Findings) -> Groups {
    let images = Images::of(model, slot);
    let workers = workers(model, slot, findings);
    let services = model.services.iter().map(|(name, service)| {
        let replicas = workers.iter().find(|(service, _)| service == name).map(|(_, count)| *count);
        let mut entries = container(name, service, &images, slot, findings);
        entries.extend(attachments::of(name, service, model, slot).map(|node| ("networks", node)));
        entries.extend(replicas.iter().map(|_| ("scale", Node::Reset)));
        entries.extend(replicas.map(|count| ("deploy", Node::map([("replicas", Node::Number(count))]))));
        entries.extend(environment(name, slot));
        entries.push(("labels", slot.labels()));
        (name.clone(), Node::map(entries))
    });
    let services: Vec<(String, Node)> = services.collect();
    let networks = model.networks.iter().filter_map(|(key, network)| {
        let subnet = subnets.get(key.as_str()).copied();
        Some((key.clone(), storage::network(key, network, subnet, slot)?))
    });
    let (volumes, written) = (model.volumes.iter(), model.written());
    let volumes = volumes.filter_map(|(key, volume)| {
        Some((key.clone(), storage::volume(key, volume, written.contains(key.as_str()), slot)?))
    });
    let added = findings.volumes.iter();
    let added = added.map(|name| (name.clone(), Node::map([("labels", slot.labels())])));
    findings.notes.extend(addresses::notes(model));
    findings
        .notes
        .extend(model.networks.iter().flat_map(|(key, network)| storage::notes(key, network, slot)));
    let unknown = slot.environment.keys().filter(|name| !model.services.contains_key(*name));
    findings
        .notes
        .extend(unknown.map(|name| format!("[services.{name}] has no effect: no service is named `{name}`")));
    [("services", services), ("networks", networks.collect()), ("volumes", volumes.chain(added).collect())]
}

/// What names the container, its image, its ports, its mounts and its hardware address.
fn container(
    name: &str,
    service: &Service,
    images: &Images,
    slot: &Slot<'_>,
    findings: &mut Findings,
) -> Vec<(&'static str, Node)> {
    let mut entries = Vec::new();
    entries.extend(service.container_name.iter().map(|_| ("container_name", Node::Reset)));
    if let Some(tag) = images.tag(name, service) {
        entries.push(("image", Node::text(tag)));
        // No registry has the slot's image.
        entries.extend(service.build.is_none().then_some(("pull_policy", Node::Reset)));
    }
    if let Some(build) = &service.build {
        findings.notes.extend(images.not_moved(name, build));
        entries.push(("build", built(build, images, slot)));
    }
    let ports = ports::of(name, service, slot);
    findings.unpublished.extend(ports.unpublished);
    findings.notes.extend(ports.notes);
    entries.extend(ports.node.map(|node| ("ports", node)));
    let mounts = mounts::of(service, slot, &mut findings.volumes);
    entries.extend(mounts.map(|node| ("volumes", node)));
    entries.extend(service.mac_address.iter().map(|_| ("mac_address", Node::Reset)));
    entries
}

fn built(build: &Build, images: &Images, slot: &Slot<'_>) -> Node {
    let tags = images.further_names(build).map(|tags| ("tags", tags));
    Node::map(tags.into_iter().chain([("labels", slot.labels())]))
}

fn environment(name: &str, slot: &Slot<'_>) -> Option<(&'static str, Node)> {
    let variables = slot.environment.get(name).filter(|variables| !variables.is_empty())?;
    Some(("environment", Node::map(variables.iter().map(|(name, value)| (name, Node::text(value))))))
}

/// How many containers a service has, by its name: that of the kind of worker, `-` and `.` as `_`.
fn workers(model: &Model, slot: &Slot<'_>, findings: &mut Findings) -> Vec<(String, u16)> {
    let mut counts = Vec::new();
    for (kind, count) in slot.workers {
        let is_alike = |name: &&String| name.to_lowercase().replace(['-', '.'], "_") == kind.as_str();
        let exact = model.services.keys().find(|name| *name == kind.as_str());
        if let Some(name) = exact.or_else(|| model.services.keys().find(is_alike)) {
            counts.push((name.clone(), *count));
        } else {
            findings.notes.push(format!("workers of `{kind}` have no effect: no service has that name"));
        }
    }
    counts
}
