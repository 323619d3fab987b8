//! The reduced model of a project's files.

use super::apply::apply;
use super::interpolate::interpolate;
use super::node::YamlNode;
use crate::compose::model::{Attachment, Ipam, Model, Network, Service, Subnet, Volume};
use crate::file::normal;
use crate::init::compose_file::{ComposeFile, Role};

/// How many services can extend each other in a row.
const DEEPEST: usize = 10;

/// What the files come to under a name, and what cannot be read.
pub fn model(name: &str, sources: &[ComposeFile]) -> (Model, Vec<String>) {
    let mut model = Model { name: name.to_owned(), ..Model::default() };
    let mut notes = Vec::new();
    let of = |role: Role| sources.iter().filter(move |source| source.role == role);
    for source in of(Role::Included).chain(of(Role::Own)) {
        for (name, node) in source.root.get("services").map(YamlNode::entries).unwrap_or_default() {
            let service = model.services.entry(name.clone()).or_default();
            extend((name, node), source, (sources, DEEPEST), service, &mut notes);
        }
        volumes(source, &mut model);
        networks(source, &mut model);
    }
    for service in model.services.values_mut() {
        if service.networks.is_empty() && service.network_mode.is_none() {
            service.networks.insert("default".to_owned(), Attachment::default());
        }
    }
    (model, notes)
}

/// Adds the service that this one extends, then this one.
fn extend(
    (name, node): (&str, &YamlNode),
    source: &ComposeFile,
    (sources, depth): (&[ComposeFile], usize),
    service: &mut Service,
    notes: &mut Vec<String>,
) {
    if let Some(extends) = node.get("extends").filter(|_| depth > 0) {
        let text = |node: &YamlNode| node.text().map(|text| interpolate(text, &source.variables));
        let base = text(extends).or_else(|| extends.get("service").and_then(text)).unwrap_or_default();
        let file = extends.get("file").and_then(text);
        let from = match &file {
            None => Some(source),
            Some(file) => {
                let path = normal(&source.directory.join(file));
                sources.iter().find(|other| other.path == path)
            }
        };
        let node = from.and_then(|from| Some((from, from.root.get("services")?.get(&base)?)));
        match node {
            Some((from, node)) => extend((&base, node), from, (sources, depth - 1), service, notes),
            None => notes.push(format!(
                "{name} extends `{base}` of `{}`, which cannot be read: slots.toml has none of its ports",
                file.as_deref().unwrap_or(&source.shown)
            )),
        }
    }
    apply((name, node), source, service, notes);
}

/// Whether something is external, and its name, if it has one.
fn named(node: &YamlNode, source: &ComposeFile) -> (bool, Option<String>) {
    let text = |node: &YamlNode| node.text().map(|text| interpolate(text, &source.variables));
    let external = node.get("external");
    let is_external =
        external.is_some_and(|external| !external.entries().is_empty() || external.text() == Some("true"));
    let older = external.and_then(|external| external.get("name"));
    (is_external, node.get("name").or(older).and_then(text))
}

fn volumes(source: &ComposeFile, model: &mut Model) {
    for (key, node) in source.root.get("volumes").map(YamlNode::entries).unwrap_or_default() {
        let volume: &mut Volume = model.volumes.entry(key.clone()).or_default();
        let (external, name) = named(node, source);
        let own = || (!external).then(|| format!("{}_{key}", model.name));
        volume.external |= external;
        volume.name = name.or(volume.name.take()).or_else(own);
        for (option, node) in node.get("driver_opts").map(YamlNode::entries).unwrap_or_default() {
            let value = interpolate(node.text().unwrap_or_default(), &source.variables);
            volume.driver_opts.insert(option.clone(), value);
        }
    }
}

fn networks(source: &ComposeFile, model: &mut Model) {
    for (key, node) in source.root.get("networks").map(YamlNode::entries).unwrap_or_default() {
        let network: &mut Network = model.networks.entry(key.clone()).or_default();
        let (external, name) = named(node, source);
        let own = || (!external).then(|| format!("{}_{key}", model.name));
        network.external |= external;
        network.name = name.or(network.name.take()).or_else(own);
        let subnets = node.get("ipam").and_then(|ipam| ipam.get("config")).map(YamlNode::items);
        let subnet = |node: &YamlNode| Some(interpolate(node.get("subnet")?.text()?, &source.variables));
        let subnets = subnets.unwrap_or_default().iter().map(|node| Subnet { subnet: subnet(node) });
        let Ipam { config } = &mut network.ipam;
        config.extend(subnets);
    }
}
