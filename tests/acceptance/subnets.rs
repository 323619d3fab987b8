//! Slots with a block of addresses each, on an engine whose own address pools are used up.

use std::process::Command;

use serde_json::Value;

use crate::rig::daemon::Daemon;
use crate::rig::engine::Engine;
use crate::support::{Machine, Run, shop};

const COMPOSE: &str = "services:
  db:
    image: busybox:kinfra
    command: [sleep, '1000']
    init: true
    networks: [back]
  web:
    image: busybox:kinfra
    command: [sh, -c, 'ping -c 1 -w 10 db && sleep 1000']
    init: true
    networks: [back, default]
networks:
  back: {}
";

/// More networks than the engine has addresses for.
const NETWORKS: u16 = 40;

#[test]
#[ignore = "needs docker"]
fn stacks_with_subnets_run_side_by_side_where_docker_has_no_addresses_left() {
    let daemon = Daemon::start();
    let engine = daemon.engine(&["kinfra-subnets-slot-1", "kinfra-subnets-slot-2"]);
    let machine = Machine::new().with_real_ports();
    machine.install("docker");
    machine.write("compose.yaml", COMPOSE);
    // The engine is in a network of its own, where nothing can be published.
    machine.spec(&shop("kinfra-subnets", 27_300).replace(", publish = \"web:80\"", ""));
    machine.repository(machine.project());
    let kinfra = |words: &[&str], worktree: &str| {
        let mut command: Command = machine.command("");
        command.args(words).current_dir(machine.path(&format!("~/{worktree}")));
        Run::of(engine.reach(&mut command))
    };
    kinfra(&["apply"], "../project").exits(0);
    machine.worktree("one");
    machine.worktree("two");
    let made = (1..=NETWORKS).map(|number| {
        let network = format!("kinfra-filler-{number}");
        engine.docker(&["network", "create", &network]).code == Some(0)
    });
    assert!(made.filter(|made| *made).count() < NETWORKS.into(), "the address pools are not used up");
    let without = kinfra(&["up", "--settle", "1s"], "one");
    assert_ne!(without.code, Some(0), "{without:?}");

    machine.edit_spec("[compose]\n", "[stack]\nsubnet = \"10.213.{{ slot.id }}.0/24\"\n[compose]\n");
    for worktree in ["one", "two"] {
        kinfra(&["up", "--settle", "1s"], worktree).exits(0);
    }
    for (slot, network, subnet) in [
        (1, "back", "10.213.1.0/25"),
        (1, "default", "10.213.1.128/25"),
        (2, "back", "10.213.2.0/25"),
        (2, "default", "10.213.2.128/25"),
    ] {
        assert_eq!(subnet_of(&engine, &format!("kinfra-subnets-slot-{slot}_{network}")), [subnet]);
    }

    // Compose leaves the addresses of networks that are there.
    machine.edit_spec("10.213.", "10.214.");
    let refused = kinfra(&["up", "--settle", "1s"], "one").exits(4);
    refused.says("`kinfra-subnets-slot-1_back` has 10.213.1.0/25").says("is to have 10.214.1.0/25");
    for worktree in ["one", "two"] {
        kinfra(&["down"], worktree).exits(0);
    }
    kinfra(&["up", "--settle", "1s"], "one").exits(0);
    assert_eq!(subnet_of(&engine, "kinfra-subnets-slot-1_back"), ["10.214.1.0/25"]);
    kinfra(&["down"], "one").exits(0);
}

fn subnet_of(engine: &Engine, network: &str) -> Vec<String> {
    let found = engine.docker(&["network", "inspect", network]).exits(0).stdout;
    let found: Value = serde_json::from_str(&found).expect("JSON");
    let config = found[0]["IPAM"]["Config"].as_array().expect("its addresses");
    config.iter().map(|config| config["Subnet"].as_str().expect("a subnet").to_owned()).collect()
}
