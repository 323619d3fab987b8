//! Whose a root is: another project's spec with the same root changes nothing of it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use serde_json::Value;

use crate::support::{Machine, Run, SMALL};

/// A machine with the pool `small`, applied from a repository, and another project in `~/other` whose
/// slots.toml is a copy that names the same root.
fn two_projects() -> Machine {
    let machine = Machine::small();
    fs::create_dir_all(machine.path(".git/objects")).expect("a repository");
    machine.kinfra("apply").exits(0);
    copy(&machine, "~/other", "other");
    machine
}

/// A copy of the project, with another name and other ports.
fn copy(machine: &Machine, to: &str, name: &str) {
    let spec = SMALL.replace("small", name).replace("8000", "9000").replace("1-2", "1");
    machine.write(&format!("{to}/slots.toml"), spec);
    machine.write(&format!("{to}/templates/conf.txt"), "of another project\n");
    fs::create_dir_all(machine.path(&format!("{to}/.git/objects"))).expect("a repository");
}

fn within(machine: &Machine, project: &str, arguments: &str) -> Run {
    Run::of(machine.command(arguments).current_dir(machine.path(project)))
}

/// What the registry says that it was applied from.
fn applied_from(machine: &Machine) -> Value {
    let registry: Value = serde_json::from_str(&machine.read("~/pool/registry.json")).expect("JSON");
    registry.get("applied_from").cloned().unwrap_or_default()
}

/// Makes the registry one that an older kinfra saved.
fn make_older(machine: &Machine) {
    let text = machine.read("~/pool/registry.json");
    let mut registry: Value = serde_json::from_str(&text).expect("JSON");
    registry.as_object_mut().expect("an object").remove("applied_from").expect("it is there");
    let text = serde_json::to_string_pretty(&registry).expect("JSON") + "\n";
    for file in ["registry.json", "registry.json.bak"] {
        machine.write(&format!("~/pool/{file}"), &text);
    }
}

fn canonical(machine: &Machine, path: &str) -> PathBuf {
    machine.path(path).canonicalize().expect("a path")
}

const REFUSED: &str = "/pool` is the root of the pool `small`, applied from `";

#[test]
fn another_project_s_spec_changes_nothing_of_a_pool() {
    let machine = two_projects();
    machine.kinfra("claim").exits(0);
    let before = machine.tree();
    let verbs = [
        "plan",
        "plan --update --prune",
        "apply",
        "apply --dry-run",
        "apply --update --prune --overwrite --include-claimed --auto-approve",
        "claim",
        "destroy --auto-approve",
        "destroy --dry-run",
        "release 1 --force",
        "reap --auto-approve",
        "clean 2 --auto-approve",
        "clean --all --auto-approve",
        "up",
    ];
    for verb in verbs {
        let run = within(&machine, "~/other", verb).exits(4).says(REFUSED).says("and not of `other`");
        run.says("help: give `other` another `root`.");
        assert_eq!(machine.tree(), before, "{verb}");
    }
    // Naming the root is no way around it: two CI jobs may share one.
    let root = canonical(&machine, "~/pool");
    let mut command = machine.command("apply --prune --auto-approve");
    command.current_dir(machine.path("~/other")).env("KINFRA_ROOT", &root);
    Run::of(&mut command).exits(4).says(REFUSED);
    within(&machine, "~/other", "validate").exits(65).prints(REFUSED);
    within(&machine, "~/other", "doctor").prints(REFUSED);
    assert_eq!(machine.tree(), before);
    machine.kinfra("release").exits(0);
}

#[test]
fn a_plan_that_was_saved_before_the_root_became_another_s_is_not_carried_out() {
    let machine = Machine::small();
    copy(&machine, "~/other", "other");
    within(&machine, "~/other", "plan --out kept").exits(0);
    machine.kinfra("apply").exits(0);
    let before = machine.tree();
    within(&machine, "~/other", "apply kept").exits(4).says(REFUSED);
    assert_eq!(machine.tree(), before);
}

#[test]
fn the_registry_says_what_it_was_applied_from() {
    let machine = two_projects();
    let repository = canonical(&machine, ".git").display().to_string();
    let wanted = serde_json::json!({"pool": "small", "repository": repository, "spec": "slots.toml"});
    assert_eq!(applied_from(&machine), wanted);
    // Keys of others stay.
    let text = machine
        .read("~/pool/registry.json")
        .replace("\"pool\": \"small\"", "\"x\": 1.50, \"pool\": \"small\"");
    machine.write("~/pool/registry.json", text);
    machine.edit_spec("\"small\"", "\"shop\"");
    machine.kinfra("apply").exits(0);
    assert_eq!(applied_from(&machine)["pool"], "shop");
    assert!(machine.read("~/pool/registry.json").contains("\"x\": 1.50"));
    let before = machine.tree();
    machine.kinfra("apply").exits(0);
    assert_eq!(machine.tree(), before);
}

#[test]
fn a_pool_stays_the_same_when_it_is_renamed_moved_or_cloned_anew() {
    let machine = two_projects();
    // Renamed.
    machine.edit_spec("\"small\"", "\"shop\"");
    for verb in ["plan", "claim", "release", "apply"] {
        machine.kinfra(verb).exits(0);
    }
    // Moved, and moved back as a clone of another path.
    fs::rename(machine.project(), machine.path("~/moved")).expect("a move");
    within(&machine, "~/moved", "plan").exits(0);
    within(&machine, "~/moved", "apply").exits(0);
    assert!(applied_from(&machine)["repository"].as_str().expect("a path").ends_with("/moved/.git"));
    // A home that was restored without the index.
    machine.remove("~/.local");
    within(&machine, "~/moved", "apply").exits(0);
    within(&machine, "~/moved", "claim").exits(0);
}

#[test]
fn a_worktree_s_slots_toml_is_that_of_its_repository() {
    let machine = Machine::small();
    machine.repository(machine.project());
    machine.kinfra("apply").exits(0);
    let linked = machine.worktree("topic");
    let spec = fs::read_to_string(linked.join("slots.toml")).expect("a spec");
    fs::write(linked.join("slots.toml"), spec.replace("\"small\"", "\"renamed\"")).expect("a written file");
    for verb in ["plan", "claim", "release", "apply"] {
        within(&machine, "~/topic", verb).exits(0);
    }
    assert_eq!(applied_from(&machine)["pool"], "renamed");
    machine.kinfra("plan").exits(0);
    // Another slots.toml of the same repository is another pool.
    copy(&machine, "api", "api");
    machine.remove("api/.git");
    within(&machine, "api", "plan").exits(4).says("is the root of the pool `renamed`");
}

#[test]
fn the_root_of_an_older_kinfra_is_signed_by_its_own_project_and_kept_from_others() {
    let machine = two_projects();
    make_older(&machine);
    let before = machine.tree();
    for verb in ["plan", "apply --prune --auto-approve", "destroy --auto-approve"] {
        within(&machine, "~/other", verb).exits(4).says(REFUSED);
        assert_eq!(machine.tree(), before, "{verb}");
    }
    for verb in ["plan", "claim", "release"] {
        machine.kinfra(verb).exits(0);
    }
    machine.kinfra("apply").exits(0).says("Skipped 2 existing slot(s)");
    assert_eq!(applied_from(&machine)["pool"], "small");
}

#[test]
fn a_pool_is_taken_over_as_the_message_says() {
    let machine = two_projects();
    let spec = machine.read("~/other/slots.toml");
    within(&machine, "~/other", "plan").says("call it `small` in slots.toml, apply, and rename it then");
    machine.write("~/other/slots.toml", spec.replace("\"other\"", "\"small\""));
    within(&machine, "~/other", "apply --update --prune --auto-approve").exits(0);
    machine.write("~/other/slots.toml", spec);
    within(&machine, "~/other", "apply --update --auto-approve").exits(0);
    assert_eq!(applied_from(&machine)["pool"], "other");
    machine.kinfra("plan").exits(4).says("is the root of the pool `other`");
}

#[test]
fn a_root_without_slots_is_free_for_any_pool() {
    let machine = two_projects();
    machine.kinfra("destroy --auto-approve").exits(0);
    within(&machine, "~/other", "apply").exits(0);
    assert_eq!(applied_from(&machine)["pool"], "other");
    machine.kinfra("apply").exits(4).says("is the root of the pool `other`");
}

#[test]
fn of_two_first_applies_on_one_root_the_second_is_refused() {
    let machine = Machine::small();
    copy(&machine, "~/other", "other");
    // What it shows is planned before the other one's first save.
    within(&machine, "~/other", "plan --out kept").exits(0);
    machine.kinfra("apply").exits(0);
    within(&machine, "~/other", "apply").exits(4).says(REFUSED);
    assert_eq!(machine.read("~/pool/slot-1/conf.txt"), "slot 1 on 8001\n");
}

#[test]
fn however_a_root_is_spelled_it_is_one() {
    let machine = two_projects();
    let root = canonical(&machine, "~/pool");
    symlink(&root, machine.path("~/link")).expect("a link");
    let spec = machine.read("~/other/slots.toml");
    let whole = root.display().to_string();
    for spelled in ["~/link", "~/pool/", "~//pool", "~/./pool", &format!("{whole}/."), &format!("/{whole}")] {
        machine.write("~/other/slots.toml", spec.replace("~/pool", spelled));
        for verb in ["plan", "apply", "claim", "destroy --auto-approve"] {
            within(&machine, "~/other", verb).exits(4).says(REFUSED);
        }
    }
    machine.write("~/other/slots.toml", spec.replace("~/pool", "~/elsewhere"));
    for named in ["../pool", "../other/../link", "../pool/"] {
        within(&machine, "~/other", &format!("plan --root {named}")).exits(4).says(REFUSED);
    }
    // The home itself by another name.
    symlink(machine.home(), machine.path("../by-link")).expect("a link");
    let by_link = |verb: &str| Run::of(machine.command(verb).env("HOME", machine.path("../by-link")));
    by_link("plan --detailed-exitcode").exits(0);
    by_link("claim").exits(0).prints("Claimed slot 1");
    machine.kinfra("claim").exits(0).prints("Slot 1 (only) is yours already");
    by_link("release --for ./").exits(0).prints("Released slot 1");
    machine.kinfra("apply").exits(0).says("Skipped 2 existing slot(s)");
}

#[test]
fn an_import_takes_over_claims_and_not_which_pool_it_was() {
    let machine = two_projects();
    let own = "root = \"~/new\"\nimport = \"~/pool/registry.json\"";
    let spec = machine.read("~/other/slots.toml").replace("root = \"~/pool\"", own);
    machine.write("~/other/slots.toml", spec);
    within(&machine, "~/other", "apply").exits(0);
    let registry: Value = serde_json::from_str(&machine.read("~/new/registry.json")).expect("JSON");
    let before: Value = serde_json::from_str(&machine.read("~/pool/registry.json")).expect("JSON");
    assert_eq!(registry["applied_from"]["pool"], "other");
    assert_ne!(registry["id"], before["id"]);
    within(&machine, "~/other", "plan").exits(0);
}

#[test]
fn a_broken_registry_is_repaired_as_the_pool_that_it_was_of() {
    let machine = two_projects();
    machine.write("~/pool/registry.json", "{");
    let before = machine.tree();
    within(&machine, "~/other", "doctor --repair --auto-approve").exits(4).says(REFUSED);
    assert_eq!(machine.tree(), before);
    machine.kinfra("doctor --repair --auto-approve").exits(0);
    assert_eq!(applied_from(&machine)["pool"], "small");
}
