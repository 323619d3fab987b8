//! The old tool's registry in its three shapes: kinfra takes it over once, never modifies it, and leaves its
//! slots alone.

use std::fs;

use kinfra::digest::Digest;
use serde_json::{Value, json};

use crate::support::{Machine, Run};

const V1: &str = include_str!("../fixtures/old-instances-v1.json");
const V2: &str = include_str!("../fixtures/old-instances-v2.json");
const OLD: &str = "~/.ktrdr/sandbox/instances.json";
const REGISTRY: &str = "~/.ktrdr/sandboxes/registry.json";

/// A machine with an old tool's registry, in which this machine's home replaces `/home/dev`.
fn machine(old: &str) -> Machine {
    let machine = Machine::new();
    machine.write(OLD, old.replace("/home/dev", &home(&machine)));
    machine
}

fn home(machine: &Machine) -> String {
    machine.home().canonicalize().expect("a home").to_str().expect("UTF-8").to_owned()
}

/// Makes the old tool's worktree that the three shapes name, below `~/src`.
fn make_worktree(machine: &Machine, name: &str) -> String {
    fs::create_dir_all(machine.path(&format!("~/src/{name}"))).expect("a directory");
    format!("{}/src/{name}", home(machine))
}

/// A change to the old registry.
fn changed(old: &str, change: impl FnOnce(&mut Value)) -> String {
    let mut document = serde_json::from_str(old).expect("JSON");
    change(&mut document);
    format!("{document:#}\n")
}

fn registry(machine: &Machine) -> Value {
    serde_json::from_str(&machine.read(REGISTRY)).expect("JSON")
}

/// Who holds which slot, and since when.
fn claims(machine: &Machine) -> Vec<(String, Value, Value)> {
    let registry = registry(machine);
    let slots = registry["slots"].as_object().expect("slots").iter();
    let claims = slots.filter(|(_, entry)| !entry["claimed_by"].is_null());
    claims
        .map(|(slot, entry)| (slot.clone(), entry["claimed_by"].clone(), entry["claimed_at"].clone()))
        .collect()
}

/// Applies, and returns the resulting claims.
fn claims_after_apply(machine: &Machine) -> Vec<(String, Value, Value)> {
    machine.kinfra("apply").exits(0).says("Imported ");
    claims(machine)
}

#[test]
fn plan_shows_the_import_and_apply_does_it() {
    let machine = machine(V2);
    let source = machine.read(OLD);
    let before = machine.tree();
    let line = "  + Would import 3 slots, 1 of them claimed, from ~/.ktrdr/sandbox/instances.json\n";
    let plan = machine.kinfra("plan").exits(0).prints(line).prints("Plan: 6 to add");
    machine.kinfra("plan --detailed-exitcode").exits(2);
    machine.kinfra("apply --dry-run").exits(0).prints_exactly(&plan.stdout);
    machine.kinfra("claim").exits(3).says("there is no pool of the embedded slots.toml in ");
    machine.kinfra("doctor").exits(0).prints("registry: not there yet: `kinfra apply` imports `");
    assert_eq!(machine.tree(), before);

    machine
        .kinfra("apply")
        .exits(0)
        .prints(&plan.stdout)
        .says("\nImported 3 slots\nCreated slot 1 (light)\n");
    let after = machine.tree();
    for (path, state) in &before {
        assert_eq!(after.get(path), Some(state), "{}", path.display());
    }
    let registry = registry(&machine);
    assert_eq!(
        registry["imported_from"],
        json!({ "path": machine.path(OLD), "sha256": Digest::of(source.as_bytes()) })
    );
    assert_eq!((&registry["version"], &registry["instances"]), (&json!(2), &json!({})));
    assert_eq!((registry.get("local_prod"), registry.get("allocated_slots")), (Some(&Value::Null), None));
    machine.kinfra("plan --detailed-exitcode").exits(0).never_says("import");
    machine.kinfra("apply").exits(0).never_says("mport");
    assert_eq!(machine.tree(), after);
}

#[test]
fn ports_and_paths_are_the_spec_s_and_claims_the_old_file_s() {
    let machine = machine(V2);
    let worktree = format!("{}/src/ktrdr-impl-auth-M2", home(&machine));
    // The directory of a claim may be missing: a slot's own claim is kept.
    let claim = ("2".to_owned(), json!(worktree), json!("2026-03-01T17:22:10.004211+00:00"));
    assert_eq!(claims_after_apply(&machine), [claim]);
    let entry = &registry(&machine)["slots"]["2"];
    assert_eq!((&entry["ports"]["otlp_grpc"], &entry["ports"]["otlp_http"]), (&json!(4337), &json!(4338)));
    assert_eq!(entry["infrastructure_path"], json!(format!("{}/.ktrdr/sandboxes/slot-2", home(&machine))));
    assert_eq!((&entry["status"], &entry["profile"]), (&json!("running"), &json!("light")));
    assert_eq!(registry(&machine)["slots"].as_object().map(serde_json::Map::len), Some(6));
    machine.kinfra("claim").exits(0).prints("Claimed slot 1 (light)");
    machine.kinfra("release 2").exits(4).says("ktrdr-impl-auth-M2 since 2026-03-01 17:22 UTC");
}

#[test]
fn slots_without_a_slot_id_go_by_their_key() {
    let without = changed(V2, |old| {
        for entry in old["slots"].as_object_mut().expect("slots").values_mut() {
            entry.as_object_mut().expect("an entry").remove("slot_id");
        }
    });
    let [with, without] = [V2, &without].map(|old| {
        let machine = machine(old);
        machine.kinfra("apply").exits(0).says("Imported 3 slots");
        let mut registry = registry(&machine);
        registry["imported_from"]["sha256"].take();
        registry["id"].take();
        for entry in registry["slots"].as_object_mut().expect("slots").values_mut() {
            // The hashes depend on the path of the home.
            entry["files"].take();
        }
        registry.to_string().replace(&home(&machine), "/home/dev")
    });
    assert_eq!(with, without);
}

#[test]
fn an_instance_whose_directory_is_there_becomes_a_claim() {
    let machine = machine(V1);
    let path = make_worktree(&machine, "ktrdr--data-fix");
    machine.kinfra("plan").prints("  + Would import 1 slot, 1 of them claimed, from ");
    let claim = ("4".to_owned(), json!(path), json!("2026-01-20T11:05:09.123456+00:00"));
    assert_eq!(claims_after_apply(&machine), [claim]);
    let registry = registry(&machine);
    let old: Value = serde_json::from_str(&machine.read(OLD)).expect("JSON");
    for key in ["local_prod", "instances", "allocated_slots"] {
        assert_eq!(registry[key], old[key]);
    }
}

#[test]
fn an_instance_keeps_its_slot_by_whichever_path_the_old_tool_knew_it() {
    let machine = machine(V1);
    let worktree = make_worktree(&machine, "elsewhere");
    let named = format!("{}/src/ktrdr--data-fix", home(&machine));
    std::os::unix::fs::symlink(&worktree, &named).expect("a link");
    machine.kinfra("apply").exits(0);
    let held = machine.kinfra(&format!("claim --json --for {worktree}")).exits(0);
    assert!(held.stdout.contains(&format!("\"claimed_by\": \"{named}\"")), "{held:#?}");
    Run::of(machine.command("release").current_dir(&worktree)).exits(0).prints("slot 4");
    assert_eq!(claims(&machine), []);
}

#[test]
fn other_instances_hold_nothing() {
    assert_eq!(claims_after_apply(&machine(V1)), []);
    let machine = machine(&changed(V1, |old| {
        let instance = |slot: Value, path: &str| json!({ "slot": slot, "path": path, "created_at": "then" });
        old["instances"] = json!({
            "main": instance(json!(0), "/tmp"),
            "none": instance(Value::Null, "/tmp"),
            "file": instance(json!(1), "/home/dev/src/file"),
            "relative": instance(json!(2), "."),
            "pathless": { "slot": 3 },
        });
    }));
    machine.write("~/src/file", "");
    assert_eq!(claims_after_apply(&machine), []);
}

#[test]
fn a_slot_s_own_claim_wins_and_then_the_first_instance() {
    let machine = machine(&changed(V2, |old| {
        let instance = |slot: u16, name: &str| json!({ "slot": slot, "path": format!("/home/dev/src/{name}"), "created_at": name });
        old["instances"] = json!({ "a": instance(2, "a"), "z": instance(5, "z"), "b": instance(5, "b"), "c": instance(3, "c") });
    }));
    let paths = ["a", "b", "c", "z"].map(|name| make_worktree(&machine, name));
    let claims = claims_after_apply(&machine);
    assert_eq!(claims.iter().map(|(slot, ..)| slot.as_str()).collect::<Vec<_>>(), ["2", "3", "5"]);
    assert!(claims[0].1.as_str().is_some_and(|path| path.ends_with("ktrdr-impl-auth-M2")));
    assert_eq!(claims[1], ("3".to_owned(), json!(paths[2]), json!("c")));
    assert_eq!(claims[2], ("5".to_owned(), json!(paths[3]), json!("z")));
}

#[test]
fn keys_of_others_go_over_digit_for_digit() {
    let exact = "\"x_ratio\": 0.1000000000000000055511151231257827";
    let old =
        V2.replacen("\"version\": 2,", &format!("\"version\": 2, {exact}, \"imported_from\": {{}},"), 1);
    let old = old.replacen("\"status\"", "\"x_note\": 1e400, \"status\"", 1);
    let machine = machine(&old);
    machine.kinfra("apply").exits(0);
    let text = machine.read(REGISTRY);
    assert!(text.contains(exact) && text.contains("\"x_note\": 1e+400"), "{text}");
    // The old file has a key `imported_from`, too. It moves into the one that kinfra writes.
    assert_eq!(registry(&machine)["imported_from"]["imported_from"], json!({}));
}

#[test]
fn a_slot_that_the_spec_does_not_have_comes_over_without_ports() {
    let machine = machine(&V2.replace("\"5\": {", "\"9\": {").replace("\"slot_id\": 5", "\"slot_id\": 9"));
    machine.kinfra("apply").exits(0).prints("Slot 9: no longer in slots.toml").says("Created 6 slot(s)");
    let entry = &registry(&machine)["slots"]["9"];
    assert_eq!((&entry["ports"], &entry["profile"]), (&json!({}), &json!("standard")));
    machine.kinfra("claim --slot 9").exits(4).says("kinfra did not write its files");
}

#[test]
fn an_old_file_that_cannot_be_read_stops_plan_and_apply() {
    for (old, what) in [
        (&b""[..], "is corrupt: line 1: the file is empty"),
        (&V2.as_bytes()[..700], "is corrupt: line 32, column 4: the text ends in the middle"),
        (b"{\"version\": 3}", "is corrupt: version: 3 is neither 1 nor 2"),
        (b"{}", "is corrupt: version: is missing"),
        (b"{\"version\": 2, \"version\": 2}", "is corrupt: line 1, column 24: key `version` stands twice"),
        (b"{\"version\": 2, \"slots\": {\"1\": {\"slot_id\": 2}}}", "is corrupt: slots.1: "),
        (b"{\"version\": 2, \"slots\": {\"x\": {}}}", "is corrupt: slots.x: is not the id of a slot"),
        (b"{\"version\": 2, \"slots\": {\"1\": {\"claimed_by\": 1}}}", "is corrupt: slots.1.claimed_by: "),
        (b"{\"version\": 1, \"instances\": {\"a\": {\"slot\": -1}}}", "is corrupt: instances.a.slot: "),
        (b"{\"version\": 1, \"instances\": []}", "is corrupt: instances: is not an object"),
        (b"{\"version\": 1}\xff", "is corrupt: invalid utf-8"),
    ] {
        let machine = machine("");
        machine.write(OLD, old);
        is_refused(&machine, what);
    }
}

#[test]
fn an_old_file_that_is_no_file_stops_plan_and_apply() {
    let machine = machine("");
    machine.remove(OLD);
    fs::create_dir(machine.path(OLD)).expect("a directory");
    is_refused(&machine, "cannot be read: it is a directory");
    machine.remove(OLD);
    Run::of(machine.program("mkfifo").arg(machine.path(OLD))).exits(0);
    machine.kinfra("apply").exits(5).says("cannot be read: it is a FIFO, socket or device");
    assert!(!machine.exists("~/.ktrdr/sandboxes"));
}

#[track_caller]
fn is_refused(machine: &Machine, what: &str) {
    let before = machine.tree();
    for verb in ["plan", "apply", "apply --dry-run"] {
        let refused = machine.kinfra(verb).exits(5).prints_exactly("");
        refused.says("/.ktrdr/sandbox/instances.json`, named by `import` of slots.toml, ").says(what);
    }
    machine.kinfra("doctor").exits(1).prints("named by `import` of slots.toml, ").prints(what);
    assert_eq!(machine.tree(), before);
}

#[test]
fn an_old_file_that_changes_afterwards_is_reported_and_not_read_again() {
    let machine = machine(V2);
    machine.kinfra("apply").exits(0);
    for changed in [V2.replace("\"running\"", "\"stopped\""), "no longer JSON".to_owned()] {
        machine.write(OLD, changed);
        let before = machine.tree();
        let said = "instances.json changed after it was imported: kinfra no longer reads it";
        machine.kinfra("plan").exits(0).prints(said);
        machine.kinfra("plan --detailed-exitcode").exits(0);
        machine.kinfra("doctor").exits(0).prints("  ! import: `").prints("` changed after it was imported\n");
        machine.kinfra("apply").exits(0).prints(said);
        assert_eq!(machine.tree(), before);
    }
    // An old registry that is gone, or no longer named, is not mentioned.
    machine.remove(OLD);
    machine.kinfra("plan").exits(0).never_says("import");
}

#[test]
fn a_registry_that_is_there_already_stays() {
    let machine = Machine::new();
    machine.kinfra("apply").exits(0).never_says("mport");
    machine.write(OLD, V2);
    let before = machine.tree();
    machine.kinfra("plan --detailed-exitcode").exits(0).never_says("mport");
    machine.kinfra("apply").exits(0).never_says("mport");
    assert_eq!(machine.tree(), before);
}

#[test]
fn slots_of_the_old_tool_keep_their_files_and_claims() {
    let machine = machine(V2);
    for slot in ["~/.ktrdr/sandboxes/slot-1", "~/.ktrdr/sandboxes/slot-2"] {
        machine.write(&format!("{slot}/.env.sandbox"), "KTRDR_API_PORT=8001\n");
        machine.write(&format!("{slot}/data/dump.sql"), "precious");
        machine.set_mode(slot, 0o755);
    }
    let before = machine.tree();
    let plan = machine.kinfra("plan").exits(0).stdout;
    for slot in ["1", "2"] {
        let line = plan.lines().find(|line| line.contains(&format!("Slot {slot}:"))).expect("a heading");
        let heading = format!("  ! Slot {slot}: already exists, skipping: .env.sandbox differs");
        assert!(line.starts_with(&heading) && line.contains("--overwrite"), "{line}");
    }
    machine.kinfra("apply").exits(0).prints(&plan).says("Created 4 slot(s)\nSkipped 2 existing slot(s)\n");
    let after = machine.tree();
    for (path, state) in &before {
        assert_eq!(after.get(path), Some(state), "{}", path.display());
    }
    assert!(!machine.exists("~/.ktrdr/sandboxes/slot-1/docker-compose.yml"));
    assert_eq!(claims(&machine).len(), 1);
    machine.kinfra("apply").exits(0).prints(".env.sandbox differs");
    assert_eq!(machine.tree(), after);
    // A slot whose ports are unknown is never given.
    machine.kinfra("claim").exits(0).prints("Claimed slot 3 (light)");
    machine
        .kinfra("claim --slot 1 --for /")
        .exits(4)
        .says("kinfra did not write its files\nhelp: see `kinfra plan`");
}

#[test]
fn slots_of_the_old_tool_that_are_right_are_adopted() {
    let other = Machine::new();
    let root = other.path("~/.ktrdr/sandboxes");
    other.kinfra("apply").exits(0);
    // The same machine, after its registry was lost and replaced by an old tool's.
    for name in ["registry.json", "registry.json.bak"] {
        fs::remove_file(root.join(name)).expect("a removed file");
    }
    other.write(OLD, V2);
    other.remove("~/.ktrdr/sandboxes/slot-2/prometheus.yml");
    other.kinfra("apply").exits(0).says("Adopted slot 1 (light)").says("Created slot 2 (light)");
    assert!(other.exists("~/.ktrdr/sandboxes/slot-2/prometheus.yml"));
    assert_eq!(claims(&other).len(), 1);
    other.kinfra("claim").exits(0).prints("Claimed slot 1 (light)");
}
