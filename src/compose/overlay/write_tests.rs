use std::collections::BTreeMap;

use camino::Utf8Path;

use super::*;
use crate::address_block::AddressBlock;
use crate::identifier::{PortName, WorkerKind};
use crate::port::Port;
use crate::slot::SlotId;
use crate::spec::Spec;

const SPEC: &str = r#"version = 1
[pool]
name = "shop"
root = "/pool"
[ports]
web = { base = 8080, publish = "web:80" }
dns = { base = 5300, publish = "dns:53/udp" }
[[profiles]]
name = "light"
[[slots]]
ids = "1-2"
profile = "light"
[compose]
shared = ["volume:models", "network:observability", "mount:/srv/models", "image:base:1", "device:/srv/shared"]
[compose.per_slot]
"mount:/srv/pg" = "volume"
"mount:/srv/files" = "worktree:data/files"
"volume:uploads" = "own"
"network:proxy" = "own"
"#;

/// A project that has one of everything that a slot sets apart.
const MODEL: &str = r#"{"name": "app", "services": {
    "web": {"build": {"context": ".", "tags": ["web:latest", "base:1"], "additional_contexts": {"up": "docker-image://app-job"}},
        "image": "web", "container_name": "the-web", "mac_address": "02:42:ac:11:00:02",
        "ports": [{"target": 80, "published": "80"}, {"target": 9229, "published": "9229"}, {"target": 7, "published": "7", "protocol": "sctp"}],
        "networks": {"default": null, "front": {"ipv4_address": "10.9.0.5", "aliases": ["www"]}, "proxy": null, "observability": null},
        "volumes": [{"type": "bind", "source": "/srv/pg", "target": "/pg", "bind": {"create_host_path": true}},
            {"type": "bind", "source": "/srv/files/a", "target": "/a", "read_only": true},
            {"type": "bind", "source": "/srv/models", "target": "/m"},
            {"type": "volume", "source": "data", "target": "/data"}]},
    "web-copy": {"image": "web:latest"},
    "job": {"build": {"context": "."}, "command": ["wait", "10.9.0.5"], "environment": {"HOST": "10.9.0.5"}},
    "base": {"build": {"context": "."}, "image": "base:1"},
    "dns": {"image": "bind", "scale": 1, "ports": [{"target": 53, "published": "53", "protocol": "udp"}],
        "volumes": [{"type": "volume", "source": "disk", "target": "/d"}, {"type": "volume", "source": "cloud", "target": "/c"},
            {"type": "volume", "source": "inside", "target": "/i"}, {"type": "volume", "source": "kept", "target": "/k"}]},
    "plain": {"image": "redis"}},
  "networks": {"default": {"name": "app_default"},
    "front": {"name": "app_front", "enable_ipv6": true, "ipam": {"config": [{"subnet": "10.9.0.0/16"}, {"subnet": "fd00::/64"}]}},
    "lan": {"driver": "macvlan", "driver_opts": {"parent": "eth0"}},
    "bridge": {"driver_opts": {"com.docker.network.bridge.name": "br-app"}},
    "proxy": {"name": "proxy", "external": true}, "other": {"name": "other", "external": true},
    "observability": {"name": "observability"}},
  "volumes": {"data": {"name": "app_data"}, "models": {"name": "models"}, "uploads": {"name": "uploads", "external": true},
    "theirs": {"name": "theirs", "external": true}, "disk": {"driver_opts": {"type": "none", "device": "/srv/disk", "o": "bind"}},
    "cloud": {"driver": "rclone", "driver_opts": {"remote": "nas:a"}}, "inside": {"driver_opts": {"device": "/wt/x", "o": "bind"}},
    "kept": {"driver_opts": {"device": "/srv/shared", "o": "bind"}}, "unused": {"driver_opts": {"device": "/srv/unused", "o": "bind"}}}}"#;

fn written(spec: &str, subnet: Option<&str>, workers: &[(&str, u16)]) -> Result<Overlay, Fault> {
    let (model, spec) = (Model::parse(MODEL).unwrap(), Spec::parse(spec).unwrap());
    let port = |(name, port): (&str, u16)| (PortName::new(name).unwrap(), Port::new(port).unwrap());
    let ports = BTreeMap::from([("web", 8082), ("dns", 5302)].map(port));
    let workers = workers.iter().map(|(kind, count)| (WorkerKind::new(kind).unwrap(), *count)).collect();
    let values = BTreeMap::from([("API".to_owned(), "http://localhost:8082".to_owned())]);
    let environment = BTreeMap::from([("web".to_owned(), values), ("gone".to_owned(), BTreeMap::new())]);
    let slot = Slot {
        pool: "shop",
        id: SlotId::new(2).unwrap(),
        tag: "a1",
        registry: "00000000000000000000000000000001",
        root: Utf8Path::new("/pool"),
        worktree: Utf8Path::new("/wt"),
        ports: &ports,
        spec: &spec,
        workers: &workers,
        environment: &environment,
        subnet: subnet.map(|subnet| AddressBlock::around(subnet).unwrap()),
    };
    overlay(&model, &slot)
}

/// Everything that is said of a slot: its overlay, what is not published, and all notes. `LABELS` stands for
/// the labels of the slot.
fn told(overlay: &Overlay) -> String {
    const LABELS: [&str; 4] = [
        "\"kinfra.id\": \"00000000000000000000000000000001\"",
        "\"kinfra.pool\": \"shop\"",
        "\"kinfra.root\": \"/pool\"",
        "\"kinfra.slot\": \"2\"",
    ];
    let Overlay { text, unpublished, notes } = overlay;
    let labels = |indent: &str| LABELS.map(|label| format!("\n{indent}{label}")).concat();
    let text = ["      ", "        "]
        .iter()
        .fold(text.clone(), |text, indent| text.replace(&labels(indent), " LABELS"));
    let unpublished = unpublished.iter().map(|(target, line)| format!("not published: {target}: {line}\n"));
    let notes = notes.iter().map(|note| format!("note: {note}\n"));
    unpublished.chain(notes).fold(text, |all, line| all + &line)
}

#[test]
fn what_a_machine_has_one_of_is_set_apart() {
    let overlay = written(SPEC, Some("10.213.2.0/24"), &[("dns", 3), ("web_copy", 2), ("mail", 1)]).unwrap();
    assert_eq!(told(&overlay), include_str!("write_tests.txt"));
}

#[test]
fn files_of_templates_have_labels_and_free_addresses() {
    let (pool, _) = SPEC.split_once("[compose]").unwrap();
    let pool = pool.replace(", publish = \"web:80\"", "").replace(", publish = \"dns:53/udp\"", "");
    let overlay = written(&format!("{pool}[files]\na = \"a\"\n"), Some("10.213.2.0/24"), &[]).unwrap();
    assert_eq!(told(&overlay), include_str!("write_tests_labels.txt"));
}

#[test]
fn a_block_must_have_room_for_the_networks_of_a_slot() {
    let said = written(SPEC, Some("10.213.2.0/29"), &[]).unwrap_err().what;
    assert!(
        said.starts_with("slot 2 cannot have the networks `bridge`, `default`, `front`, `lan`, `proxy`: "),
        "{said}"
    );
    let free = written(SPEC, None, &[]).unwrap().text;
    assert!(!free.contains("subnet") && free.contains("\"ipam\": !reset null\n"), "{free}");
}
