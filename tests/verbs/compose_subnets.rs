//! A start whose networks have the slot's own addresses is proven against every other subnet. Docker is a stand-in
//! here.

use serde_json::{Value, json};

use super::compose::{Shop, model};
use super::doctor::fake_docker;
use crate::support::{Machine, Run, SMALL};

const BLOCKS: &str = "[stack]\nsubnet = \"10.213.{{ slot.id }}.0/24\"\n";

/// The model of a stack whose network has a subnet.
fn on(name: &str, port: u16, subnet: &str) -> String {
    let mut model: Value = serde_json::from_str(&model(name, port, &json!([]))).expect("JSON");
    model["networks"]["default"]["ipam"] = json!({"config": [{"subnet": subnet}]});
    model.to_string()
}

#[test]
fn a_start_is_proven_against_the_subnets_of_the_main_stack() {
    let shop = Shop::new();
    shop.machine.edit_spec("[compose]\n", &format!("{BLOCKS}[compose]\n"));
    let up = |main: &str| {
        let mut up = shop.command("compose up");
        up.env("MODEL", on("project", 8000, main)).env("MAIN_MODEL", on("project", 8000, main));
        Run::of(up.env("SLOT_MODEL", on("shop-slot-1", 8001, "10.213.1.0/24")))
    };
    up("10.213.0.0/16")
        .exits(4)
        .prints_exactly("")
        .says("subnet 10.213.1.0/24 of network `shop-slot-1_default`: slot 1 (web) and the main stack (web) both use it")
        .says("give the slots other addresses by `subnet` in [stack], or remove `subnet: 10.213.0.0/16`");
    up("10.213.2.0/24").exits(0).prints("ran docker compose");
    let overlay = shop.machine.read("~/pool/slot-1/kinfra-overlay.yaml");
    assert!(overlay.contains("- {\"subnet\": \"10.213.1.0/24\"}"), "{overlay}");
}

#[test]
fn slots_of_templates_are_proven_as_far_as_kinfra_gives_addresses() {
    for (stack, code) in [(BLOCKS, 4), ("", 0)] {
        let machine = Machine::new();
        machine.spec(&(SMALL.replace("conf.txt", "compose.yaml") + stack));
        machine.template("compose.yaml", "services: {web: {image: x}}\n");
        machine.kinfra("apply").exits(0);
        machine.repository(machine.project());
        let up = |worktree: &str, slot: u16, subnet: &str| {
            let mut up = machine.command("compose up");
            up.current_dir(machine.path(&format!("~/{worktree}"))).env("PATH", fake_docker());
            up.env("MODEL", model("x", 8000, &json!([])));
            Run::of(up.env("SLOT_MODEL", on(&format!("small-slot-{slot}"), 8000 + slot, subnet)))
        };
        for worktree in ["one", "two"] {
            let worktree = machine.worktree(worktree);
            Run::of(machine.command("claim").current_dir(worktree)).exits(0);
        }
        up("one", 1, "10.213.1.0/24").exits(0).prints("ran docker compose");
        let second = up("two", 2, "10.213.1.128/25").exits(code);
        if code == 4 {
            second.says(
                "subnet 10.213.1.128/25 of network `small-slot-2_default`: slot 2 (web) and slot 1 (web)",
            );
        }
    }
}
