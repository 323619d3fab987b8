//! `kinfra ports`: all ports of the pool, before anything exists.

use serde_json::{Value, json};

use crate::rig::terminal::Terminal;
use crate::support::Machine;

/// Two slots far apart and three ports, one of them with a stride.
fn strided() -> Machine {
    let machine = Machine::small();
    machine.edit_spec("web = 8000", "web = 8000\notlp_grpc = { base = 4317, stride = 10 }\ndb = 5432");
    machine.edit_spec("ids = \"1-2\"", "ids = \"10,2\"");
    machine
}

#[test]
fn the_map_has_a_row_for_the_main_stack_and_for_every_slot() {
    let machine = strided();
    machine.kinfra("ports").exits(0).prints_exactly(
        " Slot  Profile  WEB   OTLP_GRPC  DB
    0  (main)   8000       4317  5432
    2  only     8002       4337  5434
   10  only     8010       4417  5442
",
    );
    assert!(machine.tree().is_empty());
}

#[test]
fn a_terminal_with_room_shows_addresses() {
    let machine = strided();
    let shown = |columns| {
        let (code, printed, _) = Terminal::run(&machine, &machine.command("ports"), 40, columns).ends();
        assert_eq!(code, Some(0), "{printed}");
        printed.replace('\r', "")
    };
    let roomy = shown(120);
    for address in [
        "http://localhost:8000",
        "http://web.slot-2.localhost:8002",
        "localhost:4417",
        "postgres://localhost:5442",
    ] {
        assert!(roomy.contains(&format!(" {address}")), "no {address} in {roomy}");
    }
    let narrow = shown(60);
    assert!(narrow.contains(" 8002 ") && !narrow.contains("localhost"), "{narrow}");
    // Ports that do not fit are in a table of their own.
    let narrower = shown(36);
    assert!(narrower.lines().all(|line| line.len() <= 36), "{narrower}");
    let heads: Vec<&str> = narrower.lines().filter(|line| line.contains("Slot")).collect();
    assert_eq!(heads, [" Slot  Profile  WEB   OTLP_GRPC", " Slot  Profile  DB"], "{narrower}");
}

#[test]
fn the_map_as_json_has_the_formulas_too() {
    let machine = strided();
    let run = machine.kinfra("ports --json").exits(0);
    let map: Value = serde_json::from_str(&run.stdout).expect("JSON");
    let expected = json!({
        "format_version": "1.0",
        "formulas": {
            "web": { "base": 8000, "stride": 1 },
            "otlp_grpc": { "base": 4317, "stride": 10 },
            "db": { "base": 5432, "stride": 1 },
        },
        "main": { "web": 8000, "otlp_grpc": 4317, "db": 5432 },
        "slots": [
            { "slot_id": 2, "profile": "only", "ports": { "web": 8002, "otlp_grpc": 4337, "db": 5434 } },
            { "slot_id": 10, "profile": "only", "ports": { "web": 8010, "otlp_grpc": 4417, "db": 5442 } },
        ],
    });
    assert_eq!(map, expected);
    // Programs see the ports in the order of the spec, the primary port first.
    let names = map["main"].as_object().expect("an object").keys();
    assert_eq!(names.collect::<Vec<_>>(), ["web", "otlp_grpc", "db"]);
    assert!(run.stdout.ends_with("}\n"));
    assert!(machine.tree().is_empty());
}

#[test]
fn the_map_follows_the_spec_and_not_the_registry() {
    let machine = Machine::small();
    machine.kinfra("apply").exits(0);
    let before = machine.tree();
    machine.edit_spec("web = 8000", "web = 9000");
    machine.kinfra("ports").exits(0).prints_exactly(
        " Slot  Profile  WEB
    0  (main)   9000
    1  only     9001
    2  only     9002
",
    );
    assert_eq!(machine.tree(), before);
}

#[test]
fn the_map_of_the_largest_pool_is_complete() {
    let machine = Machine::small();
    machine.edit_spec("ids = \"1-2\"", "ids = \"1-57535\"");
    let run = machine.kinfra("ports").exits(0).prints("57535  only     65535\n");
    assert_eq!(run.stdout.lines().count(), 1 + 1 + 57535);
}

#[test]
fn all_addresses_that_a_browser_opens_can_be_listed_with_a_path() {
    let machine = strided();
    machine.kinfra("ports --urls /auth/callback?x=1").exits(0).prints_exactly(
        "http://web.slot-2.localhost:8002/auth/callback?x=1
http://localhost:8002/auth/callback?x=1
http://web.slot-10.localhost:8010/auth/callback?x=1
http://localhost:8010/auth/callback?x=1
",
    );
    let ran = machine
        .kinfra("ports --urls")
        .exits(0)
        .prints("http://web.slot-2.localhost:8002\nhttp://localhost:8002\n");
    ran.never_says("No port here");
    machine.kinfra("ports --urls callback").exits(64).says("write a path from `/` on");
    machine.kinfra("ports --urls / --json").exits(64);
    for path in ["//host", "/a#b"] {
        machine.kinfra(&format!("ports --urls {path}")).exits(64);
    }
    let machine = Machine::small();
    machine.edit_spec("web = 8000", "db = 5432");
    machine
        .kinfra("ports --urls")
        .exits(0)
        .prints_exactly("")
        .says("No port here is known to be one that a browser opens");
}
