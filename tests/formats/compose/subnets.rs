//! The subnets that overlays give to networks: as text, and as Compose reads and `validate` proves them.

use kinfra::compose::model::Model;
use kinfra::compose::overlay::Overlay;
use kinfra::compose::resource::PerSlot;
use serde_json::{Value, json};

use super::docker_config;
use super::overlay::Declared;
use crate::support::{Machine, Run, SHOP};

/// Networks of each kind.
fn project() -> Value {
    json!({"name": "main", "services": {"web": {"image": "x", "networks": {"default": null}}}, "networks": {
        "back": {"name": "main_back", "ipam": {"config": [{"subnet": "172.30.0.0/16"}]}},
        "default": {"name": "main_default", "ipam": {}},
        "lan": {"name": "lan", "external": true},
        "models": {"name": "models", "ipam": {}},
        "proxy": {"name": "proxy", "external": true}}})
}

fn model(config: &Value) -> Model {
    Model::parse(&config.to_string()).expect("a model")
}

fn with(subnet: &'static str) -> Declared {
    let per_slot = vec![("network:proxy", PerSlot::Own)];
    Declared { shared: vec!["network:models"], per_slot, subnet: Some(subnet), ..Declared::default() }
}

/// The networks of an overlay with their subnets. Those that fix none are left out.
fn subnets(overlay: &Overlay) -> Vec<String> {
    let (mut found, mut network) = (Vec::new(), "");
    let networks = overlay.text.split_once("\"networks\":\n").map_or("", |(_, rest)| rest);
    for line in networks.lines() {
        if line.starts_with("  \"") {
            network = line.trim();
        }
        found.extend(line.trim().strip_prefix("- {\"subnet\": ").map(|subnet| format!("{network} {subnet}")));
    }
    found
}

#[test]
fn each_network_that_compose_makes_has_a_part_of_the_block() {
    let overlay = with("10.213.7.0/24").overlay(&model(&project()), 1, "/wt".into());
    let expected = [
        "\"back\": \"10.213.7.0/26\"}",
        "\"default\": \"10.213.7.64/26\"}",
        "\"proxy\": \"10.213.7.128/26\"}",
    ];
    assert_eq!(subnets(&overlay), expected, "{}", overlay.text);
    assert_eq!(overlay.text.matches("!override\n      \"config\"").count(), 1, "{}", overlay.text);
    let without = Declared { subnet: None, ..with("") }.overlay(&model(&project()), 1, "/wt".into());
    assert_eq!(subnets(&without), [""; 0]);
    assert!(without.text.contains("\"ipam\": !reset null"), "{}", without.text);
}

#[test]
fn a_pool_of_templates_keeps_the_addresses_of_its_files() {
    let declared = with("10.213.7.0/24");
    let mut spec = declared.spec();
    spec.compose = None;
    let overlay = declared.overlay_by(&spec, &model(&project()), 1, "/wt".into()).expect("an overlay");
    assert_eq!(subnets(&overlay), ["\"default\": \"10.213.7.0/25\"}", "\"models\": \"10.213.7.128/25\"}"]);
}

#[test]
fn a_block_that_is_too_small_stops_with_what_would_do() {
    let declared = with("10.213.7.0/28");
    let fault =
        declared.overlay_by(&declared.spec(), &model(&project()), 1, "/wt".into()).expect_err("a fault");
    let what = "slot 1 cannot have the networks `back`, `default`, `proxy`: 10.213.7.0/28 is too small for 3 networks";
    assert_eq!(fault.what, what);
    assert_eq!(fault.advice.as_deref(), Some("give each slot at least a /27 in `subnet` of [stack]"));
}

#[test]
#[ignore = "needs Docker Compose v2"]
fn validate_proves_every_block_against_the_subnets_of_the_main_stack() {
    let machine = Machine::new();
    machine.install("docker");
    machine.repository(machine.project());
    let spec = SHOP.replace("1-2", "1-9").replace(", publish = \"web:80\"", "");
    machine.spec(&(spec + "[stack]\nsubnet = \"10.213.{{ slot.id }}.0/24\"\n"));
    let validate = |subnet: &str| {
        let compose = format!(
            "services: {{web: {{image: x, networks: [back, default]}}}}\n\
             networks: {{back: {{ipam: {{config: [{{subnet: {subnet}}}]}}}}}}\n"
        );
        machine.write("compose.yaml", compose);
        Run::of(machine.command("validate").env("DOCKER_CONFIG", docker_config()))
    };
    validate("10.214.0.0/16").exits(0).prints("isolation: slots share nothing but what is declared");
    // It has the blocks of all slots, or is in that of the seventh.
    validate("10.213.0.0/16")
        .exits(65)
        .prints("isolation: subnet 10.213.1.0/25 of network `shop-slot-1_back`");
    validate("10.213.7.64/26")
        .exits(65)
        .prints("subnet 10.213.7.64/26 of network `project_back`: the main stack (web) and slot 7 (web) both use it")
        .prints("give the slots other addresses by `subnet` in [stack], or remove `subnet: 10.213.7.64/26`");
}
