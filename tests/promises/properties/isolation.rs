//! The isolation proof, against a comparison of every pair of stacks that does nothing clever.
//!
//! The comparison reads the resolved JSON itself, and asks of two stacks whether they share a thing of each kind.

use std::collections::BTreeSet;
use std::net::IpAddr;

use camino::Utf8Path;
use kinfra::compose::model::Model;
use kinfra::compose::resource::Resource;
use kinfra::proof::isolation::{HostThing, Owner, Stack, prove, shared_by_every_slot};
use kinfra::slot::SlotId;
use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Value, json};

use super::check;

properties! {
    stacks_are_apart_iff_no_pair_shares_a_thing: 256,
    what_every_slot_would_share_is_what_two_slots_share: 256,
    the_order_of_stacks_changes_no_finding: 64,
}

/// A kind of thing, for comparisons.
type Kind = &'static str;

/// Something of a service, as the JSON has it: the key, and a value for its list or table.
fn piece() -> impl Strategy<Value = (&'static str, Value)> {
    let flag = any::<bool>();
    let ports = (1..=6_u16, 0..=2_u16, select(vec!["tcp", "udp", ""]), select(HOSTS.to_vec()));
    let ports = ports.prop_map(|(first, more, protocol, host)| {
        let published = if more == 0 { first.to_string() } else { format!("{first}-{}", first + more) };
        let mut port = json!({"target": 80, "published": published, "protocol": protocol});
        if let Some(host) = host {
            port["host_ip"] = json!(host);
        }
        ("ports", port)
    });
    let mounts = (select(PATHS.to_vec()), flag).prop_map(|(path, read_only)| {
        ("volumes", json!({"type": "bind", "source": path, "target": "/t", "read_only": read_only}))
    });
    let volumes = (select(vec!["v", "w"]), any::<bool>()).prop_map(|(name, read_only)| {
        ("volumes", json!({"type": "volume", "source": name, "target": "/t", "read_only": read_only}))
    });
    let networks = (select(vec!["m", "n"]), select(vec![None, Some("10.0.0.5"), Some("10.0.0.6")]))
        .prop_map(|(name, address)| ("networks", json!([name, {"ipv4_address": address}])));
    let names = select(vec!["db", "web"]).prop_map(|name| ("container_name", json!(name)));
    let joined =
        (select(vec!["network_mode", "pid", "ipc"]), select(vec!["container:db", "service:web", "host"]))
            .prop_map(|(key, mode)| (key, json!(mode)));
    let from =
        select(vec!["container:db", "container:db:ro", "web"]).prop_map(|from| ("volumes_from", json!(from)));
    let images = (select(vec!["shop", "shop:latest", "shop:1"]), any::<bool>())
        .prop_map(|(image, tag)| (if tag { "tags" } else { "image" }, json!(image)));
    prop_oneof![3 => ports, 4 => mounts, 3 => volumes, 3 => networks, 1 => names, 1 => joined, 1 => from, 2 => images]
}

const HOSTS: [Option<&str>; 6] =
    [None, Some("0.0.0.0"), Some("::"), Some("127.0.0.1"), Some("127.0.0.2"), Some("::1")];

const PATHS: [&str; 12] = [
    "/srv",
    "/srv/pg",
    "/srv/pg/16",
    "/srv/pg2",
    "/wt",
    "/wt/0/data",
    "/wt/1",
    "/wt/1/data",
    "/wt/1/x/2/data",
    "/wt/1/x",
    "/etc/app",
    "/srv/app.sock",
];

/// Worktrees; the last lies in another.
const WORKTREES: [&str; 3] = ["/wt/0", "/wt/1", "/wt/1/x/2"];

/// A project's volume or network: its JSON but for what only one of them has.
fn named() -> impl Strategy<Value = Value> {
    (select(vec![None, Some("one"), Some("p0_v"), Some("p0_m")]), prop::bool::weighted(0.3)).prop_map(
        |(name, external)| {
            let mut value = json!({"external": external});
            if let Some(name) = name {
                value["name"] = json!(name);
            }
            value
        },
    )
}

/// The services and the top of resolved files, without the project's name.
fn files() -> impl Strategy<Value = Value> {
    let service = vec(piece(), 0..=4).prop_map(service);
    let services = vec(service, 1..=3).prop_map(|services| {
        ["a", "b", "c"]
            .iter()
            .zip(services)
            .map(|(name, service)| ((*name).to_owned(), service))
            .collect::<serde_json::Map<_, _>>()
    });
    let options = select(vec![
        json!({}),
        json!({"type": "none", "o": "bind", "device": "/srv/pg"}),
        json!({"type": "none", "o": "ro,bind", "device": "/srv/pg"}),
        json!({"type": "ext4", "device": "/dev/sdb"}),
        json!({"type": "tmpfs", "device": "tmpfs"}),
    ]);
    let volumes = vec((named(), options), 2).prop_map(|volumes| {
        let volume = |(mut volume, options): (Value, Value)| {
            // Compose refuses options of what it does not make.
            if volume["external"] == json!(false) {
                volume["driver_opts"] = options;
            }
            volume
        };
        ["v", "w"]
            .iter()
            .zip(volumes)
            .map(|(name, both)| ((*name).to_owned(), volume(both)))
            .collect::<serde_json::Map<_, _>>()
    });
    let subnets = select(vec![
        None,
        Some("10.0.0.0/16"),
        Some("10.0.1.0/24"),
        Some("10.1.0.0/16"),
        Some("fd00::/64"),
        Some("fd00::/48"),
    ]);
    let networks = vec((named(), subnets), 2).prop_map(|networks| {
        let network = |(mut network, subnet): (Value, Option<&str>)| {
            if network["external"] == json!(false) && subnet.is_some() {
                network["ipam"] = json!({"config": [{"subnet": subnet}]});
            }
            network
        };
        ["m", "n"]
            .iter()
            .zip(networks)
            .map(|(name, both)| ((*name).to_owned(), network(both)))
            .collect::<serde_json::Map<_, _>>()
    });
    (services, volumes, networks)
        .prop_map(|(services, volumes, networks)| json!({"services": services, "volumes": volumes, "networks": networks}))
}

/// A service of these pieces.
fn service(pieces: Vec<(&'static str, Value)>) -> Value {
    let mut service = json!({"ports": [], "volumes": [], "networks": {}, "volumes_from": []});
    let mut builds = false;
    for (key, value) in pieces {
        match (key, value) {
            ("networks", value) => service["networks"][value[0].as_str().unwrap()] = value[1].clone(),
            ("tags", value) => {
                builds = true;
                service["build"] = json!({"context": ".", "tags": [value]});
            }
            ("image", value) => {
                service["image"] = value;
                if !builds {
                    service["build"] = json!({"context": "."});
                }
            }
            (key, value) => match service[key].as_array_mut() {
                Some(list) => list.push(value),
                None => service[key] = value,
            },
        }
    }
    service
}

/// Files of a project with a name.
fn project(files: &Value, name: &str) -> Value {
    let mut files = files.clone();
    files["name"] = json!(name);
    files
}

/// What slots may use together.
fn declared() -> impl Strategy<Value = BTreeSet<Resource>> {
    let all = [
        "volume:one",
        "volume:p0_v",
        "network:one",
        "mount:/srv/pg",
        "device:/dev/sdb",
        "image:shop",
        "mount:/wt/1",
    ];
    subsequence(all.to_vec(), 0..=2)
        .prop_map(|texts| texts.iter().map(|text| Resource::parse(text).unwrap()).collect())
}

/// The things of one kind of a stack, as texts, with what a comparison needs to know.
struct Reader<'a> {
    stack: &'a Value,
    worktree: &'a str,
    shared: &'a BTreeSet<Resource>,
}

impl Reader<'_> {
    fn services(&self) -> impl Iterator<Item = &Value> {
        self.stack["services"].as_object().unwrap().values()
    }

    fn is_shared(&self, text: &str) -> bool {
        self.shared.contains(&Resource::parse(text).unwrap())
    }

    fn items<'b>(service: &'b Value, key: &str) -> impl Iterator<Item = &'b Value> {
        service[key].as_array().into_iter().flatten()
    }

    fn engine_name(&self, group: &str, key: &str) -> String {
        let declared = &self.stack[group][key];
        let own = if declared["external"] == json!(true) {
            key.to_owned()
        } else {
            format!("{}_{key}", self.stack["name"].as_str().unwrap())
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
            let key = mount["source"].as_str().unwrap();
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
        let attachments = self.services().flat_map(|service| service["networks"].as_object().unwrap());
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
            let source = mount["source"].as_str().unwrap();
            let options = &self.stack["volumes"][source]["driver_opts"];
            let is_bind = mount["type"] == "bind";
            let is_read = options["o"].as_str().is_some_and(|o| o.contains("ro"));
            let path = if is_bind {
                Some(source)
            } else {
                options["device"].as_str().filter(|path| *path != "tmpfs" && !is_read)
            };
            let Some(path) = path.filter(|_| mount["read_only"] == json!(false)) else { continue };
            if is_bind && (path.starts_with("/etc/") || path.ends_with(".sock")) {
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
            images.extend(Self::items(&service["build"], "tags").map(|tag| tag.as_str().unwrap().to_owned()));
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
            let published = port["published"].as_str().unwrap();
            let ends: Vec<u16> = published.split('-').map(|end| end.parse().unwrap()).collect();
            let protocol = if port["protocol"] == "udp" { "udp" } else { "tcp" };
            let address = port["host_ip"].as_str().map(|address| address.parse::<IpAddr>().unwrap());
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
        let (address, prefix) = subnet.split_once('/').unwrap();
        let bytes = match address.parse().unwrap() {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        };
        let bits = bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1 == 1));
        bits.take(prefix.parse().unwrap()).collect()
    };
    let is_v6 = |subnet: &str| subnet.contains(':');
    is_v6(one) == is_v6(other) && bits(one).iter().zip(bits(other)).all(|(one, other)| *one == other)
}

/// The kinds of things that two stacks share.
fn shared_kinds(one: &Reader<'_>, other: &Reader<'_>) -> BTreeSet<Kind> {
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

fn kind(thing: &HostThing) -> Kind {
    match thing {
        HostThing::Port { .. } => "port",
        HostThing::ContainerName(_) => "name",
        HostThing::Volume(_) => "volume",
        HostThing::Network(_) => "network",
        HostThing::Subnet { .. } => "subnet",
        HostThing::Address { .. } => "address",
        HostThing::Mount(_) | HostThing::Device(_) => "path",
        HostThing::Image(_) => "image",
        HostThing::Namespace(_) => "namespace",
    }
}

fn owner(place: usize) -> Owner {
    match u16::try_from(place).ok().and_then(SlotId::new) {
        Some(id) => Owner::Slot(id),
        None => Owner::Main,
    }
}

fn models(projects: &[Value]) -> Vec<Model> {
    projects.iter().map(|project| Model::parse(&project.to_string()).unwrap()).collect()
}

fn stacks_are_apart_iff_no_pair_shares_a_thing(cases: u32) {
    check(cases, (vec(files(), 2..=3), declared()), |(files, shared)| {
        let projects: Vec<Value> =
            files.iter().enumerate().map(|(place, files)| project(files, &format!("p{place}"))).collect();
        let models = models(&projects);
        let stack = |place: usize| Stack {
            owner: owner(place),
            model: &models[place],
            worktree: Utf8Path::new(WORKTREES[place]),
        };
        let stacks: Vec<Stack<'_>> = (0..models.len()).map(stack).collect();
        let found = prove(&stacks, &shared).conflicts;
        let reader =
            |place: usize| Reader { stack: &projects[place], worktree: WORKTREES[place], shared: &shared };
        for second in 0..models.len() {
            for first in 0..second {
                let pair = found.iter().filter(|conflict| {
                    conflict.first.owner == owner(first) && conflict.second.owner == owner(second)
                });
                let proven: BTreeSet<Kind> = pair.map(|conflict| kind(&conflict.thing)).collect();
                prop_assert_eq!(proven, shared_kinds(&reader(first), &reader(second)));
            }
        }
        Ok(())
    });
}

/// The same files as two slots have them, each in its own worktree and with what a slot has its own of.
fn what_every_slot_would_share_is_what_two_slots_share(cases: u32) {
    check(cases, (files(), declared()), |(mut files, shared)| {
        for service in files["services"].as_object_mut().unwrap().values_mut() {
            for key in ["container_name", "build", "ports"] {
                service.as_object_mut().unwrap().remove(key);
            }
        }
        for network in files["networks"].as_object_mut().unwrap().values_mut() {
            network.as_object_mut().unwrap().remove("ipam");
        }
        let projects = [project(&files, "k1"), project(&files, "k2")];
        let worktree = Utf8Path::new("/elsewhere");
        let model = &models(&projects)[0];
        let reader =
            |place: usize| Reader { stack: &projects[place], worktree: worktree.as_str(), shared: &shared };
        let found = shared_by_every_slot(model, worktree, &shared);
        let kinds: BTreeSet<Kind> = found.iter().map(|conflict| kind(&conflict.thing)).collect();
        prop_assert_eq!(kinds, shared_kinds(&reader(0), &reader(1)));
        Ok(())
    });
}

fn the_order_of_stacks_changes_no_finding(cases: u32) {
    let values = (vec(files(), 3), declared(), btree_set(0..3_usize, 0..=1));
    check(cases, values, |(files, shared, rotated)| {
        let projects: Vec<Value> =
            files.iter().enumerate().map(|(place, files)| project(files, &format!("p{place}"))).collect();
        let models = models(&projects);
        let stack = |place: usize| Stack {
            owner: owner(place),
            model: &models[place],
            worktree: Utf8Path::new(WORKTREES[place]),
        };
        let mut stacks: Vec<Stack<'_>> = (0..3).map(stack).collect();
        let once = prove(&stacks, &shared);
        prop_assert_eq!(&prove(&stacks, &shared), &once);
        stacks.rotate_left(rotated.first().copied().unwrap_or(1));
        stacks.reverse();
        let again = prove(&stacks, &shared);
        let pairs = |found: &[kinfra::proof::isolation::Conflict]| {
            let pair = |conflict: &kinfra::proof::isolation::Conflict| {
                let both = [&conflict.first, &conflict.second]
                    .map(|party| (party.owner.clone(), party.thing.clone()));
                BTreeSet::from(both)
            };
            found.iter().map(pair).collect::<BTreeSet<_>>()
        };
        prop_assert_eq!(pairs(&again.conflicts), pairs(&once.conflicts));
        prop_assert_eq!(again.notes.len(), once.notes.len());
        Ok(())
    });
}
