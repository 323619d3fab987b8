//! The text of overlays, without Docker.

use std::collections::BTreeMap;

use camino::Utf8Path;
use kinfra::address_block::AddressBlock;
use kinfra::compose::model::Model;
use kinfra::compose::overlay::{Overlay, Slot, overlay};
use kinfra::compose::resource::{PerSlot, Resource, Target};
use kinfra::fault::Fault;
use kinfra::identifier::{PortName, WorkerKind};
use kinfra::port::Port;
use kinfra::slot::{SlotId, Workers};
use kinfra::spec::{ComposeSpec, PublishSpec, Spec};
use serde_json::{Value, json};

/// What a slots.toml declares, in few words.
#[derive(Debug, Clone, Default)]
pub(crate) struct Declared {
    /// Name, base, target and count. Each has the stride 10.
    pub(crate) ports: Vec<(&'static str, u16, &'static str, u16)>,
    pub(crate) shared: Vec<&'static str>,
    pub(crate) per_slot: Vec<(&'static str, PerSlot)>,
    pub(crate) workers: Vec<(&'static str, u16)>,
    /// The tag of built images, if it is another one than `slot`.
    pub(crate) tag: Option<&'static str>,
    /// Service, variable and value.
    pub(crate) environment: Vec<(&'static str, &'static str, &'static str)>,
    /// The block of addresses that its networks have parts of.
    pub(crate) subnet: Option<&'static str>,
}

impl Declared {
    pub(super) fn spec(&self) -> Spec {
        let mut toml = String::from(
            "version = 1\n[pool]\nname = 'shop'\nroot = '~/.shop'\nenv_prefix = 'SHOP_'\n\
             [[profiles]]\nname = 'light'\nworkers = {}\n[[slots]]\nids = '1-2'\nprofile = 'light'\n\
             [files]\n'.env.sandbox' = 'env.sandbox'\n[ports]\nprimary = { base = 2000, stride = 10 }\n",
        );
        for (name, base, _, count) in &self.ports {
            for (offset, name) in names(name, *count).into_iter().enumerate() {
                let base = usize::from(*base) + offset;
                toml.push_str(&format!("{name} = {{ base = {base}, stride = 10 }}\n"));
            }
        }
        let mut spec = Spec::parse(&toml).expect("a valid spec");
        for (name, _, target, count) in &self.ports {
            let target = Target::parse(target).expect("a target");
            spec.publish.insert(port_name(name), PublishSpec { target, count: *count, scheme: None });
        }
        let resource = |text: &str| Resource::parse(text).expect("a resource");
        let per_slot = self.per_slot.iter().map(|(text, own)| (resource(text), own.clone()));
        spec.compose = Some(ComposeSpec {
            shared: self.shared.iter().map(|text| resource(text)).collect(),
            per_slot: per_slot.collect(),
            ..ComposeSpec::default()
        });
        spec
    }

    /// The overlay of a slot that a worktree holds.
    pub(crate) fn overlay(&self, model: &Model, id: u16, worktree: &Utf8Path) -> Overlay {
        self.overlay_by(&self.spec(), model, id, worktree).expect("its networks have room")
    }

    pub(super) fn overlay_by(
        &self,
        spec: &Spec,
        model: &Model,
        id: u16,
        worktree: &Utf8Path,
    ) -> Result<Overlay, Fault> {
        let ports =
            spec.ports.iter().map(|(name, formula)| (name.clone(), formula.port(id).expect("a port")));
        let ports: BTreeMap<PortName, Port> = ports.collect();
        let workers =
            self.workers.iter().map(|(kind, count)| (WorkerKind::new(kind).expect("a kind"), *count));
        let workers: Workers = workers.collect();
        let mut environment: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
        for (service, name, value) in &self.environment {
            environment
                .entry((*service).to_owned())
                .or_default()
                .insert((*name).to_owned(), (*value).to_owned());
        }
        let slot = Slot {
            pool: "shop",
            id: SlotId::new(id).expect("an id"),
            tag: self.tag.unwrap_or("slot"),
            registry: "5f0c",
            root: "/home/me/.$shop".into(),
            worktree,
            ports: &ports,
            spec,
            workers: &workers,
            environment: &environment,
            subnet: self.subnet.map(|subnet| AddressBlock::around(subnet).expect("a block")),
        };
        overlay(model, &slot)
    }
}

fn names(name: &str, count: u16) -> Vec<String> {
    let further = (2..=count).map(|number| format!("{name}_{number}"));
    std::iter::once(name.to_owned()).chain(further).collect()
}

fn port_name(name: &str) -> PortName {
    PortName::new(name).expect("a name")
}

fn model(config: &Value) -> Model {
    Model::parse(&config.to_string()).expect("a model")
}

/// The lines of slot 1's overlay, without its first and without labels.
fn lines(declared: &Declared, config: &Value) -> Vec<String> {
    let text = declared.overlay(&model(config), 1, "/wt".into()).text;
    let is_label =
        |line: &&str| line.contains("\"kinfra.") || line.trim() == "\"labels\":" || line.starts_with('#');
    let lines: Vec<String> = text.lines().filter(|line| !is_label(line)).map(str::to_owned).collect();
    lines
}

#[test]
fn a_whole_overlay_reads_well() {
    let declared = Declared {
        ports: vec![("web", 8080, "web:80", 1)],
        environment: vec![("web", "URL", "http://localhost:8090/$x")],
        ..Declared::default()
    };
    let config = json!({"name": "main", "services": {"web": {"build": {"context": "/p"}, "container_name": "web",
        "ports": [{"target": 80, "published": "8080", "protocol": "tcp"}], "networks": {"default": null}}},
        "networks": {"default": {"name": "main_default", "ipam": {}}}});
    let text = declared.overlay(&model(&config), 1, "/wt".into()).text;
    let labels = |indent: &str| {
        format!(
            "{indent}\"labels\":\n{indent}  \"kinfra.id\": \"5f0c\"\n{indent}  \"kinfra.pool\": \"shop\"\n\
             {indent}  \"kinfra.root\": \"/home/me/.$$shop\"\n{indent}  \"kinfra.slot\": \"1\"\n"
        )
    };
    let expected = [
        "# Written by kinfra for slot 1 of pool shop. A change here is lost: kinfra writes it again.\n\
         \"services\":\n  \"web\":\n    \"container_name\": !reset null\n    \"image\": \"shop-slot-1-web:slot\"\n    \"build\":\n",
        &labels("      "),
        "    \"ports\": !override\n      - {\"target\": 80, \"published\": \"8090\", \"host_ip\": \"127.0.0.1\", \"protocol\": \"tcp\"}\n\
        \x20   \"environment\":\n      \"URL\": \"http://localhost:8090/$$x\"\n",
        &labels("    "),
        "\"networks\":\n  \"default\":\n    \"name\": !reset null\n",
        &labels("    "),
    ];
    assert_eq!(text, expected.concat());
}

#[test]
fn what_is_shared_keeps_its_name_and_gets_no_label() {
    let declared = Declared {
        shared: vec!["volume:store", "network:obs", "image:acme/app"],
        per_slot: vec![("volume:ext", PerSlot::Own)],
        ..Declared::default()
    };
    let config = json!({"name": "main",
        "services": {"app": {"image": "acme/app:latest", "build": {"context": "/p"}}, "job": {"image": "acme/app"}},
        "volumes": {"s": {"name": "store", "driver_opts": {"device": "/srv/s"}}, "e": {"name": "ext", "external": true},
            "left": {"name": "left", "external": true}},
        "networks": {"o": {"name": "obs", "external": true}}});
    assert_eq!(
        lines(&declared, &config),
        [
            "\"services\":",
            "  \"app\":",
            "    \"build\":",
            "  \"job\":",
            "\"networks\":",
            "  \"o\": !override",
            "    \"external\": true",
            "    \"name\": \"obs\"",
            "\"volumes\":",
            "  \"e\":",
            "    \"external\": !reset null",
            "    \"name\": !reset null",
            "  \"s\": !override",
            "    \"external\": true",
            "    \"name\": \"store\"",
        ]
    );
    let text = declared.overlay(&model(&config), 1, "/wt".into()).text;
    assert_eq!(text.matches("kinfra.id").count(), 4, "two services, a build and a volume: {text}");
}

#[test]
fn a_pool_of_templates_gets_labels_only() {
    let declared = Declared { ports: vec![("web", 8080, "web:80", 1)], ..Declared::default() };
    let mut spec = declared.spec();
    spec.compose = None;
    let config = json!({"name": "main", "services": {"web": {"container_name": "web", "build": {"context": "/p"},
        "ports": [{"target": 80, "published": "8080"}, {"target": 81, "published": "8081"}]}},
        "volumes": {"e": {"name": "ext", "external": true}, "v": {"name": "fixed"}}});
    let overlay = declared.overlay_by(&spec, &model(&config), 1, "/wt".into()).expect("an overlay");
    assert_eq!(overlay.unpublished, []);
    let is_label = |line: &&str| line.contains("kinfra.") || line.contains("labels");
    let rest: Vec<&str> = overlay.text.lines().skip(1).filter(|line| !is_label(line)).collect();
    assert_eq!(rest, ["\"services\":", "  \"web\":", "    \"build\":", "\"volumes\":", "  \"v\":"]);
    assert_eq!(overlay.text.matches("kinfra.id").count(), 3);
}

#[test]
fn a_port_that_is_not_declared_is_named_with_its_line() {
    let declared = Declared { ports: vec![("web", 8080, "web:80", 1)], ..Declared::default() };
    let config = json!({"name": "main", "services": {
        "admin-ui": {"ports": [{"target": 80, "published": "8085", "protocol": "tcp"}]},
        "dns": {"ports": [{"target": 53, "published": "53", "protocol": "udp"}, {"target": 53, "published": "53", "protocol": "tcp"},
            {"target": 9, "published": "9", "protocol": "sctp"}]},
        "pool": {"ports": [{"target": 90, "published": "9000-9002", "protocol": "tcp"}, {"target": 91, "protocol": "tcp"}]},
        "web": {"ports": [{"target": 80, "published": "8080", "protocol": "tcp"}, {"target": 81, "published": "8090", "protocol": "tcp"}]}}});
    let overlay = declared.overlay(&model(&config), 1, "/wt".into());
    let unpublished: Vec<(String, &str)> =
        overlay.unpublished.iter().map(|(target, line)| (target.to_string(), line.as_str())).collect();
    let expected = [
        ("admin-ui:80", "admin_ui = { base = 8085, publish = \"admin-ui:80\" }"),
        ("dns:53", "dns = { base = 8053, publish = \"dns:53\" }"),
        ("dns:53/udp", "dns_53 = { base = 8053, publish = \"dns:53/udp\" }"),
        // Three ports in a row for each slot.
        ("pool:90", "pool = { base = 9000, stride = 3, publish = \"pool:90\", count = 3 }"),
        // The base of the main stack is the port of slot 1 of `web`: another base is as near as there is one.
        ("web:81", "web_81 = { base = 8091, publish = \"web:81\" }"),
    ];
    assert_eq!(unpublished, expected.map(|(target, line)| (target.to_owned(), line)));
    assert_eq!(overlay.notes, ["`dns` publishes 9/sctp, which a slot does not: kinfra knows TCP and UDP"]);
    let text = lines(&declared, &config).join("\n");
    assert!(text.contains("\"dns\":\n    \"ports\": !override []\n"), "{text}");
    // Docker chooses this one anew for each container.
    assert!(text.contains("- {\"target\": 91, \"host_ip\": \"127.0.0.1\", \"protocol\": \"tcp\"}"), "{text}");
}

#[test]
fn a_declared_port_is_published_even_if_the_project_does_not() {
    let declared = Declared {
        ports: vec![
            ("db", 5432, "db:5432", 1),
            ("gone", 7000, "gone:1", 1),
            ("net", 7500, "net:1", 1),
            ("pool", 9000, "pool:80", 3),
        ],
        ..Declared::default()
    };
    let config = json!({"name": "main", "services": {"db": {"image": "x"}, "net": {"network_mode": "host"}, "pool": {"image": "x"}}});
    let text = lines(&declared, &config).join("\n");
    assert!(text.contains("{\"target\": 5432, \"published\": \"5442\","), "{text}");
    assert!(text.contains("{\"target\": 80, \"published\": \"9010-9012\","), "{text}");
    assert_eq!(text.matches("published").count(), 2, "{text}");
}

#[test]
fn an_image_has_one_tag_wherever_it_is_used() {
    let config = json!({"name": "main", "services": {
        "api": {"image": "acme/app", "build": {"context": "/p", "tags": ["acme/app:v1", "acme/side"]}},
        "api2": {"image": "docker.io/acme/app:latest", "build": {"context": "/p"}},
        "Front_End": {"build": {"context": "/p", "additional_contexts": {"base": "docker-image://acme/app", "x": "docker-image://alpine"}}},
        "job": {"image": "acme/app:v1"}, "sidecar": {"image": "acme/side:latest"}, "user": {"image": "main-Front_End"}, "db": {"image": "postgres"}}});
    let overlay = Declared::default().overlay(&model(&config), 2, "/wt".into());
    let images: Vec<&str> =
        overlay.text.lines().filter_map(|line| line.trim().strip_prefix("\"image\": ")).collect();
    let front = images.first().expect("an image").to_owned();
    assert!(front.starts_with("\"shop-slot-2-front-end-") && front.ends_with(":slot\""), "{front}");
    let api = "\"shop-slot-2-api:slot\"";
    assert_eq!(images, [front, api, api, api, api, front]);
    assert_eq!(overlay.text.matches("\"pull_policy\": !reset null").count(), 3);
    assert_eq!(overlay.text.matches("\"tags\": !reset null").count(), 1);
    assert_eq!(overlay.notes.len(), 1, "{:?}", overlay.notes);
    assert!(
        overlay.notes[0].contains("`Front_End` is built from the image `acme/app`"),
        "{:?}",
        overlay.notes
    );
    let shared = Declared { shared: vec!["image:acme/side"], ..Declared::default() };
    let text = lines(&shared, &config).join("\n");
    assert!(text.contains("\"tags\": !override\n        - \"acme/side\"\n"), "{text}");
    assert!(!text.contains("\"sidecar\":\n    \"image\""), "{text}");
}

#[test]
fn a_built_image_has_the_tag_that_the_slot_gives() {
    let config = json!({"name": "main", "services": {"api": {"image": "acme/app", "build": {"context": "/p"}}, "job": {"image": "acme/app"}}});
    let declared = Declared { tag: Some("c0ffee"), ..Declared::default() };
    let lines = lines(&declared, &config);
    let images: Vec<&str> = lines.iter().filter_map(|line| line.trim().strip_prefix("\"image\": ")).collect();
    assert_eq!(images, ["\"shop-slot-1-api:c0ffee\""; 2]);
}

#[test]
fn a_mount_of_the_slots_own_takes_the_place_of_the_path() {
    let declared = Declared {
        per_slot: vec![
            ("mount:/srv/pg", PerSlot::Volume),
            ("mount:/srv/www", PerSlot::Worktree("data/www".into())),
        ],
        ..Declared::default()
    };
    let config = json!({"name": "main", "services": {"db": {"volumes": [
        {"type": "bind", "source": "/srv/pg", "target": "/data", "bind": {"create_host_path": true}},
        {"type": "bind", "source": "/srv/www/a", "target": "/www", "read_only": true, "bind": {"propagation": "rslave"}},
        {"type": "bind", "source": "/srv/www2", "target": "/www2"},
        {"type": "volume", "source": "v", "target": "/v", "volume": {"nocopy": true}}]},
        "other": {"volumes": [{"type": "bind", "source": "/srv/other", "target": "/o"}]}}});
    assert_eq!(
        lines(&declared, &config),
        [
            "\"services\":",
            "  \"db\":",
            "    \"volumes\": !override",
            r#"      - {"type": "volume", "source": "kinfra_srv_pg", "target": "/data"}"#,
            r#"      - {"type": "bind", "source": "/wt/data/www/a", "target": "/www", "read_only": true, "bind": {"propagation": "rslave"}}"#,
            r#"      - {"type": "bind", "source": "/srv/www2", "target": "/www2"}"#,
            r#"      - {"type": "volume", "source": "v", "target": "/v", "volume": {"nocopy": true}}"#,
            "  \"other\":",
            "\"volumes\":",
            "  \"kinfra_srv_pg\":",
        ]
    );
}

#[test]
fn what_is_behind_a_volume_is_set_apart_where_something_writes_to_it() {
    let mount = |volume: &str, read_only: bool| json!({"type": "volume", "source": volume, "target": "/t", "read_only": read_only});
    let on = |device: &str| json!({"driver_opts": {"type": "none", "o": "bind", "device": device}});
    let config = json!({"name": "main", "services": {"s": {"volumes": [
        mount("disk", false), mount("music", true), mount("own", false), mount("plain", false), mount("plugin", false),
        mount("ro_plugin", true), {"type": "bind", "source": "disk", "target": "/d"}]}},
        "volumes": {"disk": on("/srv/disk"), "music": on("/srv/music"), "own": on("/wt/data"),
            "plain": {"driver": "local", "driver_opts": {"o": "size=1g"}},
            "plugin": {"driver": "rclone", "driver_opts": {"remote": "nas:a"}},
            "ro_plugin": {"driver": "rclone", "driver_opts": {"remote": "nas:a"}}}});
    let reset = |key: &str| format!("    \"{key}\": !reset null");
    let of = |volume: &str| {
        let lines = lines(&Declared::default(), &config);
        let at = lines.iter().position(|line| *line == format!("  \"{volume}\":")).expect("the volume");
        let own = lines.into_iter().skip(at + 1).take_while(|line| line.starts_with("    "));
        own.collect::<Vec<_>>()
    };
    for (volume, keys) in [
        ("disk", &["name", "driver_opts"][..]),
        ("music", &["name"]),
        ("own", &["name"]),
        ("plain", &["name"]),
        ("plugin", &["name", "driver", "driver_opts"]),
        ("ro_plugin", &["name"]),
    ] {
        assert_eq!(of(volume), keys.iter().map(|key| reset(key)).collect::<Vec<_>>(), "{volume}");
    }
}

#[test]
fn a_network_on_an_interface_of_the_machine_is_a_bridge_in_a_slot() {
    let lan = json!({"name": "main_lan", "driver": "macvlan", "driver_opts": {"parent": "eth0"},
        "ipam": {"config": [{"subnet": "10.0.0.0/24"}]}});
    let config = json!({"name": "main", "services": {"s": {"networks": {"lan": null}}},
        "networks": {"lan": lan, "other": {"name": "other", "driver": "macvlan", "external": true}}});
    let overlay = Declared::default().overlay(&model(&config), 1, "/wt".into());
    let reset = ["name", "ipam", "driver", "driver_opts"].map(|key| format!("    \"{key}\": !reset null\n"));
    assert!(overlay.text.contains(&reset.concat()), "{}", overlay.text);
    let note = "network `lan` is a bridge in a slot: one `macvlan` has an interface of the machine to itself";
    assert_eq!(overlay.notes, [note]);
}

#[test]
fn a_containers_old_name_stays_as_a_host_name_in_the_slots_networks() {
    let declared = Declared {
        shared: vec!["network:obs"],
        per_slot: vec![("network:edge", PerSlot::Own)],
        ..Declared::default()
    };
    let config = json!({"name": "main", "services": {
        "cache": {"container_name": "cache", "networks": {"default": null}},
        "db": {"container_name": "you-$db", "networks": {"back": {"ipv4_address": "10.0.0.5"}, "default": null, "edge": null,
            "ext": {"mac_address": "02:42:ac:11:65:43"}, "o": null, "said": {"aliases": ["you-$db"]}}},
        "host": {"container_name": "you-host", "network_mode": "host"}},
        "networks": {"back": {"name": "main_back"}, "default": {"name": "main_default", "ipam": {}},
            "edge": {"name": "edge", "external": true}, "ext": {"name": "ext", "external": true},
            "o": {"name": "obs"}, "said": {"name": "main_said"}}});
    let lines = lines(&declared, &config);
    let services: Vec<&str> =
        lines.iter().take_while(|line| *line != "\"networks\":").map(String::as_str).collect();
    assert_eq!(
        services,
        [
            "\"services\":",
            // Compose gives each container the name of its service.
            "  \"cache\":",
            "    \"container_name\": !reset null",
            "  \"db\":",
            "    \"container_name\": !reset null",
            "    \"networks\":",
            "      \"back\":",
            "        \"ipv4_address\": !reset null",
            "        \"aliases\":",
            "          - \"you-$$db\"",
            "      \"default\":",
            "        \"aliases\":",
            "          - \"you-$$db\"",
            "      \"edge\":",
            "        \"aliases\":",
            "          - \"you-$$db\"",
            "      \"ext\":",
            "        \"mac_address\": !reset null",
            "  \"host\":",
            "    \"container_name\": !reset null",
        ]
    );
}

#[test]
fn a_network_whose_ipv6_subnet_goes_has_ipv4_only() {
    let network = |subnets: &[&str], shared: bool| {
        let subnets: Vec<Value> = subnets.iter().map(|subnet| json!({"subnet": subnet})).collect();
        let name = if shared { "obs" } else { "main_net" };
        json!({"name": name, "enable_ipv6": true, "ipam": {"config": subnets}})
    };
    let declared = Declared { shared: vec!["network:obs"], ..Declared::default() };
    for (network, is_reset) in [
        (network(&["172.30.0.0/16", "fd00:1::/64"], false), true),
        (network(&["172.30.0.0/16"], false), false),
        (network(&[], false), false),
        (network(&["fd00:1::/64"], true), false),
    ] {
        let config = json!({"name": "main", "services": {}, "networks": {"net": network}});
        let overlay = declared.overlay(&model(&config), 1, "/wt".into());
        let reset = "    \"enable_ipv6\": !reset null\n";
        assert_eq!(overlay.text.contains(reset), is_reset, "{}", overlay.text);
        let note = "network `net`: a slot has IPv4 only, because its fixed IPv6 subnet is the main stack's";
        let notes: Vec<&str> = is_reset.then_some(note).into_iter().collect();
        assert_eq!(overlay.notes, notes);
    }
}

#[test]
fn tcp_ports_are_named_before_udp_ports() {
    let port = |target: u16, protocol: &str| json!({"target": target, "published": target.to_string(), "protocol": protocol});
    let config = json!({"name": "main", "services": {
        "pi.hole": {"ports": [port(53, "udp"), port(67, "udp"), port(8080, "tcp")]}, "zone": {"ports": [port(5300, "tcp")]}}});
    let overlay = Declared::default().overlay(&model(&config), 1, "/wt".into());
    let names: Vec<&str> =
        overlay.unpublished.iter().filter_map(|(_, line)| line.split(' ').next()).collect();
    assert_eq!(names, ["pi_hole", "pi_hole_53", "pi_hole_67", "zone"]);
}

#[test]
fn a_port_that_the_slot_lacks_is_noted_with_what_gives_it() {
    let declared = Declared { ports: vec![("web", 8080, "web:80", 1)], ..Declared::default() };
    let mut spec = declared.spec();
    let publish = spec.publish.remove(&port_name("web")).expect("a port");
    spec.publish.insert(port_name("late"), publish);
    let config = json!({"name": "main", "services": {"web": {"image": "x"}}});
    let overlay = declared.overlay_by(&spec, &model(&config), 1, "/wt".into()).expect("an overlay");
    assert_eq!(
        overlay.notes,
        ["`web:80` is not published: slot 1 has no port `late` yet; run `kinfra down`, then \
          `kinfra apply --update --include-claimed`"]
    );
}

#[test]
fn workers_are_replicas_of_the_service_of_that_name() {
    let declared = Declared { workers: vec![("job_runner", 3), ("gone", 1)], ..Declared::default() };
    let config = json!({"name": "main", "services": {"job-runner": {"scale": 2}, "web": {}}});
    let expected = [
        "\"services\":",
        "  \"job-runner\":",
        "    \"scale\": !reset null",
        "    \"deploy\":",
        "      \"replicas\": 3",
        "  \"web\":",
    ];
    assert_eq!(lines(&declared, &config), expected);
    let notes = declared.overlay(&model(&config), 1, "/wt".into()).notes;
    assert_eq!(notes, ["workers of `gone` have no effect: no service has that name"]);
}
