//! Small projects, each with something of which a machine has only one.

use kinfra::compose::resource::PerSlot;
use serde_json::{Value, json};

use super::overlay::Declared;

/// A project, and what is to become of it.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// The files of each worktree.
    pub(crate) files: &'static [(&'static str, &'static str)],
    pub(crate) declared: Declared,
    /// What a slot would have in common with the main stack without an overlay.
    pub(crate) at_stake: &'static [&'static str],
    /// What Compose makes of slot 1, by JSON pointer.
    pub(crate) slot: Vec<(&'static str, Value)>,
}

pub(crate) fn cases() -> Vec<Case> {
    vec![
        address(),
        range(),
        undeclared(),
        fixed_names(),
        addresses(),
        host_names(),
        external(),
        shared(),
        mounts(),
        used(),
        default_image(),
        included(),
        env_files(),
        beside(),
    ]
}

fn address() -> Case {
    Case {
        name: "addresses and protocols",
        files: &[(
            "compose.yaml",
            "services:\n  dns:\n    image: dns\n    ports: ['0.0.0.0:5353:53/udp', '5353:53', '[::1]:8090:80', '8091:81', '7000', '127.0.0.1::7001']\n",
        )],
        declared: Declared {
            ports: vec![
                ("dns", 5353, "dns:53", 1),
                ("dns_udp", 5353 + 500, "dns:53/udp", 1),
                ("web", 8090, "dns:80", 1),
            ],
            ..Declared::default()
        },
        at_stake: &["port:5353/udp", "port:5353/tcp", "port:8090/tcp", "port:8091/tcp"],
        slot: vec![(
            "/services/dns/ports",
            json!([
                {"mode": "ingress", "host_ip": "127.0.0.1", "target": 53, "published": "5363", "protocol": "tcp"},
                {"mode": "ingress", "host_ip": "0.0.0.0", "target": 53, "published": "5863", "protocol": "udp"},
                {"mode": "ingress", "host_ip": "::1", "target": 80, "published": "8100", "protocol": "tcp"},
                {"mode": "ingress", "host_ip": "127.0.0.1", "target": 7000, "protocol": "tcp"},
                {"mode": "ingress", "host_ip": "127.0.0.1", "target": 7001, "protocol": "tcp"},
            ]),
        )],
    }
}

fn range() -> Case {
    Case {
        name: "a range for replicas",
        files: &[(
            "docker-compose.yml",
            "services:\n  web:\n    image: web\n    scale: 2\n    ports: ['9000-9002:80']\n  job:\n    image: job\n    deploy: {replicas: 2}\n",
        )],
        declared: Declared {
            ports: vec![("web", 9000, "web:80", 3)],
            workers: vec![("web", 3), ("job", 1)],
            ..Declared::default()
        },
        at_stake: &["port:9000/tcp", "port:9001/tcp", "port:9002/tcp"],
        slot: vec![
            ("/services/web/ports/0/published", json!("9010-9012")),
            ("/services/web/scale", Value::Null),
            ("/services/web/deploy/replicas", json!(3)),
            ("/services/job/deploy/replicas", json!(1)),
        ],
    }
}

fn undeclared() -> Case {
    Case {
        name: "nothing is declared",
        files: &[("compose.yml", "services: {a: {image: a, ports: ['80:80', '443:443']}}\n")],
        declared: Declared::default(),
        at_stake: &["port:80/tcp", "port:443/tcp"],
        slot: vec![("/services/a/ports", Value::Null)],
    }
}

fn fixed_names() -> Case {
    Case {
        name: "fixed names",
        files: &[(
            "compose.yaml",
            "name: main\nservices:\n  db: {image: db, container_name: shop-db, volumes: ['va:/a', 'vb:/b', 'vc:/c'], networks: [default, net]}\n\
             volumes: {va: {name: data}, vb: {name: main_vb}, vc: }\nnetworks: {default: {name: shop}, net: {name: main_net, driver_opts: {com.docker.network.bridge.name: br-shop}}}\n",
        )],
        declared: Declared::default(),
        at_stake: &[
            "container:shop-db",
            "volume:data",
            "volume:main_vb",
            "network:shop",
            "network:main_net",
            "bridge:br-shop",
        ],
        slot: vec![
            ("/volumes/vb/name", json!("shop-slot-1_vb")),
            ("/volumes/vb/labels/kinfra.root", json!("/home/me/.$$shop")),
            ("/networks/default/name", json!("shop-slot-1_default")),
            ("/networks/net/driver_opts", Value::Null),
        ],
    }
}

fn addresses() -> Case {
    Case {
        name: "addresses",
        files: &[(
            "compose.yaml",
            "services:\n  a: {image: a, networks: {net: {ipv4_address: 172.30.0.5, ipv6_address: '2001:db8::5', aliases: [x]}}}\n\
             \x20 b: {image: b, mac_address: '02:42:ac:11:65:43', networks: {net: {mac_address: '02:42:ac:11:65:44'}}}\n\
             networks: {net: {enable_ipv6: true, ipam: {config: [{subnet: 172.30.0.0/16}, {subnet: '2001:db8::/64'}]}}}\n",
        )],
        declared: Declared::default(),
        at_stake: &[
            "subnet:172.30.0.0/16",
            "subnet:2001:db8::/64",
            "ipv4_address:172.30.0.5",
            "ipv6_address:2001:db8::5",
            "mac_address:02:42:ac:11:65:43",
            "mac_address:02:42:ac:11:65:44",
        ],
        slot: vec![
            ("/services/a/networks/net", json!({"aliases": ["x"]})),
            ("/networks/net/ipam", json!({})),
            ("/networks/net/enable_ipv6", Value::Null),
        ],
    }
}

fn host_names() -> Case {
    Case {
        name: "names of containers as host names",
        files: &[(
            "compose.yaml",
            "services:\n  db: {image: x, container_name: you-db}\n  list: {image: x, container_name: you-list, networks: [net, other]}\n\
             \x20 map: {image: x, container_name: you-map, networks: {net: {priority: 5, aliases: [m], ipv4_address: 172.30.0.5}, other: {aliases: [you-map]}, ext: null}}\n\
             \x20 host: {image: x, container_name: you-host, network_mode: host}\n\
             networks: {net: {ipam: {config: [{subnet: 172.30.0.0/16}]}}, other: null, ext: {external: true}}\n",
        )],
        declared: Declared { shared: vec!["network:ext"], ..Declared::default() },
        at_stake: &[
            "container:you-db",
            "container:you-host",
            "container:you-list",
            "container:you-map",
            "ipv4_address:172.30.0.5",
            "network:ext",
            "subnet:172.30.0.0/16",
        ],
        slot: vec![
            ("/services/db/networks", json!({"default": {"aliases": ["you-db"]}})),
            (
                "/services/list/networks",
                json!({"net": {"aliases": ["you-list"]}, "other": {"aliases": ["you-list"]}}),
            ),
            ("/services/map/networks/net", json!({"priority": 5, "aliases": ["m", "you-map"]})),
            ("/services/map/networks/other", json!({"aliases": ["you-map"]})),
            ("/services/map/networks/ext", Value::Null),
            ("/services/host/networks", Value::Null),
        ],
    }
}

fn external() -> Case {
    Case {
        name: "external, each slot its own",
        files: &[(
            "compose.yaml",
            "services: {a: {image: a, volumes: ['ext:/e', 'old:/o'], networks: [proxy, older]}}\n\
             volumes: {ext: {external: true, name: ext}, old: {external: {name: legacy}}}\nnetworks: {proxy: {external: true}, older: {external: {name: legacy}}}\n",
        )],
        declared: Declared {
            per_slot: ["volume:ext", "volume:legacy", "network:proxy", "network:legacy"]
                .map(|it| (it, PerSlot::Own))
                .to_vec(),
            ..Declared::default()
        },
        at_stake: &["volume:ext", "volume:legacy", "network:proxy", "network:legacy"],
        slot: vec![
            ("/volumes/ext/external", Value::Null),
            ("/volumes/old/name", json!("shop-slot-1_old")),
            ("/networks/proxy/external", Value::Null),
            ("/networks/older/labels/kinfra.slot", json!("1")),
        ],
    }
}

fn shared() -> Case {
    Case {
        name: "shared by declaration",
        files: &[(
            "compose.yaml",
            "services: {a: {image: a, volumes: ['vs:/s', 'vd:/d', '/srv/models:/m'], networks: [obs, default]}}\n\
             volumes: {vs: {name: store}, vd: {driver_opts: {type: none, o: bind, device: /srv/d}}}\nnetworks: {obs: {name: obs, ipam: {config: [{subnet: 10.9.0.0/16}]}}}\n",
        )],
        declared: Declared {
            shared: vec!["volume:store", "device:/srv/d", "mount:/srv/models", "network:obs"],
            ..Declared::default()
        },
        at_stake: &["volume:store", "device:/srv/d", "mount:/srv/models", "network:obs"],
        slot: vec![
            ("/volumes/vs", json!({"name": "store", "external": true})),
            ("/volumes/vd/name", json!("shop-slot-1_vd")),
            ("/networks/obs", json!({"name": "obs", "external": true, "ipam": {}})),
        ],
    }
}

fn mounts() -> Case {
    Case {
        name: "devices and mounts",
        files: &[(
            "compose.yaml",
            "services:\n  db:\n    image: db\n    volumes:\n      - /srv/pg:/data/\n      - {type: bind, source: '/srv/w$$w', target: /www/}\n\
             \x20     - {type: tmpfs, target: /t, tmpfs: {size: 100}}\n      - ./own:/own:z\n      - dev:/dev1\n      - mem:/mem\n      - /srv/ro:/ro:ro\n\
             volumes: {dev: {driver_opts: {type: none, o: bind, device: /srv/dev}}, mem: {driver_opts: {type: tmpfs, device: tmpfs, o: size=1m}}}\n",
        )],
        declared: Declared {
            per_slot: vec![
                ("mount:/srv/pg", PerSlot::Volume),
                ("mount:/srv/w$w", PerSlot::Worktree("w$w".into())),
            ],
            ..Declared::default()
        },
        at_stake: &["mount:/srv/pg", "mount:/srv/w$$w", "device:/srv/dev"],
        slot: vec![
            ("/services/db/volumes/0/source", json!("kinfra_srv_pg")),
            ("/services/db/volumes/1/target", json!("/www")),
            ("/services/db/volumes/2/tmpfs/size", json!("100")),
            ("/services/db/volumes/3/bind/selinux", json!("z")),
            ("/services/db/volumes/7", Value::Null),
            ("/volumes/dev/driver_opts", Value::Null),
            ("/volumes/mem/driver_opts/device", json!("tmpfs")),
            ("/volumes/kinfra_srv_pg/labels/kinfra.id", json!("5f0c")),
        ],
    }
}

fn used() -> Case {
    Case {
        name: "an image that another service uses",
        files: &[(
            "compose.yaml",
            "services:\n  web: {build: {context: ., tags: ['acme/web:v1'], labels: {a: b}}, image: acme/web}\n\
             \x20 worker: {image: 'acme/web:latest', pull_policy: always, deploy: {replicas: 2}}\n  old: {image: 'acme/web:v1', profiles: [x]}\n  db: {image: postgres}\n",
        )],
        declared: Declared { workers: vec![("worker", 4)], ..Declared::default() },
        at_stake: &["image:acme/web:latest", "image:acme/web:v1"],
        slot: vec![
            ("/services/web/image", json!("shop-slot-1-web:slot")),
            ("/services/web/build/tags", Value::Null),
            ("/services/web/build/labels/a", json!("b")),
            ("/services/web/build/labels/kinfra.slot", json!("1")),
            ("/services/worker/image", json!("shop-slot-1-web:slot")),
            ("/services/worker/pull_policy", Value::Null),
            ("/services/worker/deploy/replicas", json!(4)),
            ("/services/old/image", json!("shop-slot-1-web:slot")),
            ("/services/db/image", json!("postgres")),
        ],
    }
}

fn default_image() -> Case {
    Case {
        name: "the name that Compose gives an image",
        files: &[("compose.yaml", "name: main\nservices: {web: {build: .}, job: {image: main-web}}\n")],
        declared: Declared::default(),
        at_stake: &["image:main-web:latest"],
        slot: vec![("/services/job/image", json!("shop-slot-1-web:slot"))],
    }
}

fn included() -> Case {
    Case {
        name: "included and extended",
        files: &[
            (
                "compose.yaml",
                "include: [db/compose.yaml]\nservices:\n  web: {extends: {file: base/base.yaml, service: base}, ports: ['8081:81'], profiles: [p]}\n",
            ),
            (
                "db/compose.yaml",
                "services: {db: {image: db, container_name: db, ports: ['5432:5432'], volumes: ['vd:/d', './x:/x']}}\nvolumes: {vd: {name: dbdata}}\n",
            ),
            (
                "base/base.yaml",
                "services: {base: {image: base, container_name: base, ports: ['8080:80'], volumes: ['/srv/b:/b']}}\n",
            ),
        ],
        declared: Declared {
            ports: vec![("db", 5432, "db:5432", 1), ("web", 8080, "web:80", 1)],
            per_slot: vec![("mount:/srv/b", PerSlot::Volume)],
            ..Declared::default()
        },
        at_stake: &[
            "container:db",
            "container:base",
            "port:5432/tcp",
            "port:8080/tcp",
            "port:8081/tcp",
            "volume:dbdata",
            "mount:/srv/b",
        ],
        slot: vec![
            ("/services/db/ports/0/published", json!("5442")),
            ("/services/web/ports/0/published", json!("8090")),
            ("/services/web/ports/1", Value::Null),
        ],
    }
}

fn env_files() -> Case {
    Case {
        name: "variables of env files",
        files: &[
            (
                ".env",
                "COMPOSE_PATH_SEPARATOR=;\nCOMPOSE_FILE=dev/base.yaml;dev/more.yaml\nPORT=8080\nURL=http://${HOST}/\n",
            ),
            (
                "dev/base.yaml",
                "services: {web: {image: web, ports: ['${PORT}:80'], env_file: web.env, environment: {PASSWORD: 'a$$b'}}}\n",
            ),
            (
                "dev/more.yaml",
                "services: {web: {container_name: \"${NAME}\"}, db: {image: db, environment: {PORT: \"${PORT}\"}}}\n",
            ),
            ("dev/.env", "NAME=from-dev\nPORT=1\n"),
            ("dev/web.env", "FROM_FILE=yes\n"),
        ],
        declared: Declared {
            ports: vec![("web", 8080, "web:80", 1)],
            environment: vec![("web", "API_URL", "http://localhost:8090/$HOME")],
            ..Declared::default()
        },
        at_stake: &["port:8080/tcp", "container:from-dev"],
        slot: vec![
            (
                "/services/web/environment",
                json!({"API_URL": "http://localhost:8090/$$HOME", "FROM_FILE": "yes", "PASSWORD": "a$$b"}),
            ),
            ("/services/db/environment/PORT", json!("8080")),
        ],
    }
}

fn beside() -> Case {
    Case {
        name: "an override file",
        files: &[
            ("compose.yaml", "services: {web: {image: web, ports: ['8080:80']}}\n"),
            ("compose.override.yml", "services: {web: {ports: ['8081:81'], container_name: web}}\n"),
        ],
        declared: Declared { ports: vec![("web", 8080, "web:80", 1)], ..Declared::default() },
        at_stake: &["port:8080/tcp", "port:8081/tcp", "container:web"],
        slot: vec![("/services/web/ports/1", Value::Null)],
    }
}
