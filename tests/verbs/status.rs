//! `kinfra status`: the slot of this worktree.

use serde_json::{Value, json};

use super::compose::Shop;
use crate::support::Machine;

#[test]
fn the_slot_is_shown_with_every_port_as_a_url() {
    let machine = Machine::small();
    machine.edit_spec("web = 8000", "web = 8000\npostgres = 5432");
    machine.write(".git/HEAD", "ref: refs/heads/fix-login\n");
    machine.kinfra("apply").exits(0);
    machine.kinfra("claim").exits(0);
    let before = machine.tree();
    let run = machine.kinfra("status -v").exits(0);
    let id = run
        .stdout
        .lines()
        .find_map(|line| line.trim().strip_prefix("claim id"))
        .expect("an id")
        .trim()
        .to_owned();
    let since = run.stdout.lines().find(|line| line.contains("  since  ")).expect("since when").to_owned();
    assert!(since.ends_with(" UTC, just now"), "{since}");
    run.prints_exactly(&format!(
        "Slot 1 (only) is yours
      files     ~/pool/slot-1
      branch    fix-login
{since}
      claim id  {id}
      stack     never started
      POSTGRES  postgres://localhost:5433
      WEB       http://web.slot-1.localhost:8001
"
    ));
    let run = machine.kinfra("status --json").exits(0);
    let document: Value = serde_json::from_str(&run.stdout).expect("JSON");
    assert_eq!(
        document["urls"],
        json!({ "postgres": "postgres://localhost:5433", "web": "http://localhost:8001" })
    );
    assert_eq!(document["host_urls"], json!({ "web": "http://web.slot-1.localhost:8001" }));
    assert_eq!(document["claim_id"], json!(id));
    assert_eq!(document["branch"], "fix-login");
    assert_eq!(machine.tree(), before);
}

#[test]
fn a_port_has_the_scheme_that_slots_toml_gives_it() {
    let shop = Shop::new();
    shop.kinfra("status").exits(0).prints("      WEB     http://web.slot-1.localhost:8001\n");
    shop.machine.edit_spec("publish = \"web:80\"", "publish = \"web:80\", scheme = \"ws\"");
    shop.kinfra("status").exits(0).prints("      WEB     ws://web.slot-1.localhost:8001\n");
    // What is published decides, and else the port of the main stack.
    shop.machine.edit_spec("publish = \"web:80\", scheme = \"ws\"", "publish = \"web:443\"");
    shop.kinfra("status").exits(0).prints("      WEB     https://web.slot-1.localhost:8001\n");
}

#[test]
fn a_lease_and_a_note_are_shown() {
    let machine = Machine::small();
    machine.kinfra("apply").exits(0);
    machine.kinfra("claim").exits(0);
    let mut registry: Value = serde_json::from_str(&machine.read("~/pool/registry.json")).expect("JSON");
    let entry = &mut registry["slots"]["1"];
    entry["note"] = json!("agent 7\u{1b}[31m");
    entry["lease"] = json!("8h");
    entry["lease_until"] = json!("9999-01-01T00:00:00.000000+00:00");
    machine.write("~/pool/registry.json", format!("{registry:#}\n"));
    let run = machine.kinfra("status").exits(0);
    run.prints("      lease  8h, ").prints("h left\n").prints("      note   agent 7\\u{1b}[31m\n");
    registry["slots"]["1"]["lease_until"] = json!("2026-01-01T00:00:00.000000+00:00");
    machine.write("~/pool/registry.json", format!("{registry:#}\n"));
    let run = machine.kinfra("status").exits(0);
    run.prints("      lease  8h, ran out ")
        .prints("d ago: `kinfra renew`\n")
        .prints("      stack  expired\n");
}

#[test]
fn a_worktree_without_a_slot_is_no_failure() {
    let machine = Machine::small();
    let none = "PROJECT holds no slot: `kinfra claim` takes one\n";
    for applied in [false, true] {
        if applied {
            machine.kinfra("apply").exits(0);
        }
        let before = machine.tree();
        let none = none.replace(
            "PROJECT",
            machine.project().canonicalize().expect("a directory").to_str().expect("UTF-8"),
        );
        machine.kinfra("status").exits(0).prints_exactly(&none);
        let run = machine.kinfra("status --json").exits(0);
        let document: Value = serde_json::from_str(&run.stdout).expect("JSON");
        assert_eq!(document, json!({ "format_version": "1.0", "slot_id": null }));
        assert_eq!(machine.tree(), before);
    }
}
