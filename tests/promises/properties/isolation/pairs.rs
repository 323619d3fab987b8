//! What two stacks share, by comparing each thing of one with each of the other.

use std::collections::BTreeSet;
use std::net::IpAddr;

use kinfra::compose::resource::Resource;
use serde_json::{Value, json};

/// A kind of thing, for comparisons.
pub(super) type Kind = &'static str;

/// The things of one kind of a stack, as texts, with what a comparison needs to know.
pub(super) struct Reader<'a> {
    pub(super) stack: &'a Value,
    pub(super) worktree: &'a str,
    pub(super) shared: &'a BTreeSet<Resource>,
}

impl Reader<'_> {
    fn services(&self) -> impl Iterator<Item = &Value> {
        self.stack["services"].as_object().expect("a table").values()
    }

    fn is_shared(&self, text: &str) -> bool {
        self.shared.contains(&Resource::parse(text).expect("a resource"))
    }

    fn items<'b>(service: &'b Value, key: &str) -> impl Iterator<Item = &'b Value> {
        service[key].as_array().into_iter().flatten()
    }

    fn engine_name(&self, group: &str, key: &str) -> String {
        let declared = &self.stack[group][key];
        let own = if declared["external"] == json!(true) {
            key.to_owned()
        } else {
            format!("{}_{key}", self.stack["name"].as_str().expect("text"))
        };
        declared["name"].as_str().map_or(own, str::to_owned)
    }

    fn volumes(&self) -> Vec<String> {
        let mut names = Vec::new();
        for mount in self
            .services()
            .flat_map(|service| Self::items(service, "volumes"))
            .filter(|mount| mount["type"] == "volume")
        {
            let key = mount["source"].as_str().expect("text");
            let is_only_read =
                mount["read_only"] == json!(true) && self.stack["volumes"][key]["external"] == json!(true);
            if !is_only_read {
                names.push(self.engine_name("volumes", key));
            }
        }
        names.retain(|name| !self.is_shared(&format!("volume:{name}")));
        names
    }

    /// Every network that a service is on, with the key.
    fn attached(&self) -> Vec<(String, String, Value)> {
        let attachments =
            self.services().flat_map(|service| service["networks"].as_object().expect("a table"));
        attachments
            .map(|(key, body)| (key.clone(), self.engine_name("networks", key), body.clone()))
            .collect()
    }

    fn networks(&self) -> Vec<String> {
        let names = self.attached().into_iter().map(|(_, name, _)| name);
        names.filter(|name| !self.is_shared(&format!("network:{name}"))).collect()
    }

    fn addresses(&self) -> Vec<(String, String)> {
        let addressed = self.attached().into_iter();
        addressed
            .filter_map(|(_, name, body)| Some((name, body["ipv4_address"].as_str()?.to_owned())))
            .collect()
    }

    fn subnets(&self) -> Vec<(String, String)> {
        let with_subnet = |(key, name, _): (String, String, Value)| {
            let subnet = self.stack["networks"][&key]["ipam"]["config"][0]["subnet"].as_str()?.to_owned();
            Some((name, subnet))
        };
        self.attached().into_iter().filter_map(with_subnet).collect()
    }

    /// Every written path, and whether it lies in the worktree.
    fn paths(&self) -> Vec<(String, bool)> {
        let mut paths = Vec::new();
        for mount in self.services().flat_map(|service| Self::items(service, "volumes")) {
            let source = mount["source"].as_str().expect("text");
            let options = &self.stack["volumes"][source]["driver_opts"];
            let is_bind = mount["type"] == "bind";
            let is_read = options["o"].as_str().is_some_and(|o| o.contains("ro"));
            let path = if is_bind {
                Some(source)
            } else {
                options["device"].as_str().filter(|path| *path != "tmpfs" && !is_read)
            };
            let Some(path) = path.filter(|_| mount["read_only"] == json!(false)) else { continue };
            if is_bind && (path.starts_with("/etc/") || path.rsplit('.').next() == Some("sock")) {
                continue;
            }
            let is_declared =
                self.shared.iter().filter_map(Resource::path).any(|dir| contains(dir.as_str(), path));
            if !is_declared {
                paths.push((path.to_owned(), contains(self.worktree, path)));
            }
        }
        paths
    }

    fn images(&self) -> Vec<String> {
        let mut images = Vec::new();
        for service in self.services().filter(|service| service["build"].is_object()) {
            images.extend(service["image"].as_str().map(str::to_owned));
            images.extend(
                Self::items(&service["build"], "tags").map(|tag| tag.as_str().expect("text").to_owned()),
            );
        }
        // One spelling: of the names that are tried, only `shop` lacks a tag.
        let images =
            images.into_iter().map(|image| if image == "shop" { "shop:latest".to_owned() } else { image });
        images.filter(|image| !(image == "shop:latest" && self.is_shared("image:shop"))).collect()
    }

    fn container_names(&self) -> Vec<String> {
        self.services().filter_map(|service| service["container_name"].as_str()).map(str::to_owned).collect()
    }

    fn joined(&self) -> Vec<String> {
        let modes = self
            .services()
            .flat_map(|service| ["network_mode", "pid", "ipc"].map(|key| service[key].as_str()));
        let from =
            self.services().flat_map(|service| Self::items(service, "volumes_from")).map(Value::as_str);
        let all: Vec<&str> = modes.chain(from).flatten().collect();
        if all.contains(&"container:db") { vec!["db".to_owned()] } else { Vec::new() }
    }

    fn foreign(&self) -> Vec<String> {
        let own = self.container_names();
        self.joined().into_iter().filter(|name| !own.contains(name)).collect()
    }

    /// Every single port: number, protocol, address.
    fn ports(&self) -> Vec<(u16, String, Option<IpAddr>)> {
        let mut ports = Vec::new();
        for port in self.services().flat_map(|service| Self::items(service, "ports")) {
            let published = port["published"].as_str().expect("text");
            let ends: Vec<u16> =
                published.split('-').map(|end| end.parse().expect("a number or an address")).collect();
            let protocol = if port["protocol"] == "udp" { "udp" } else { "tcp" };
            let address =
                port["host_ip"].as_str().map(|address| address.parse::<IpAddr>().expect("an address"));
            let address = address.filter(|address| !address.is_unspecified());
            ports.extend(
                (ends[0]..=ends[ends.len() - 1]).map(|number| (number, protocol.to_owned(), address)),
            );
        }
        ports
    }
}

/// Whether a directory is a path, or contains it.
fn contains(dir: &str, path: &str) -> bool {
    path == dir || path.starts_with(&format!("{dir}/"))
}

/// Whether two subnets have an address in common, by the bits of their prefixes.
fn meet(one: &str, other: &str) -> bool {
    let bits = |subnet: &str| -> Vec<bool> {
        let (address, prefix) = subnet.split_once('/').expect("a prefix");
        let bytes = match address.parse().expect("a number or an address") {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        };
        let bits = bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1 == 1));
        bits.take(prefix.parse().expect("a number or an address")).collect()
    };
    let is_v6 = |subnet: &str| subnet.contains(':');
    is_v6(one) == is_v6(other) && bits(one).iter().zip(bits(other)).all(|(one, other)| *one == other)
}

/// The kinds of things that two stacks share.
pub(super) fn shared_kinds(one: &Reader<'_>, other: &Reader<'_>) -> BTreeSet<Kind> {
    fn any<T>(one: &[T], other: &[T], clash: impl Fn(&T, &T) -> bool) -> bool {
        one.iter().any(|one| other.iter().any(|other| clash(one, other)))
    }
    let equal = |one: &String, other: &String| one == other;
    let joins = [
        (one.foreign(), other.foreign()),
        (one.foreign(), other.container_names()),
        (one.container_names(), other.foreign()),
    ];
    let kinds = [
        ("volume", any(&one.volumes(), &other.volumes(), equal)),
        ("network", any(&one.networks(), &other.networks(), equal)),
        ("address", any(&one.addresses(), &other.addresses(), |one, other| one == other)),
        (
            "subnet",
            any(&one.subnets(), &other.subnets(), |one, other| one.0 != other.0 && meet(&one.1, &other.1)),
        ),
        (
            "path",
            any(&one.paths(), &other.paths(), |(one, inside), (other, other_inside)| {
                (contains(one, other) || contains(other, one)) && !(*inside && *other_inside)
            }),
        ),
        ("image", any(&one.images(), &other.images(), equal)),
        ("name", any(&one.container_names(), &other.container_names(), equal)),
        ("namespace", joins.iter().any(|(one, other)| any(one, other, equal))),
        (
            "port",
            any(&one.ports(), &other.ports(), |one, other| {
                (one.0, &one.1) == (other.0, &other.1)
                    && (one.2.is_none() || other.2.is_none() || one.2 == other.2)
            }),
        ),
    ];
    kinds.into_iter().filter_map(|(kind, is_shared)| is_shared.then_some(kind)).collect()
}
