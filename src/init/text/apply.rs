//! What a file says of a service, added to what earlier files said.

use camino::{Utf8Path, Utf8PathBuf};

use super::entries::{entries, texts};
use super::interpolate::interpolate;
use super::node::{Merging, YamlNode, YamlValue};
use super::short_port;
use crate::compose::model::{
    Attachment, Build, Deploy, Device, DeviceRequest, Mount, PublishedPort, Service,
};
use crate::file::normal;
use crate::init::compose_file::ComposeFile;

/// Adds it. What cannot be read is noted.
pub(super) fn apply(
    (name, node): (&str, &YamlNode),
    source: &ComposeFile,
    service: &mut Service,
    notes: &mut Vec<String>,
) {
    for (key, node) in node.entries() {
        match key.as_str() {
            "build" => build(node, source, service.build.get_or_insert_with(Build::default)),
            "networks" => networks(node, source, service),
            "ports" => {
                cleared(&mut service.ports, node);
                for item in node.items() {
                    match ports(item, source) {
                        Some(ports) => service.ports.extend(ports),
                        None => notes.push(format!(
                            "a port of {name} ({}) cannot be read without Docker Compose, so slots.toml does not have it",
                            source.at(item.line)
                        )),
                    }
                }
            }
            "volumes" => {
                cleared(&mut service.volumes, node);
                for mount in node.items().iter().filter_map(|item| mount(item, source)) {
                    // A mount of a later file takes the place of one at the same path.
                    service.volumes.retain(|other| other.target != mount.target);
                    service.volumes.push(mount);
                }
            }
            _ => plain(key, node, source, service),
        }
    }
}

/// Adds what is text, or made of texts.
fn plain(key: &str, node: &YamlNode, source: &ComposeFile, service: &mut Service) {
    let text = |node: &YamlNode| node.text().map(|text| interpolate(text, &source.variables));
    let texts = || texts(node, &source.variables);
    match key {
        "image" => service.image = text(node),
        "container_name" => service.container_name = text(node),
        "network_mode" => service.network_mode = text(node),
        "mac_address" => service.mac_address = text(node),
        "pid" => service.pid = text(node),
        "ipc" => service.ipc = text(node),
        "privileged" => service.privileged = text(node).as_deref() == Some("true"),
        "scale" => service.scale = text(node).and_then(|count| count.parse().ok()),
        "deploy" => {
            let replicas = node.get("replicas").and_then(text).and_then(|count| count.parse().ok());
            let deploy = service.deploy.get_or_insert_with(Deploy::default);
            deploy.replicas = replicas.or(deploy.replicas);
        }
        "gpus" => service.gpus = vec![DeviceRequest::default()],
        "environment" => {
            cleared(&mut service.environment, node).extend(entries(node, &source.variables));
        }
        "volumes_from" => cleared(&mut service.volumes_from, node).extend(texts()),
        "profiles" => cleared(&mut service.profiles, node).extend(texts()),
        "devices" => {
            let path = |device: &String| device.split(':').next().unwrap_or_default().to_owned();
            let devices = texts().iter().map(|device| Device { source: path(device) }).collect::<Vec<_>>();
            cleared(&mut service.devices, node).extend(devices);
        }
        _ => {}
    }
}

/// What earlier files said, or nothing if that is over.
fn cleared<'a, T: Default>(values: &'a mut T, node: &YamlNode) -> &'a mut T {
    if node.merging != Merging::Adds {
        *values = T::default();
    }
    values
}

fn build(node: &YamlNode, source: &ComposeFile, build: &mut Build) {
    let text = |node: &YamlNode| node.text().map(|text| interpolate(text, &source.variables));
    if let Some(context) = text(node).or_else(|| node.get("context").and_then(text)) {
        let is_remote = context.contains("://") || context.starts_with("git@");
        build.context = if is_remote { context } else { path(&context, source).into_string() };
    } else if build.context.is_empty() {
        build.context = source.directory.to_string();
    }
    build.dockerfile = node.get("dockerfile").and_then(text).or(build.dockerfile.take());
    build.dockerfile_inline = node.get("dockerfile_inline").and_then(text).or(build.dockerfile_inline.take());
    let named = |key: &str| node.get(key).map(|node| entries(node, &source.variables)).unwrap_or_default();
    build.args.extend(named("args"));
    let contexts = named("additional_contexts").into_iter();
    build.additional_contexts.extend(contexts.filter_map(|(name, value)| Some((name, value?))));
    build.tags.extend(node.get("tags").map(|node| texts(node, &source.variables)).unwrap_or_default());
}

fn networks(node: &YamlNode, source: &ComposeFile, service: &mut Service) {
    for name in texts(node, &source.variables) {
        service.networks.entry(name).or_default();
    }
    for (name, node) in node.entries() {
        let text = |key: &str| Some(interpolate(node.get(key)?.text()?, &source.variables));
        let attachment = service.networks.entry(name.clone()).or_default();
        let Attachment { ipv4_address, ipv6_address, mac_address, aliases: _ } = attachment;
        *ipv4_address = text("ipv4_address").or(ipv4_address.take());
        *ipv6_address = text("ipv6_address").or(ipv6_address.take());
        *mac_address = text("mac_address").or(mac_address.take());
    }
}

/// The ports of an item, in the short or the long form.
fn ports(item: &YamlNode, source: &ComposeFile) -> Option<Vec<PublishedPort>> {
    let text = |node: &YamlNode| node.text().map(|text| interpolate(text, &source.variables));
    if let YamlValue::Scalar(_) = item.value {
        return short_port::parse(&text(item)?);
    }
    let field = |key: &str| item.get(key).and_then(text).filter(|text| !text.is_empty());
    Some(vec![PublishedPort {
        target: field("target")?.parse().ok()?,
        published: field("published"),
        host_ip: field("host_ip"),
        protocol: field("protocol").unwrap_or_else(|| "tcp".to_owned()),
    }])
}

/// A mount, in the short or the long form.
fn mount(item: &YamlNode, source: &ComposeFile) -> Option<Mount> {
    let text = |node: &YamlNode| node.text().map(|text| interpolate(text, &source.variables));
    let (kind, from, target, read_only) = if let YamlValue::Scalar(_) = item.value {
        let item = text(item)?;
        let mut parts = item.split(':').map(str::to_owned);
        let first = parts.next()?;
        let Some(target) = parts.next() else {
            return Some(Mount { kind: "volume".to_owned(), target: first, ..Mount::default() });
        };
        let read_only = parts.next().is_some_and(|mode| mode.split(',').any(|option| option == "ro"));
        let kind = if first.starts_with(['.', '/', '~']) { "bind" } else { "volume" };
        (kind.to_owned(), Some(first), target, read_only)
    } else {
        let field = |key: &str| item.get(key).and_then(text);
        let read_only = field("read_only").as_deref() == Some("true");
        (field("type")?, field("source"), field("target")?, read_only)
    };
    let is_bind = kind == "bind";
    let from = from.map(|from| if is_bind { path(&from, source).into_string() } else { from });
    Some(Mount { kind, source: from, target, read_only, ..Mount::default() })
}

/// A path of the machine as Compose understands it in this file.
fn path(text: &str, source: &ComposeFile) -> Utf8PathBuf {
    let below_home = text.strip_prefix("~/").map(|below| (below, source.variables.get("HOME")));
    match below_home {
        Some((below, Some(home))) => Utf8Path::new(home).join(below),
        _ => normal(&source.directory.join(text)),
    }
}
