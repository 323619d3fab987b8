//! `kinfra slots`: what the registry holds. It reads, and nothing else.

use serde_json::{Value, json};

use crate::support::Machine;

const REGISTRY: &str = "~/pool/registry.json";

/// An applied pool of slots 2 and 10.
fn applied() -> Machine {
    let machine = Machine::small();
    machine.edit_spec("ids = \"1-2\"", "ids = \"10,2\"");
    machine.kinfra("apply").exits(0);
    machine
}

/// Writes fields of a slot into the registry, as a claim will.
fn change_entry(machine: &Machine, slot: &str, fields: &[(&str, &str)]) {
    let mut registry: Value = serde_json::from_str(&machine.read(REGISTRY)).expect("JSON");
    for (field, value) in fields {
        registry["slots"][slot][field] = json!(value);
    }
    machine.write(REGISTRY, format!("{registry:#}\n"));
}

#[test]
fn slots_are_listed_in_numeric_order() {
    let machine = applied();
    let before = machine.tree();
    machine.kinfra("slots").exits(0).prints_exactly(
        " Slot  Profile  WEB Port  Claimed By  Status
    2  only         8002  -           stopped
   10  only         8010  -           stopped
",
    );
    assert_eq!(machine.tree(), before);
}

#[test]
fn the_port_that_is_listed_is_the_first_of_the_spec() {
    let machine = Machine::small();
    machine.edit_spec("web = 8000", "otlp_grpc = 4317\nweb = 8000");
    machine.kinfra("apply").exits(0);
    machine.kinfra("sandbox slots").exits(0).prints("OTLP_GRPC Port").prints("4318").never_says("8001");
    // One that the slots do not have yet is not made up.
    machine.edit_spec("otlp_grpc", "api");
    machine.kinfra("slots").exits(0).prints_exactly(
        " Slot  Profile  API Port  Claimed By  Status
    1  only            -  -           stopped
    2  only            -  -           stopped
",
    );
}

#[test]
fn a_claimed_slot_says_who_holds_it_and_whether_it_runs() {
    let machine = applied();
    let worktree = machine.path("~/tree/feature").display().to_string();
    change_entry(&machine, "10", &[("claimed_by", &worktree), ("status", "running")]);
    let before = machine.tree();
    machine.kinfra("slots").exits(0).prints_exactly(
        " Slot  Profile  WEB Port  Claimed By      Status
    2  only         8002  -               stopped
   10  only         8010  ~/tree/feature  running
",
    );
    assert_eq!(machine.tree(), before);
}

#[test]
fn what_others_wrote_cannot_steer_the_terminal() {
    let machine = applied();
    change_entry(&machine, "2", &[("claimed_by", "/a\u{1b}[31m\nb"), ("status", "\u{7}")]);
    machine.kinfra("slots").exits(0).prints("/a\\u{1b}[31m\\u{a}b").prints("\\u{7}").never_says("\u{1b}");
}

#[test]
fn slots_as_json_have_the_registry_s_own_fields() {
    let machine = applied();
    let claim =
        [("claimed_by", "/tree/feature"), ("claimed_at", "2026-01-01T00:00:00+00:00"), ("x_note", "kept")];
    change_entry(&machine, "2", &claim);
    let before = machine.tree();
    let run = machine.kinfra("slots --json").exits(0);
    let document: Value = serde_json::from_str(&run.stdout).expect("JSON");
    let registry: Value = serde_json::from_str(&machine.read(REGISTRY)).expect("JSON");
    let entries = &registry["slots"];
    assert_eq!(document, json!({ "format_version": "1.0", "slots": [entries["2"], entries["10"]] }));
    assert_eq!(document["slots"][0]["claimed_by"], "/tree/feature");
    assert_eq!(document["slots"][0]["ports"], json!({ "web": 8002 }));
    assert_eq!(document["slots"][1]["claimed_by"], Value::Null);
    assert_eq!(machine.tree(), before);
}

#[test]
fn without_a_registry_it_says_how_to_make_one_and_makes_nothing() {
    let machine = Machine::small();
    let how = "No slots in ~/pool yet: `kinfra apply` creates those of ";
    machine.kinfra("slots").exits(0).prints_exactly("").says(how);
    let run = machine.kinfra("slots --json").exits(0);
    let document: Value = serde_json::from_str(&run.stdout).expect("JSON");
    assert_eq!(document, json!({ "format_version": "1.0", "slots": [] }));
    assert!(machine.tree().is_empty());
    // A root without a registry is no different, and stays empty.
    machine.write("~/pool/notes.txt", "mine");
    let before = machine.tree();
    machine.kinfra("slots").exits(0).prints_exactly("").says(how);
    assert_eq!(machine.tree(), before);
    Machine::new().kinfra("slots").says("creates those of the embedded slots.toml");
}

#[test]
fn a_registry_that_cannot_be_trusted_is_refused_and_stays_as_it_is() {
    let whole = applied().read(REGISTRY);
    for (text, words) in [
        (String::new(), "is corrupt: line 1: the file is empty"),
        (whole[..whole.len() / 2].to_owned(), "is corrupt: line "),
        (
            whole.replace("\"version\": 2", "\"version\": 3"),
            "cannot be read: version: 3 is newer than this kinfra",
        ),
        (whole.replace("\"slot_id\": 10", "\"slot_id\": 2"), "is corrupt: slots.10: has slot_id 2"),
        (whole.replace("\"10\": {", "\"2\": {"), "is corrupt: line "),
        (whole.replace("8010", "8002"), "is corrupt: slots.10.ports.web: 8002 is also `web` of slot 2"),
        (whole.replace("8010", "80"), "is corrupt: slots.10.ports"),
        (whole.replace("\"stopped\"", "7"), "is corrupt: slots.2.status"),
        ("[]".to_owned(), "is corrupt: "),
    ] {
        let machine = applied();
        machine.write(REGISTRY, &text);
        let before = machine.tree();
        for verb in ["slots", "slots --json", "plan", "apply"] {
            machine
                .kinfra(verb)
                .exits(5)
                .prints_exactly("")
                .says("pool/registry.json` ")
                .says(words)
                .says("nothing was changed");
        }
        assert_eq!(machine.tree(), before);
    }
}
