//! Ports of free slots that a stack or a container has: who it is, and the command that ends it.

use serde_json::Value;

use crate::rig::fleet::Fleet;
use crate::support::Run;

const REGISTRY: &str = "~/pool/registry.json";

/// kinfra in a worktree, while slot 1's port is in use.
fn busy(fleet: &Fleet, worktree: &str, arguments: &str) -> Run {
    let mut command = fleet.command(worktree, arguments);
    Run::of(command.env("KINFRA_TEST_PORTS", "28901"))
}

#[test]
fn a_stack_that_still_runs_in_a_free_slot_is_named_with_the_command_that_stops_it() {
    let fleet = Fleet::new(&["search", "login"]);
    fleet.kinfra("search", "up").exits(0).says("Claimed slot 1");
    // The registry is an older one: it knows neither the claim nor the start.
    let mut registry: Value = serde_json::from_str(&fleet.machine.read(REGISTRY)).expect("JSON");
    let entry = registry["slots"]["1"].as_object_mut().expect("a slot");
    entry.insert("claimed_by".to_owned(), Value::Null);
    entry.insert("claimed_at".to_owned(), Value::Null);
    entry.retain(|key, _| !key.starts_with("started") && !key.starts_with("claim_"));
    fleet.machine.write(REGISTRY, format!("{registry:#}\n"));

    let still = "the stack of search still runs there (2 containers)";
    let stop = "stop it with `docker compose --project-name kinfra-fleet-slot-1 down`";
    busy(&fleet, "login", "claim --slot 1")
        .exits(4)
        .says(&format!("slot 1 cannot be claimed: {still}\n"))
        .says(&format!("help: {stop}\n"));
    busy(&fleet, "login", "claim").exits(0).says(&format!("Passed over slot 1: {still}\n"));
    busy(&fleet, "login", "doctor")
        .prints(&format!("! ports: no worktree holds slot 1, but {still}\n      {stop}\n"))
        .never_says("docker-proxy");
}

#[test]
fn another_project_and_the_stack_of_another_slot_are_named() {
    let fleet = Fleet::new(&["search", "login"]);
    fleet.kinfra("search", "up").exits(0);
    fleet.kinfra("login", "claim").exits(0).prints("Claimed slot 2");
    // A holder's own slot may have any port that the holder publishes by hand: slot 2's is slot 1's here.
    let mut up = fleet.command("login", "up");
    Run::of(up.env("KINFRA_TEST_PORTS", "28902"))
        .exits(4)
        .says("port 28902 (web) is used by another program")
        .says("help: stop that program, or move the base of `web` in slots.toml; or release the slot");
    fleet.engine.set(
        "containers",
        "kinfra-fleet-slot-1-web-1",
        "ports",
        &serde_json::json!({"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "28902"}]}),
    );
    let mut up = fleet.command("login", "up");
    Run::of(up.env("KINFRA_TEST_PORTS", "28902"))
        .exits(4)
        .says("port 28902 (web) is used by the stack of slot 1 (2 containers)")
        .says("help: stop it with `kinfra down --slot 1`; or release the slot and claim another");
}

#[test]
fn status_names_the_stack_or_the_container_that_has_a_port_of_the_slot() {
    let fleet = Fleet::new(&["search", "login"]);
    fleet.kinfra("search", "up").exits(0);
    fleet.kinfra("login", "up").exits(0);
    let publishes = |slot: u16, port: &str| {
        let container = format!("kinfra-fleet-slot-{slot}-web-1");
        let ports = serde_json::json!({"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": port}]});
        fleet.engine.set("containers", &container, "ports", &ports);
    };
    publishes(2, "28999");
    let status = |arguments: &str| {
        let mut command = fleet.command("login", arguments);
        Run::of(command.env("KINFRA_TEST_PORTS", "28902")).exits(0)
    };
    status("status").prints("port 28902 (web) is used by another program, and not by the slot's stack");
    publishes(1, "28902");
    status("status").prints(
        "port 28902 (web) is used by the stack of slot 1 (2 containers), and not by the slot's stack",
    );
    let json: Value = serde_json::from_str(&status("status --json").stdout).expect("JSON");
    let taken = &json["taken_ports"][0];
    assert_eq!(
        (&taken["used_by"], &taken["program"]),
        (&"the stack of slot 1 (2 containers)".into(), &Value::Null)
    );
}
