//! Whose containers they are, and who asks. What is not known keeps a slot as it is.

use std::fs;
use std::os::unix::fs::symlink;

use serde_json::{Value, json};

use crate::support::{Machine, Run};
use crate::verbs::doctor::fake_docker;

const REGISTRY: &str = "~/pool/registry.json";

/// A pool whose slots 1 to 3 were applied, and whose spec has 1 and 2 left.
fn applied() -> Machine {
    let machine = Machine::small();
    machine.edit_spec("1-2", "1-3");
    machine.kinfra("apply").exits(0);
    machine.edit_spec("1-3", "1-2");
    machine
}

/// Runs kinfra with the stand-in for docker, which notes what it is asked.
fn with_docker(machine: &Machine, arguments: &str, containers: &str) -> Run {
    let mut command = machine.command(arguments);
    command.env("PATH", fake_docker()).env("CALLS", machine.path("~/calls")).env("CONTAINERS", containers);
    Run::of(&mut command).never_says("panicked")
}

/// What docker was asked since the last time.
fn calls(machine: &Machine) -> Vec<String> {
    let path = machine.path("~/calls");
    let calls = fs::read_to_string(&path).unwrap_or_default();
    let _ = fs::remove_file(path);
    calls.lines().map(str::to_owned).collect()
}

/// A container as docker lists it: project, directory, and the registry's id, its root and the slot.
fn container(project: &str, dir: &str, [id, root, slot]: [&str; 3]) -> String {
    json!(["c1", "c1", project, dir, id, root, slot]).to_string()
}

/// Asserts that slot 3 stays because of this container, or goes, in the plan as in the apply.
fn stays(machine: &Machine, container: &str, expected: bool) {
    let plan = with_docker(machine, "plan --prune", container).exits(0);
    assert_eq!(plan.stdout.contains("it has containers"), expected, "{container}: {plan:#?}");
    let destroy = with_docker(machine, "destroy --dry-run", container).exits(0);
    assert_eq!(destroy.stdout.contains("! Slot 3: it has containers"), expected, "{container}: {destroy:#?}");
    let apply = with_docker(machine, "apply --prune --auto-approve", container);
    let apply = apply.exits(if expected { 4 } else { 0 });
    assert_eq!(apply.stdout, plan.stdout, "{container}");
    assert_eq!(machine.exists("~/pool/slot-3"), expected, "{container}");
}

const UNMARKED: [&str; 3] = ["", "", ""];

#[test]
fn a_slot_s_containers_are_known_by_directory_label_and_recorded_name() {
    let machine = applied();
    symlink(machine.path("~/pool"), machine.path("~/link")).expect("a link");
    let registry: Value = serde_json::from_str(&machine.read(REGISTRY)).expect("JSON");
    let id = registry["id"].as_str().expect("an id").to_owned();
    let pool = machine.path("~/pool").canonicalize().expect("a root").display().to_string();
    let link = machine.path("~/link/slot-3").display().to_string();
    for container in [
        // A template may give the project any name.
        container("shop3", &format!("{pool}/slot-3"), UNMARKED),
        container("shop3", &format!("{pool}/slot-3/deploy"), UNMARKED),
        container("shop3", &link, UNMARKED),
        // Where it was started counts, even if another registry's label is on it.
        container("shop3", &format!("{pool}/slot-3"), ["ffff", "/theirs", "1"]),
        // The pool was renamed.
        container("older-slot-3", "/src/shop", [&id, "/moved", "3"]),
        // Started by hand, with the name of the slot's project.
        container("small-slot-3", "/src/shop", UNMARKED),
    ] {
        stays(&machine, &container, true);
    }
}

#[test]
fn a_slot_whose_stack_was_started_stays_until_it_is_clean() {
    let machine = applied();
    let mut registry: Value = serde_json::from_str(&machine.read(REGISTRY)).expect("JSON");
    registry["slots"]["3"]["started_at"] = "2026-03-01T09:22:10+00:00".into();
    registry["slots"]["3"]["started_as"] = "old-slot-3".into();
    machine.write(REGISTRY, format!("{registry:#}\n"));
    let not_clean = "no longer in slots.toml, it is not clean: `kinfra clean 3` first\n";
    with_docker(&machine, "plan --prune", "").exits(0).prints(not_clean);
    with_docker(&machine, "apply --prune --auto-approve", "").exits(4).prints(not_clean);
    // Its data may go along, unless it has containers, by the name of its start.
    let theirs = container("old-slot-3", "/src/shop", UNMARKED);
    with_docker(&machine, "destroy --data --dry-run", &theirs).prints("! Slot 3: it has containers");
    with_docker(&machine, "destroy --data --dry-run", "").exits(0).prints("Would remove slot 3");
    assert!(machine.exists("~/pool/slot-3/conf.txt"));
}

#[test]
fn containers_of_others_keep_no_slot() {
    let pool =
        |machine: &Machine| machine.path("~/pool").canonicalize().expect("a root").display().to_string();
    for theirs in [
        // Another pool, or another user's, of the same name.
        |_: &str| container("small-slot-3", "/src/other", ["ffff", "/theirs", "3"]),
        |_: &str| container("shop3", "/src/other", UNMARKED),
        |_: &str| container("small-slot-30", "/src/other", UNMARKED),
        |_: &str| container("small-slot-03", "/src/other", UNMARKED),
        |pool: &str| container("shop3", &format!("{pool}/slot-30"), UNMARKED),
        |pool: &str| container("shop3", &format!("{pool}-2/slot-3"), UNMARKED),
        |_: &str| container("shop3", "slot-3", UNMARKED),
    ] {
        let machine = applied();
        stays(&machine, &theirs(&pool(&machine)), false);
    }
}

#[test]
fn docker_is_asked_once_and_only_where_an_existing_slot_would_change() {
    let machine = applied();
    machine.template("conf.txt", "new\n");
    for plain in ["plan", "plan --json", "apply --dry-run", "apply", "validate"] {
        with_docker(&machine, plain, "").exits(0);
        let asked = calls(&machine);
        assert!(!asked.iter().any(|call| call.starts_with("container ls ")), "{plain}: {asked:?}");
    }
    for asking in
        ["plan --update", "apply --dry-run --prune", "plan --include-claimed --update", "destroy --dry-run"]
    {
        with_docker(&machine, asking, "").exits(0).never_says("was not asked");
        let asked = calls(&machine);
        assert!(asked.len() == 1 && asked[0].starts_with("container ls "), "{asking}: {asked:?}");
    }
    with_docker(&machine, "apply --update --prune --auto-approve", "").exits(0).says("1 destroyed.");
    calls(&machine);
    // Nothing would change.
    with_docker(&machine, "plan --update --prune", "").exits(0);
    assert_eq!(calls(&machine), [""; 0]);
}

#[test]
fn a_plain_plan_that_completes_a_removal_says_that_docker_was_not_asked() {
    let machine = applied();
    let mut registry: Value = serde_json::from_str(&machine.read(REGISTRY)).expect("JSON");
    registry["slots"]["3"]["pending"] = "remove".into();
    machine.write(REGISTRY, format!("{registry:#}\n"));
    let plan = with_docker(&machine, "plan", "small-slot-3").exits(0).prints("Would remove slot 3");
    plan.says("Docker was not asked whether these slots have containers: `kinfra apply` asks\n");
    assert_eq!(calls(&machine), [""; 0]);
    with_docker(&machine, "apply", "small-slot-3")
        .exits(0)
        .prints("it has containers")
        .never_says("not asked");
    assert!(machine.exists("~/pool/slot-3/conf.txt"));
}

#[test]
fn an_answer_that_is_not_understood_keeps_every_slot() {
    let machine = applied();
    let before = machine.tree();
    for odd in ["[]", "[1,2,3,4,5,6,7]", "[\"small-slot-1\",\"\",\"\"]"] {
        let run = with_docker(&machine, "destroy --auto-approve", odd).exits(4).says("Kept 3 slots");
        run.prints("! Slots 1-3: docker does not say whether it has containers (docker printed what kinfra does not understand: ");
        calls(&machine);
        assert_eq!(machine.tree(), before, "{odd}");
    }
}
