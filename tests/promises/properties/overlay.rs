//! The overlay of a slot, merged over random projects by a small model of what Compose does with `!override` and
//! `!reset`, and judged without kinfra.

use std::collections::BTreeSet;

use kinfra::compose::model::Model;
use kinfra::compose::resource::PerSlot;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Map, Value, json};

use super::check;
use crate::formats::compose::judge::{common, things};
use crate::formats::compose::overlay::Declared;

properties! {
    nothing_is_shared_but_what_is_declared: 128,
}

/// A value of an overlay.
#[derive(Debug)]
enum Tagged {
    Plain(Value),
    Map(Vec<(String, Tagged)>),
    Override(Box<Tagged>),
    Reset,
}

impl Tagged {
    /// Reads the lines of an overlay that are indented by at least so much.
    fn read<'a>(lines: &mut std::iter::Peekable<impl Iterator<Item = &'a str>>, indent: usize) -> Self {
        let depth = |line: &str| line.len() - line.trim_start().len();
        let (mut entries, mut items) = (Vec::new(), Vec::new());
        while let Some(line) = lines.next_if(|line| depth(line) >= indent) {
            if let Some(item) = line.trim().strip_prefix("- ") {
                items.push(scalar(item));
                continue;
            }
            let (key, value) = line.trim().split_once("\":").expect("a key");
            let value = match value.trim() {
                "" => Self::read(lines, indent + 2),
                "!override" => Self::Override(Box::new(Self::read(lines, indent + 2))),
                "!override []" => Self::Override(Box::new(Self::Plain(json!([])))),
                "!reset null" => Self::Reset,
                value => Self::Plain(scalar(value)),
            };
            entries.push((key.trim_matches('"').to_owned(), value));
        }
        if items.is_empty() { Self::Map(entries) } else { Self::Plain(Value::Array(items)) }
    }

    /// What it is by itself.
    fn value(self) -> Value {
        let mut value = Value::Null;
        self.merge(&mut value);
        value
    }

    /// Merges it over what is there, as Compose does: mappings by key, lists one after the other.
    fn merge(self, over: &mut Value) {
        match self {
            Self::Map(entries) => {
                if !over.is_object() {
                    *over = Value::Object(Map::new());
                }
                let over = over.as_object_mut().expect("a mapping");
                for (key, value) in entries {
                    if let Self::Reset = value {
                        over.remove(&key);
                    } else {
                        value.merge(over.entry(key).or_insert(Value::Null));
                    }
                }
            }
            Self::Plain(Value::Array(items)) if over.is_array() => {
                over.as_array_mut().expect("a list").extend(items);
            }
            Self::Plain(value) => *over = value,
            Self::Override(value) => *over = value.value(),
            Self::Reset => *over = Value::Null,
        }
    }
}

/// A value on one line is JSON, in which Compose reads `$$` as `$`, and prints it so again.
fn scalar(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

/// What Compose prints of a worktree's files as another project, with an overlay merged over them.
fn merged(config: &Value, overlay: &str, project: &str) -> Value {
    let mut config = config.clone();
    let main = config["name"].as_str().expect("a name").to_owned();
    config["name"] = json!(project);
    for (group, kind) in [("volumes", '_'), ("networks", '_')] {
        for (key, value) in config[group].as_object_mut().expect("a group") {
            // Compose's own names are the project's.
            if value["fixed"] != true && value["name"] == format!("{main}{kind}{key}") {
                value.as_object_mut().expect("a mapping").remove("name");
            }
        }
    }
    let mut lines = overlay.lines().filter(|line| !line.starts_with('#')).peekable();
    Tagged::read(&mut lines, 0).merge(&mut config);
    config
}

/// Paths of the machine, volumes, networks and images to choose from: few, so that they meet.
const PATHS: [&str; 5] = ["/srv/a", "/srv/a/b", "/srv/c-d", "/srv/$$x", "/data"];
const NAMES: [&str; 4] = ["one", "two", "main_one", "data-2"];
const IMAGES: [&str; 5] = ["acme/web", "acme/web:latest", "docker.io/acme/web", "main-one", "other:1"];

fn maybe<T: std::fmt::Debug + Clone + 'static>(
    value: impl Strategy<Value = T> + 'static,
) -> impl Strategy<Value = Option<T>> {
    prop::option::of(value)
}

/// The value, or nothing where there is none.
fn with(mut config: Value, entries: Vec<(&str, Option<Value>)>) -> Value {
    for (key, value) in entries.into_iter().filter_map(|(key, value)| Some((key, value?))) {
        config[key] = value;
    }
    config
}

fn port() -> impl Strategy<Value = Value> {
    let published = select(vec!["8080", "8081", "9000-9002", "80", "53"]);
    let host_ip = select(vec!["0.0.0.0", "127.0.0.1", "::1"]);
    (select(vec![53_u16, 80, 81, 443]), maybe(published), maybe(host_ip), select(vec!["tcp", "udp", "sctp"]))
        .prop_map(|(target, published, host_ip, protocol)| {
            let port = json!({"mode": "ingress", "target": target, "protocol": protocol});
            with(port, vec![("published", published.map(Value::from)), ("host_ip", host_ip.map(Value::from))])
        })
}

fn mount() -> impl Strategy<Value = Value> {
    let bind = (select(PATHS.to_vec()), any::<bool>()).prop_map(|(source, read_only)| {
        let mount =
            json!({"type": "bind", "source": source, "target": "/m", "bind": {"create_host_path": true}});
        with(mount, vec![("read_only", read_only.then_some(json!(true)))])
    });
    let volume = select(NAMES.to_vec())
        .prop_map(|name| json!({"type": "volume", "source": name, "target": "/v", "volume": {}}));
    prop_oneof![bind, volume]
}

fn service() -> impl Strategy<Value = Value> {
    let build = prop::collection::vec(select(IMAGES.to_vec()), 0..3)
        .prop_map(|tags| json!({"context": "/p", "tags": tags}));
    let own = (maybe(select(IMAGES.to_vec())), maybe(build), maybe(select(vec!["db", "web"])));
    let shape = (prop::collection::vec(port(), 0..4), prop::collection::vec(mount(), 0..4));
    let addresses = (maybe(Just("172.30.0.5")), maybe(Just("02:42:ac:11:65:43")));
    (own, shape, select(NAMES.to_vec()), addresses).prop_map(
        |((image, build, container), (ports, mounts), network, (ip, mac))| {
            let attached = with(
                json!({}),
                vec![("ipv4_address", ip.map(Value::from)), ("mac_address", mac.map(Value::from))],
            );
            // A service without a build has an image.
            let image = image.or(build.is_none().then_some("postgres"));
            let entries = vec![
                ("image", image.map(Value::from)),
                ("build", build),
                ("container_name", container.map(Value::from)),
                ("mac_address", mac.map(Value::from)),
            ];
            with(json!({"ports": ports, "volumes": mounts, "networks": {network: attached}}), entries)
        },
    )
}

/// A volume or network by its key: with the name that Compose gives it, a fixed one, or external.
fn named(key: &'static str, extra: Value) -> impl Strategy<Value = Value> {
    (maybe(select(NAMES.to_vec())), any::<bool>(), any::<bool>()).prop_map(
        move |(fixed, external, has_extra)| {
            let name = fixed.map_or(format!("main_{key}"), str::to_owned);
            // `fixed` is this test's own: the file names it, whatever it looks like.
            let mut value = json!({"name": name, "fixed": fixed.is_some() || external});
            if external {
                value["external"] = json!(true);
            } else if has_extra {
                for (key, extra) in extra.as_object().expect("a mapping") {
                    value[key] = extra.clone();
                }
            }
            value
        },
    )
}

fn group(extra: &Value) -> impl Strategy<Value = Value> + use<> {
    let [a, b, c, d] = NAMES.map(|key| named(key, extra.clone()));
    (a, b, c, d).prop_map(|(a, b, c, d)| json!({NAMES[0]: a, NAMES[1]: b, NAMES[2]: c, NAMES[3]: d}))
}

fn project() -> impl Strategy<Value = Value> {
    let services =
        prop::collection::btree_map(select(vec!["one", "two", "Thr_ee", "f-our"]), service(), 1..4);
    let volumes = group(&json!({"driver_opts": {"type": "none", "o": "bind", "device": "/srv/dev"}}));
    let networks = group(&json!({
        "ipam": {"config": [{"subnet": "172.30.0.0/16"}]}, "driver_opts": {"com.docker.network.bridge.name": "br0"}}));
    (services, volumes, networks).prop_map(|(services, volumes, networks)| {
        json!({"name": "main", "services": services, "volumes": volumes, "networks": networks})
    })
}

/// Everything that no slot may share is declared: a part is shared, and of the rest each slot has its own.
fn declared() -> impl Strategy<Value = Declared> {
    let resources = [
        "volume:one",
        "volume:two",
        "volume:main_one",
        "volume:data-2",
        "volume:main_two",
        "volume:main_main_one",
        "volume:main_data-2",
        "network:one",
        "network:two",
        "network:main_one",
        "network:data-2",
        "network:main_two",
        "network:main_main_one",
        "network:main_data-2",
        "mount:/srv/a",
        "mount:/srv/a/b",
        "mount:/srv/c-d",
        "mount:/srv/$x",
        "mount:/data",
        "image:acme/web",
        "image:main-one",
        "image:other:1",
        "device:/srv/dev",
    ];
    let ports = subsequence(
        vec![("web", 8080, "one:80", 1), ("dns", 6000, "two:53/udp", 1), ("pool", 9000, "one:53", 3)],
        0..=3,
    );
    let workers = subsequence(vec![("one", 2), ("f_our", 3), ("gone", 1)], 0..=3);
    (subsequence(resources.to_vec(), 0..=6), ports, workers).prop_map(move |(shared, ports, workers)| {
        let rest = resources.into_iter().filter(|it| !shared.contains(it));
        let own = rest.filter_map(|it| match it.split_once(':').expect("a kind").0 {
            "volume" | "network" => Some((it, PerSlot::Own)),
            "mount" if it.contains('a') => Some((it, PerSlot::Volume)),
            "mount" => Some((it, PerSlot::Worktree("own".into()))),
            _ => None,
        });
        let per_slot = own.collect();
        Declared {
            ports,
            shared,
            per_slot,
            workers,
            environment: vec![("one", "X", "a$b"), ("gone", "Y", "")],
            ..Declared::default()
        }
    })
}

fn nothing_is_shared_but_what_is_declared(cases: u32) {
    check(cases, (project(), declared()), |(config, declared)| {
        let model = Model::parse(&config.to_string()).expect("a model");
        let mut stacks = vec![things(&config, "/main")];
        for (id, worktree) in [(1, "/wt/one"), (2, "/wt/two")] {
            let overlay = declared.overlay(&model, id, worktree.into());
            prop_assert_eq!(&overlay, &declared.overlay(&model.clone(), id, worktree.into()));
            let merged = merged(&config, &overlay.text, &format!("shop-slot-{id}"));
            prop_assert_eq!(
                &merged["services"]["one"]["networks"].is_null(),
                &config["services"]["one"].is_null()
            );
            stacks.push(things(&merged, worktree));
        }
        let shared: BTreeSet<String> = declared.shared.iter().map(|it| it.replace('$', "$$")).collect();
        for (one, other) in [(0, 1), (0, 2), (1, 2)] {
            let common = common(&stacks[one], &stacks[other]);
            let is_shared = |thing: &&String| {
                let thing = thing.strip_prefix("image:").map_or((*thing).clone(), |name| {
                    format!("image:{}", name.strip_suffix(":latest").unwrap_or(name))
                });
                // What is below a shared directory is shared.
                let is_below = |above: &String| thing.starts_with(&format!("{above}/"));
                shared.contains(&thing) || shared.iter().any(|it| it.starts_with("mount:") && is_below(it))
            };
            let silent: Vec<&String> = common.iter().filter(|thing| !is_shared(thing)).collect();
            prop_assert!(silent.is_empty(), "stacks {} and {} share {:?}", one, other, silent);
        }
        Ok(())
    });
}
