//! What a stack takes of what a machine has one of.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use camino::Utf8PathBuf;

use super::bind::{binds, device, is_of_the_system, is_socket, named_volume};
use super::names::{engine_name, is_of_the_engine, network_name};
use super::stack::Stack;
use super::thing::HostThing;
use crate::compose::model::{Attachment, Model, PublishedPort, Service};
use crate::compose::resource::full_image;
use crate::file::normal;

/// Something that a stack takes.
#[derive(Debug)]
pub(super) struct Claim<'a> {
    pub(super) thing: HostThing,
    pub(super) services: BTreeSet<&'a str>,
    /// Paths in containers of mounts and volumes, `SERVICE:PORT` of ports.
    pub(super) targets: BTreeSet<String>,
    /// Whether it is the stack's own: a path in its worktree, a container of its own.
    pub(super) inside: bool,
    /// Whether each stack of these files takes the same one, whatever its project's name.
    pub(super) fixed: bool,
}

/// What a stack takes, in the order of things.
pub(super) fn claims<'a>(stack: &Stack<'a>) -> Vec<Claim<'a>> {
    let mut taken = Claims { model: stack.model, worktree: normal(stack.worktree), things: BTreeMap::new() };
    for (name, service) in &stack.model.services {
        taken.ports(name, service);
        taken.networks(name, service);
        taken.volumes(name, service);
        taken.paths(name, service);
        taken.images(name, service);
        taken.containers(name, service);
    }
    taken.things.into_values().collect()
}

/// What has been taken so far.
struct Claims<'a> {
    model: &'a Model,
    worktree: Utf8PathBuf,
    things: BTreeMap<HostThing, Claim<'a>>,
}

impl<'a> Claims<'a> {
    fn take(&mut self, service: &'a str, thing: HostThing) -> &mut Claim<'a> {
        let claim = self.things.entry(thing).or_insert_with_key(|thing| Claim {
            thing: thing.clone(),
            services: BTreeSet::new(),
            targets: BTreeSet::new(),
            inside: false,
            fixed: false,
        });
        claim.services.insert(service);
        claim
    }

    fn ports(&mut self, name: &'a str, service: &Service) {
        for port in &service.ports {
            let Some(thing) = published(port) else { continue };
            let suffix = if port.protocol == "udp" { "/udp" } else { "" };
            self.take(name, thing).targets.insert(format!("{name}:{}{suffix}", port.target));
        }
    }

    fn networks(&mut self, name: &'a str, service: &Service) {
        let model = self.model;
        for (key, attachment) in &service.networks {
            let (network, fixed) = network_name(model, key);
            let declared = model.networks.get(key);
            let is_external = declared.is_some_and(|network| network.external);
            if is_external && is_of_the_engine(&network) {
                continue;
            }
            let subnets = declared.into_iter().filter(|network| !network.external);
            let subnets = subnets.flat_map(|network| &network.ipam.config);
            for subnet in subnets.filter_map(|config| config.subnet.clone()) {
                self.take(name, HostThing::Subnet { network: network.clone(), subnet });
            }
            for address in addresses(attachment) {
                let thing = HostThing::Address { network: network.clone(), address };
                self.take(name, thing).fixed = fixed;
            }
            self.take(name, HostThing::Network(network)).fixed = fixed;
        }
    }

    fn volumes(&mut self, name: &'a str, service: &'a Service) {
        let model = self.model;
        for mount in &service.volumes {
            let Some(key) = named_volume(mount) else { continue };
            let volume = model.volumes.get(key);
            let external = volume.is_some_and(|volume| volume.external);
            // What Compose only uses and nothing writes to is as good as a read-only mount.
            if external && mount.read_only {
                continue;
            }
            let own_name = volume.and_then(|volume| volume.name.as_deref());
            let (engine_name, fixed) = engine_name(&model.name, key, own_name, external);
            let claim = self.take(name, HostThing::Volume(engine_name));
            claim.fixed = fixed;
            claim.targets.insert(mount.target.clone());
            if let Some(device) = volume.and_then(device).filter(|_| !mount.read_only) {
                let claim = self.take(name, HostThing::Device(device));
                claim.fixed = true;
                claim.targets.insert(mount.target.clone());
            }
        }
    }

    fn paths(&mut self, name: &'a str, service: &'a Service) {
        let model = self.model;
        for bind in binds(model, service).filter(|bind| !bind.read_only) {
            let inside = bind.path.starts_with(&self.worktree);
            if !inside && (is_socket(&bind.path) || is_of_the_system(&bind.path)) {
                continue;
            }
            let thing = if bind.through_volume { HostThing::Device } else { HostThing::Mount };
            let claim = self.take(name, thing(bind.path));
            (claim.inside, claim.fixed) = (inside, !inside);
            claim.targets.insert(bind.target.to_owned());
        }
    }

    fn images(&mut self, name: &'a str, service: &'a Service) {
        let Some(build) = &service.build else { return };
        for image in service.image.iter().chain(&build.tags) {
            self.take(name, HostThing::Image(full_image(image)));
        }
        if service.image.is_none() {
            self.take(name, HostThing::Image(full_image(&format!("{}-{name}", self.model.name))));
        }
    }

    fn containers(&mut self, name: &'a str, service: &'a Service) {
        if let Some(container) = &service.container_name {
            self.take(name, HostThing::ContainerName(container.clone()));
        }
        let namespaces = [&service.network_mode, &service.pid, &service.ipc].into_iter().flatten();
        let volumes = service.volumes_from.iter().filter(|from| !from.ends_with(":ro"));
        let volumes = volumes.map(|from| from.strip_suffix(":rw").unwrap_or(from));
        let joined = namespaces.map(String::as_str).chain(volumes);
        let joined = joined.filter_map(|used| used.strip_prefix("container:"));
        let linked = service.external_links.iter().filter_map(|link| link.split(':').next());
        for container in joined.chain(linked) {
            let mut own = self.model.services.values().filter_map(|other| other.container_name.as_deref());
            let inside = own.any(|own| own == container);
            let claim = self.take(name, HostThing::Namespace(container.to_owned()));
            (claim.inside, claim.fixed) = (inside, true);
        }
    }
}

/// The ports of the machine. `None` if Docker chooses them.
fn published(port: &PublishedPort) -> Option<HostThing> {
    let published = port.published.as_deref()?;
    let (first, last) = published.split_once('-').unwrap_or((published, published));
    let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    let host_ip = port.host_ip.as_deref().unwrap_or_default().trim_matches(['[', ']']);
    // What is no address is taken for all of them: the proof never says too little.
    let address = host_ip.parse().ok().map(|address: IpAddr| address.to_canonical());
    let protocol = if port.protocol.is_empty() { "tcp".to_owned() } else { port.protocol.to_lowercase() };
    let address = address.filter(|address| !address.is_unspecified());
    (first > 0).then_some(HostThing::Port { first, last, protocol, address })
}

/// The fixed addresses of a service on a network, each in one spelling.
fn addresses(attachment: &Attachment) -> impl Iterator<Item = String> {
    let Attachment { ipv4_address, ipv6_address, mac_address, aliases: _ } = attachment;
    let addresses = [ipv4_address, ipv6_address].into_iter().flatten().map(|address| {
        address.parse().map_or_else(|_| address.clone(), |address: IpAddr| address.to_string())
    });
    addresses.chain(mac_address.iter().map(|address| address.to_lowercase().replace('-', ":")))
}
