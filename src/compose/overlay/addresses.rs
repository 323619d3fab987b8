//! Fixed addresses: a slot's containers get free ones, so what names an address finds nothing there.

use std::net::IpAddr;

use serde_json::Value;

use crate::compose::model::{Model, Service};

/// The services that name the fixed address of a container, each with the place.
pub(super) fn notes(model: &Model) -> Vec<String> {
    let fixed = model.services.iter().flat_map(|(owner, service)| {
        let attachments = service.networks.values();
        let addresses = attachments.flat_map(|it| [&it.ipv4_address, &it.ipv6_address]).flatten();
        addresses.map(move |address| (owner, address))
    });
    let mut notes = Vec::new();
    for (owner, address) in fixed {
        for (name, service) in &model.services {
            for place in places(service).into_iter().filter(|(_, value)| names(value, address)) {
                notes.push(format!(
                    "`{name}` names {address} ({}): in a slot that is not the address of `{owner}`",
                    place.0
                ));
            }
        }
    }
    notes
}

/// Where a service can name an address, with the key.
fn places(service: &Service) -> Vec<(&str, Value)> {
    let Service { command, entrypoint, dns, extra_hosts, environment, .. } = service;
    let keys = [("command", command), ("entrypoint", entrypoint), ("dns", dns), ("extra_hosts", extra_hosts)];
    let keys = keys.into_iter().map(|(key, value)| (key, value.clone()));
    let variables = environment
        .iter()
        .filter_map(|(name, value)| Some((name.as_str(), Value::from(value.as_ref()?.as_str()))));
    keys.chain(variables).collect()
}

/// Whether a text in a value names an address, not only one that starts the same.
fn names(value: &Value, address: &str) -> bool {
    match value {
        Value::String(text) => {
            let is_v6 = address.parse().is_ok_and(|address: IpAddr| address.is_ipv6());
            let is_part = |c: char| c.is_ascii_hexdigit() || c == '.' || (is_v6 && c == ':');
            text.split(|c| !is_part(c)).any(|word| word.trim_end_matches('.') == address)
        }
        Value::Array(items) => items.iter().any(|item| names(item, address)),
        Value::Object(entries) => entries
            .iter()
            .any(|(key, value)| names(&Value::from(key.as_str()), address) || names(value, address)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_names_a_fixed_address_is_noted() {
        let model = Model::parse(
            r#"{"name": "x", "services": {
            "a": {"networks": {"n": {"ipv4_address": "10.0.0.2", "ipv6_address": "fd00::2"}}},
            "b": {"command": ["redis", "--replicaof", "10.0.0.2", "6379"], "dns": ["10.0.0.2"],
                "environment": {"URL": "http://10.0.0.2:80/", "OTHER": "10.0.0.20 110.0.0.2", "SIX": "[fd00::2]:80"}},
            "c": {"command": null, "extra_hosts": ["a=10.0.0.2"], "environment": {"NONE": null}}}}"#,
        );
        let notes = notes(&model.unwrap());
        let places: Vec<&str> = notes.iter().filter_map(|note| note.split(['(', ')']).nth(1)).collect();
        assert_eq!(places, ["command", "dns", "URL", "extra_hosts", "SIX"]);
        assert_eq!(notes[0], "`b` names 10.0.0.2 (command): in a slot that is not the address of `a`");
    }

    #[test]
    fn a_longer_word_is_another_address() {
        let of = |text: &str, address: &str| names(&Value::from(text), address);
        for (text, address, is_named) in [
            ("10.0.0.2", "10.0.0.2", true),
            ("at 10.0.0.2.", "10.0.0.2", true),
            ("10.0.0.2:80", "10.0.0.2", true),
            ("a10.0.0.2", "10.0.0.2", false),
            ("10.0.0.2.5", "10.0.0.2", false),
            ("x10.0.0.2", "10.0.0.2", true),
            ("[fd00::2]", "fd00::2", true),
            ("fd00::2:1", "fd00::2", false),
            ("fd00::2/64", "fd00::2", true),
        ] {
            assert_eq!(of(text, address), is_named, "{text}");
        }
        let nested = serde_json::json!({ "a": [{ "10.0.0.2": 1 }], "b": null, "c": 10 });
        assert!(names(&nested, "10.0.0.2") && !names(&nested, "10.0.0.3"));
    }
}
