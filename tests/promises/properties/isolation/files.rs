//! Resolved Compose files, made at random, that often share a thing.

use std::collections::BTreeSet;

use kinfra::compose::resource::Resource;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Value, json};

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
pub(super) fn files() -> impl Strategy<Value = Value> {
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
            ("networks", value) => service["networks"][value[0].as_str().expect("text")] = value[1].clone(),
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
pub(super) fn project(files: &Value, name: &str) -> Value {
    let mut files = files.clone();
    files["name"] = json!(name);
    files
}

/// What slots may use together.
pub(super) fn declared() -> impl Strategy<Value = BTreeSet<Resource>> {
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
        .prop_map(|texts| texts.iter().map(|text| Resource::parse(text).expect("a resource")).collect())
}
