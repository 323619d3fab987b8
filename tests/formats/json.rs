//! JSON output: one document, or one event per line and always a summary. The same input gives the same
//! bytes.

use std::collections::BTreeSet;
use std::fs;

use serde_json::{Value, json};

use crate::support::{Machine, Run};

fn document(run: &Run) -> Value {
    serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {run:#?}"))
}

fn events(run: &Run) -> Vec<Value> {
    run.stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

/// An applied pool with every kind of difference.
fn differing() -> Machine {
    let machine = Machine::small();
    machine.edit_spec("1-2", "1-4");
    machine.kinfra("apply").exits(0);
    machine.edit_spec("1-4", "1-3,5");
    machine.edit_spec("web = 8000", "web = 8100");
    machine.write("~/pool/slot-2/conf.txt", "mine\n");
    fs::create_dir(machine.path("~/tree")).expect("a worktree");
    machine.kinfra(&format!("claim --slot 3 --for {}", machine.path("~/tree").display())).exits(0);
    machine
}

#[test]
fn a_plan_is_one_document() {
    let machine = differing();
    let run = machine.kinfra("plan --json").exits(0);
    let plan = document(&run);
    assert_eq!(plan["format_version"], "1.0");
    assert_eq!(plan["pool"], "small");
    assert_eq!(plan["totals"], json!({ "add": 1, "change": 0, "destroy": 0 }));
    assert_eq!(
        plan["blocked"]["change"],
        json!({ "slots": 3, "flags": ["--update", "--overwrite", "--include-claimed"] })
    );
    assert_eq!(plan["blocked"]["destroy"], json!({ "slots": 1, "flags": ["--prune"] }));
    let slots = plan["slots"].as_array().expect("slots");
    let ids: Vec<u64> = slots.iter().map(|slot| slot["slot_id"].as_u64().expect("an id")).collect();
    assert_eq!(ids, [1, 2, 3, 4, 5]);
    let field = json!({ "reason": "field", "field": "ports.web", "old": "8001", "new": "8101" });
    assert_eq!(slots[0]["blocked"], json!([field, { "reason": "outdated", "path": "conf.txt" }]));
    assert_eq!(slots[0]["flags"], json!(["--update"]));
    assert_eq!(slots[1]["blocked"][1], json!({ "reason": "edited", "path": "conf.txt" }));
    assert_eq!(slots[2]["blocked"][2]["reason"], "held");
    assert_eq!(slots[3]["blocked"], json!([{ "reason": "surplus", "held": false }]));
    assert_eq!([&slots[4]["action"], &slots[4]["profile"]], ["create", "only"]);
    let sha256 = kinfra::digest::Digest::of(b"slot 5 on 8105\n").to_string();
    assert_eq!(slots[4]["files"], json!([{ "path": "conf.txt", "change": "write", "sha256": sha256 }]));
    // The same bytes again, with or without colour, and the exit code of the plan for people.
    let mut again = machine.command("plan --json --detailed-exitcode");
    let again = Run::of(again.env("CLICOLOR_FORCE", "1")).exits(2);
    assert_eq!(again.stdout, run.stdout);

    let plan =
        document(&machine.kinfra("plan --json --update --overwrite --prune --include-claimed").exits(0));
    assert_eq!(plan["totals"], json!({ "add": 1, "change": 3, "destroy": 1 }));
    let slots = plan["slots"].as_array().expect("slots");
    assert_eq!(slots[0]["files"][0]["change"], "replace");
    assert_eq!(slots[1]["files"][0]["change"], "overwrite");
    assert_eq!(slots[0]["fields"], json!([{ "field": "ports.web", "old": "8001", "new": "8101" }]));
    assert_eq!(slots[3]["action"], "remove");
}

#[test]
fn an_apply_is_an_event_a_line_and_a_summary() {
    let machine = differing();
    let run = machine.kinfra("apply --json --update --prune --auto-approve").exits(0);
    let events = events(&run);
    assert_eq!(events[0]["event"], "plan");
    assert_eq!(events[0]["totals"]["add"], 1);
    let done: Vec<Value> = events[1..events.len() - 1]
        .iter()
        .map(|event| json!([event["event"], event["slot_id"], event["result"], event["action"]]))
        .collect();
    assert_eq!(
        done,
        [
            json!(["slot", 1, "done", "update"]),
            json!(["slot", 4, "done", "remove"]),
            json!(["slot", 5, "done", "create"]),
        ]
    );
    let summary = events.last().expect("a summary");
    assert_eq!(
        *summary,
        json!({ "event": "summary", "format_version": "1.0", "added": 1, "changed": 1, "destroyed": 1, "failed": 0,
            "interrupted": 0, "backups": [], "error": null, "advice": null })
    );
    // Text for people goes to stderr.
    run.says("Apply complete! 1 added, 1 changed, 1 destroyed.");
}

#[test]
fn a_summary_comes_last_also_after_a_failure() {
    let machine = differing();
    let no_approval = events(&machine.kinfra("apply --json --update").exits(4));
    assert_eq!(no_approval[0]["event"], "plan");
    let last = &no_approval[1];
    assert_eq!([&last["event"], &last["changed"]], [&json!("summary"), &json!(0)]);
    assert!(last["error"].as_str().is_some_and(|error| error.contains("no terminal to ask on")), "{last}");
    assert!(last["advice"].as_str().is_some_and(|advice| advice.contains("--auto-approve")), "{last}");
    machine.edit_spec("version = 1", "version = 7");
    let broken = events(&machine.kinfra("apply --json").exits(65));
    assert_eq!(broken.len(), 1);
    let error = broken[0]["error"].as_str().expect("an error");
    assert!(error.contains("not version 7") && !error.contains('\u{1b}'), "{error}");
}

/// The keys of a document, without the names that users chose.
fn keys(value: &Value, found: &mut BTreeSet<String>) {
    const NAMED: [&str; 6] = ["ports", "workers", "formulas", "main", "files", "pending"];
    for (key, value) in value.as_object().into_iter().flatten() {
        found.insert(key.clone());
        match value.as_object() {
            Some(named) if NAMED.contains(&key.as_str()) => {
                named.values().for_each(|value| keys(value, found));
            }
            Some(_) | None => keys(value, found),
        }
    }
    value.as_array().into_iter().flatten().for_each(|item| keys(item, found));
}

#[test]
fn every_field_is_in_the_docs() {
    let page = include_str!("../../docs/json.md");
    // The text between backticks, from its last name on.
    let names: BTreeSet<&str> = page
        .split('`')
        .skip(1)
        .step_by(2)
        .map(|name| name.rsplit('.').next().unwrap_or(name).trim_end_matches("[]"))
        .collect();
    let machine = differing();
    machine.write("~/pool/slot-4/notes.txt", "mine\n");
    machine.kinfra("plan --out plan").exits(0);
    let mut found = BTreeSet::new();
    for arguments in [
        "plan --json",
        "plan --json --update --overwrite --prune",
        "show --json plan",
        "slots --json",
        "history --json",
        "ports --json",
        "validate --json",
    ] {
        keys(&document(&machine.kinfra(arguments)), &mut found);
    }
    for event in events(&machine.kinfra("apply --json --update --prune --auto-approve").exits(0)) {
        keys(&event, &mut found);
    }
    machine.kinfra("plan --json").exits(0).prints("\"leftover\"");
    machine.template("conf.txt", "{{ nothing }}\n");
    keys(&document(&machine.kinfra("validate --json").exits(65)), &mut found);
    let old = Machine::new();
    old.write("~/.ktrdr/sandbox/instances.json", include_str!("../fixtures/old-instances-v2.json"));
    keys(&document(&old.kinfra("plan --json").exits(0)), &mut found);
    assert!(found.len() > 50, "{found:?}");
    let missing: Vec<_> = found.iter().filter(|key| !names.contains(key.as_str())).collect();
    assert!(missing.is_empty(), "not in docs/json.md: {missing:?}");
}

#[test]
fn every_slot_has_every_key() {
    let machine = differing();
    for flags in ["", "--update --overwrite --prune --include-claimed"] {
        let plan = document(&machine.kinfra(&format!("plan --json {flags}")).exits(0));
        assert_eq!(
            plan["spec"],
            machine.path("slots.toml").canonicalize().expect("a spec").to_str().expect("UTF-8")
        );
        for slot in plan["slots"].as_array().expect("slots") {
            let mut keys: Vec<_> = slot.as_object().expect("a slot").keys().collect();
            keys.sort();
            assert_eq!(
                keys,
                ["action", "blocked", "fields", "files", "flags", "ports", "profile", "slot_id", "stays"],
                "{slot}"
            );
        }
    }
}
