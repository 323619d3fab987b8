//! What two stacks have in common on a machine, judged from what Compose printed, without a line of kinfra's.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde_json::{Map, Value};

/// What a stack has on its machine: each thing with its kind, such as `port:8080/tcp` or `volume:shop_pg`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Things {
    /// What has one name.
    own: BTreeSet<String>,
    ports: Vec<Port>,
    subnets: Vec<(String, Subnet)>,
    built: BTreeSet<String>,
    run: BTreeSet<String>,
    paths: BTreeSet<Place>,
    /// The directory that is the stack's own.
    worktree: String,
}

/// A published port.
#[derive(Debug, Clone)]
struct Port {
    number: u16,
    protocol: String,
    /// `None`: all of the machine's.
    address: Option<IpAddr>,
}

/// A file or directory of the machine that the stack writes to: its path and its kind.
type Place = (String, &'static str);

/// The addresses of a subnet, and what it was written as.
#[derive(Debug, Clone)]
struct Subnet {
    text: String,
    is_v6: bool,
    first: u128,
    last: u128,
}

/// What two stacks have in common.
pub(crate) fn common(one: &Things, other: &Things) -> BTreeSet<String> {
    let mut common: BTreeSet<String> = one.own.intersection(&other.own).cloned().collect();
    for (one, other) in [(one, other), (other, one)] {
        let images =
            one.built.iter().filter(|image| other.built.contains(*image) || other.run.contains(*image));
        common.extend(images.map(|image| format!("image:{image}")));
        // A directory and one below it have the one below in common.
        let is_own = |place: &Place, of: &Things| is_below(&place.0, &of.worktree);
        let meet = |place: &Place, above: &Place| {
            is_below(&place.0, &above.0) && !(is_own(place, one) && is_own(above, other))
        };
        let below = one.paths.iter().filter(|place| other.paths.iter().any(|above| meet(place, above)));
        common.extend(below.map(|(path, kind)| format!("{kind}:{path}")));
        for (network, subnet) in &one.subnets {
            let overlaps =
                |it: &Subnet| it.is_v6 == subnet.is_v6 && it.first <= subnet.first && subnet.last <= it.last;
            // One network of both has one subnet. The network itself is in common.
            let found = other.subnets.iter().any(|(name, it)| name != network && overlaps(it));
            common.extend(found.then(|| format!("subnet:{}", subnet.text)));
        }
    }
    for port in &one.ports {
        let is_met = other.ports.iter().any(|it| {
            let same = it.number == port.number && it.protocol == port.protocol;
            same && (it.address.is_none() || port.address.is_none() || it.address == port.address)
        });
        common.extend(is_met.then(|| format!("port:{}/{}", port.number, port.protocol)));
    }
    common
}

/// What a stack has on its machine, from the JSON that Compose prints. Its worktree is its own.
pub(crate) fn things(config: &Value, worktree: &str) -> Things {
    let mut things = Things { worktree: worktree.to_owned(), ..Things::default() };
    let project = config["name"].as_str().expect("a name");
    things.own.insert(format!("project:{project}"));
    let services = map(&config["services"]);
    for (name, service) in &services {
        of_service(project, name, service, &mut things);
    }
    for (key, volume) in map(&config["volumes"]) {
        let writes = services.values().flat_map(|service| list(&service["volumes"])).any(|mount| {
            mount["type"] == "volume" && mount["source"] == key.as_str() && mount["read_only"] != true
        });
        of_volume(&named(project, &key, &volume), &volume, writes, &mut things);
    }
    for (key, network) in map(&config["networks"]) {
        of_network(&named(project, &key, &network), &network, &mut things);
    }
    things
}

fn named(project: &str, key: &str, value: &Value) -> String {
    value["name"].as_str().map_or(format!("{project}_{key}"), str::to_owned)
}

fn of_volume(name: &str, volume: &Value, writes: bool, things: &mut Things) {
    if volume["external"] != true || writes {
        things.own.insert(format!("volume:{name}"));
    }
    let options = map(&volume["driver_opts"]);
    let option = |name: &str| options.get(name).and_then(Value::as_str).unwrap_or_default();
    let is_local = volume["driver"].as_str().is_none_or(|driver| driver == "local");
    if !is_local && !options.is_empty() && writes {
        // What the options of a plugin mean is its own affair: the same ones lead to the same data.
        let mut options: Vec<String> = options
            .iter()
            .map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or_default()))
            .collect();
        options.sort();
        let driver = volume["driver"].as_str().unwrap_or_default();
        things.own.insert(format!("device:{driver} {}", options.join(",")));
        return;
    }
    let modes: Vec<&str> = option("o").split(',').collect();
    let device = option("device");
    if !writes || device.is_empty() || option("type") == "tmpfs" || modes.contains(&"ro") {
        return;
    }
    if modes.contains(&"bind") || modes.contains(&"rbind") {
        things.paths.insert((device.trim_end_matches('/').to_owned(), "device"));
    } else {
        things.own.insert(format!("device:{device}"));
    }
}

fn of_network(name: &str, network: &Value, things: &mut Things) {
    // These belong to the engine, and answer to no service's name.
    if network["external"] == true && ["host", "bridge", "none"].contains(&name) {
        return;
    }
    things.own.insert(format!("network:{name}"));
    let options = map(&network["driver_opts"]);
    for (key, kind) in [("com.docker.network.bridge.name", "bridge"), ("parent", "parent")] {
        let interface = options.get(key).and_then(Value::as_str);
        things.own.extend(interface.map(|interface| format!("{kind}:{interface}")));
    }
    for config in list(&network["ipam"]["config"]) {
        if let Some(text) = config["subnet"].as_str() {
            things.subnets.push((name.to_owned(), subnet(text)));
        }
    }
}

fn of_service(project: &str, name: &str, service: &Value, things: &mut Things) {
    let text = |key: &str| service[key].as_str();
    things.own.extend(text("container_name").map(|name| format!("container:{name}")));
    things.own.extend(text("mac_address").map(|address| format!("mac_address:{address}")));
    for port in list(&service["ports"]) {
        things.ports.extend(ports(&port));
    }
    for mount in list(&service["volumes"]) {
        let source = mount["source"].as_str().filter(|_| mount["type"] == "bind").unwrap_or_default();
        let kind = if of_the_machine(source) { "system" } else { "mount" };
        // What cannot write to a socket's directory can still write to the socket.
        if !source.is_empty() && (mount["read_only"] != true || is_socket(source)) {
            things.paths.insert((source.to_owned(), kind));
        }
    }
    for (_, network) in map(&service["networks"]) {
        for key in ["ipv4_address", "ipv6_address", "mac_address"] {
            things.own.extend(network[key].as_str().map(|address| format!("{key}:{address}")));
        }
    }
    let joined = ["network_mode", "pid", "ipc"].map(|key| text(key).map(str::to_owned));
    let from = list(&service["volumes_from"]);
    let from = from.iter().filter_map(Value::as_str).filter(|from| !from.ends_with(":ro"));
    let from = from.map(|from| from.trim_end_matches(":rw").to_owned());
    for mode in joined.into_iter().flatten().chain(from) {
        things.own.extend(mode.strip_prefix("container:").map(|name| format!("container:{name}")));
    }
    for link in list(&service["external_links"]) {
        let name = link.as_str().and_then(|link| link.split(':').next()).expect("a container");
        things.own.insert(format!("container:{name}"));
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

/// What is the machine's own, and no project's.
fn of_the_machine(path: &str) -> bool {
    let system = ["/etc", "/usr", "/lib", "/sys", "/proc", "/dev", "/run", "/var/run", "/tmp/.X11-unix"];
    is_socket(path) || system.iter().any(|dir| is_below(path, dir))
}

fn is_socket(path: &str) -> bool {
    path.rsplit_once('.').is_some_and(|(_, extension)| extension == "sock")
}

fn ports(port: &Value) -> Vec<Port> {
    let Some(published) = port["published"].as_str() else { return Vec::new() };
    let (first, last) = published.split_once('-').unwrap_or((published, published));
    let number = |text: &str| text.parse::<u16>().expect("a port");
    let protocol = port["protocol"].as_str().unwrap_or("tcp");
    let address: Option<IpAddr> = port["host_ip"].as_str().map(|ip| ip.parse().expect("an address"));
    let address = address.filter(|address| !address.is_unspecified());
    let port = |number| Port { number, protocol: protocol.to_owned(), address };
    (number(first)..=number(last)).map(port).collect()
}

fn subnet(text: &str) -> Subnet {
    let (address, prefix) = text.split_once('/').expect("a prefix");
    let prefix: u32 = prefix.parse().expect("a number");
    let (is_v6, number, bits) = match address.parse().expect("an address") {
        IpAddr::V4(address) => (false, u128::from(u32::from(address)), 32),
        IpAddr::V6(address) => (true, u128::from(address), 128),
    };
    let size = 1_u128.checked_shl(bits - prefix).unwrap_or(0).wrapping_sub(1);
    Subnet { text: text.to_owned(), is_v6, first: number & !size, last: number | size }
}

fn full(image: &str) -> String {
    let image = image.trim_start_matches("docker.io/").trim_start_matches("library/");
    let has_tag = image.rsplit('/').next().is_some_and(|last| last.contains([':', '@']));
    if has_tag { image.to_owned() } else { format!("{image}:latest") }
}

fn is_below(path: &str, directory: &str) -> bool {
    let directory = directory.trim_end_matches('/');
    path.strip_prefix(directory).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn list(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}

fn map(value: &Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}
