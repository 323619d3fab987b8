//! Whether a slot still is the project: what no machine has only one of stays as it is.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::trial::Resolved;

/// Where a slot's stack is unlike the main stack, though nothing there has to differ.
pub(super) fn unlike(main: &Resolved, slot: &Resolved, may_differ: &BTreeSet<String>) -> Vec<String> {
    let built = built(&main.json);
    let slots_networks = slot.json["networks"].clone();
    let is_main = |stack: &Resolved| stack.worktree == main.worktree;
    let main_name = main.json["name"].as_str().expect("a name");
    let [main, slot] = [main, slot].map(|stack| {
        let name = stack.json["name"].as_str().expect("a name");
        // The name and the worktree are in paths and values wherever the project uses them.
        let text = stack.text.replace(stack.worktree.as_str(), "/worktree");
        let mut json: Value = serde_json::from_str(&text).expect("JSON");
        json["name"].take();
        if is_main(stack) {
            as_in_a_slot(&mut json, &slots_networks);
        }
        for (key, service) in entries(&mut json["services"]) {
            of_service(service, &built);
            for (variable, value) in entries(&mut service["environment"]) {
                if may_differ.contains(&format!("{key}.{variable}")) {
                    value.take();
                } else if let Some(text) = value.as_str() {
                    *value = Value::from(text.replace(name, main_name));
                }
            }
        }
        for group in ["networks", "volumes", "configs", "secrets"] {
            json[group] = of_group(json[group].take());
        }
        json
    });
    let mut found = Vec::new();
    differences("", &main, &slot, &mut found);
    found
}

/// The images that services build.
fn built(json: &Value) -> BTreeSet<String> {
    let services = json["services"].as_object().into_iter().flatten().map(|(_, service)| service);
    let built = services.filter(|service| !service["build"].is_null());
    let name = json["name"].as_str().expect("a name");
    let unnamed = json["services"].as_object().into_iter().flatten().map(|(key, _)| format!("{name}-{key}"));
    let names = built.flat_map(|service| {
        let tags = service["build"]["tags"].as_array().into_iter().flatten();
        tags.chain([&service["image"]]).filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>()
    });
    let names: Vec<String> = names.chain(unnamed).collect();
    names.iter().map(|name| name.trim_end_matches(":latest").to_owned()).collect()
}

/// What is otherwise in a slot, though nothing is lost: the name of a container is a host name in the slot's own
/// networks, and a network without its fixed IPv6 subnet has IPv4 only.
fn as_in_a_slot(main: &mut Value, slots_networks: &Value) {
    for (key, service) in entries(&mut main["services"]) {
        let name = service["container_name"].clone();
        let networks = entries(&mut service["networks"]).into_iter();
        for (network, attachment) in networks.filter(|_| !name.is_null() && name != key) {
            if slots_networks[&network]["external"] != true {
                let aliases = attachment["aliases"].as_array().cloned().unwrap_or_default();
                let others = aliases.into_iter().filter(|alias| *alias != name);
                attachment["aliases"] = others.chain([name.clone()]).collect();
            }
        }
    }
    for (_, network) in entries(&mut main["networks"]) {
        let subnets = network["ipam"]["config"].as_array().into_iter().flatten();
        let mut subnets = subnets.filter_map(|subnet| subnet["subnet"].as_str());
        if subnets.any(|subnet| subnet.contains(':')) {
            network["enable_ipv6"].take();
        }
    }
}

/// Takes away what has to differ.
fn of_service(service: &mut Value, built: &BTreeSet<String>) {
    let image = service["image"].as_str().unwrap_or_default().trim_end_matches(":latest");
    if !service["build"].is_null() || built.contains(image) || image.ends_with(":slot") {
        service["image"].take();
        service["pull_policy"].take();
    }
    for key in ["container_name", "mac_address", "labels", "scale"] {
        service[key].take();
    }
    for key in ["tags", "labels"] {
        if service["build"].is_object() {
            service["build"][key].take();
        }
    }
    if service["deploy"].is_object() {
        service["deploy"]["replicas"].take();
    }
    for (_, network) in entries(&mut service["networks"]) {
        for key in ["ipv4_address", "ipv6_address", "mac_address"] {
            network.as_object_mut().map(|network| network.remove(key));
        }
        if network.as_object().is_some_and(Map::is_empty) {
            network.take();
        }
    }
    let ports: BTreeSet<String> = list(&service["ports"], &["target", "protocol"]);
    service["ports"] = Value::from(ports.into_iter().collect::<Vec<_>>());
    let mounts: BTreeSet<String> = list(&service["volumes"], &["target", "read_only"]);
    service["volumes"] = Value::from(mounts.into_iter().collect::<Vec<_>>());
}

/// Some keys of each entry, as text.
fn list(value: &Value, keys: &[&str]) -> BTreeSet<String> {
    let texts = value.as_array().into_iter().flatten().map(|entry| {
        let parts = keys.iter().map(|key| entry[key].to_string());
        parts.map(|part| part.replace("/\"", "\"")).collect::<Vec<_>>().join(" ")
    });
    texts.collect()
}

/// Volumes, networks and more, without names and without what only slots have.
fn of_group(mut group: Value) -> Value {
    for (_, value) in entries(&mut group) {
        let is_inside = value["driver_opts"]["device"].as_str().is_some_and(|it| it.starts_with("/worktree"));
        let options: &[&str] = if is_inside { &[] } else { &["driver", "driver_opts"] };
        for key in ["name", "external", "ipam", "labels"].iter().chain(options) {
            value.as_object_mut().map(|value| value.remove(*key));
        }
    }
    if let Some(group) = group.as_object_mut() {
        group.retain(|key, _| !key.starts_with("kinfra_"));
    }
    if group.as_object().is_some_and(Map::is_empty) { Value::Null } else { group }
}

fn entries(value: &mut Value) -> Vec<(String, &mut Value)> {
    let entries = value.as_object_mut().into_iter().flatten();
    entries.map(|(key, value)| (key.clone(), value)).collect()
}

/// Where two values differ. What is missing is as good as null.
fn differences(place: &str, one: &Value, other: &Value, found: &mut Vec<String>) {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            let keys: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
            for key in keys {
                let value = |map: &Map<String, Value>| map.get(key).cloned().unwrap_or_default();
                differences(&format!("{place}/{key}"), &value(one), &value(other), found);
            }
        }
        _ if one == other => {}
        _ => found.push(format!("{place} is {other} in a slot, and {one} in the main stack")),
    }
}
