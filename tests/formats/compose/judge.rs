//! What two stacks have in common on a machine, judged from what Compose printed, without a line of kinfra's.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// What a stack has on its machine: each thing with its kind, such as `port:8080/tcp` or `volume:shop_pg`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Things {
    pub(crate) own: BTreeSet<String>,
    built: BTreeSet<String>,
    run: BTreeSet<String>,
    binds: BTreeSet<String>,
}

/// What two stacks have in common.
pub(crate) fn common(one: &Things, other: &Things) -> BTreeSet<String> {
    let mut common: BTreeSet<String> = one.own.intersection(&other.own).cloned().collect();
    for (one, other) in [(one, other), (other, one)] {
        let images =
            one.built.iter().filter(|image| other.built.contains(*image) || other.run.contains(*image));
        common.extend(images.map(|image| format!("image:{image}")));
        // A directory and one below it have the one below in common.
        let is_in = |a: &str, b: &str| a == b || a.strip_prefix(b).is_some_and(|rest| rest.starts_with('/'));
        let below = one.binds.iter().filter(|path| other.binds.iter().any(|above| is_in(path, above)));
        common.extend(below.map(|path| format!("mount:{path}")));
    }
    common
}

/// What a stack has on its machine, from the JSON that Compose prints. Its worktree is its own.
pub(crate) fn things(config: &Value, worktree: &str) -> Things {
    let mut things = Things::default();
    let project = config["name"].as_str().expect("a name");
    for (name, service) in map(&config["services"]) {
        of_service(project, &name, &service, worktree, &mut things);
    }
    for kind in ["volume", "network"] {
        for (key, value) in map(&config[format!("{kind}s")]) {
            let name = value["name"].as_str().map_or(format!("{project}_{key}"), str::to_owned);
            things.own.insert(format!("{kind}:{name}"));
            let options = map(&value["driver_opts"]);
            let device = options.get("device").and_then(Value::as_str);
            let device = device.filter(|it| *it != "tmpfs" && !is_below(it, worktree));
            things.own.extend(device.map(|device| format!("device:{device}")));
            let bridge = options.get("com.docker.network.bridge.name").and_then(Value::as_str);
            things.own.extend(bridge.map(|name| format!("bridge:{name}")));
            let subnets = list(&value["ipam"]["config"]);
            things
                .own
                .extend(subnets.iter().filter_map(|it| Some(format!("subnet:{}", it["subnet"].as_str()?))));
        }
    }
    things
}

fn of_service(project: &str, name: &str, service: &Value, worktree: &str, things: &mut Things) {
    let text = |key: &str| service[key].as_str();
    things.own.extend(text("container_name").map(|name| format!("container:{name}")));
    things.own.extend(text("mac_address").map(|address| format!("mac_address:{address}")));
    for port in list(&service["ports"]) {
        let Some(published) = port["published"].as_str() else { continue };
        let (first, last) = published.split_once('-').unwrap_or((published, published));
        let number = |text: &str| text.parse::<u16>().expect("a port");
        let protocol = port["protocol"].as_str().unwrap_or("tcp");
        things.own.extend((number(first)..=number(last)).map(|port| format!("port:{port}/{protocol}")));
    }
    for mount in list(&service["volumes"]) {
        let source =
            mount["source"].as_str().filter(|_| mount["type"] == "bind" && mount["read_only"] != true);
        let outside = source.filter(|source| !is_below(source, worktree));
        things.binds.extend(outside.map(str::to_owned));
    }
    for (_, network) in map(&service["networks"]) {
        for key in ["ipv4_address", "ipv6_address", "mac_address"] {
            things.own.extend(network[key].as_str().map(|address| format!("{key}:{address}")));
        }
    }
    for key in ["network_mode", "pid", "ipc"] {
        let container = text(key).filter(|mode| mode.starts_with("container:"));
        things.own.extend(container.map(|it| format!("namespace:{it}")));
    }
    let image = text("image").map_or(format!("{project}-{name}"), str::to_owned);
    if service["build"].is_null() {
        things.run.insert(full(&image));
        return;
    }
    let tags = list(&service["build"]["tags"]);
    things.built.extend(tags.iter().filter_map(Value::as_str).map(full));
    things.built.insert(full(&image));
}

fn full(image: &str) -> String {
    let image = image.trim_start_matches("docker.io/").trim_start_matches("library/");
    let has_tag = image.rsplit('/').next().is_some_and(|last| last.contains(':'));
    if has_tag { image.to_owned() } else { format!("{image}:latest") }
}

fn is_below(path: &str, directory: &str) -> bool {
    path.strip_prefix(directory).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn list(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}

fn map(value: &Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}
