//! `kinfra destroy`: removes slots that are not in use. The rest stays and is named.

use std::fs;

use crate::support::{Machine, Run};
use crate::verbs::doctor::fake_docker;

/// Destroys, with the stand-in for docker listing these Compose projects and volumes.
fn destroy(machine: &Machine, projects: &str, volumes: &str) -> Run {
    let mut command = machine.command("destroy --auto-approve");
    Run::of(command.env("PATH", fake_docker()).env("PROJECTS", projects).env("VOLUMES", volumes))
}

fn applied() -> Machine {
    let machine = Machine::small();
    machine.edit_spec("1-2", "1-4");
    machine.kinfra("apply").exits(0);
    machine
}

#[test]
fn an_unused_pool_goes_but_for_its_registry() {
    let machine = applied();
    let before = machine.tree();
    machine.kinfra("destroy").exits(4).prints("  - Would remove slot 4\n").says("give --auto-approve");
    machine.kinfra("destroy --dry-run").exits(0).prints("Plan: 0 to add, 0 to change, 4 to destroy.");
    assert_eq!(machine.tree(), before);
    let run = destroy(&machine, "", "small-slot-1 data\nother-slot-1 theirs\nsmall-slot-2 logs").exits(0);
    let run = run.says("Removed 4 slot(s)").says("\n\nDestroy complete! 4 destroyed.\n");
    let run = run.says("Volumes of removed slots stay, `docker volume rm` removes them: data, logs\n");
    run.says("The registry, its backup and the lock stay in `").never_says("theirs");
    let mut left: Vec<_> = fs::read_dir(machine.path("~/pool"))
        .expect("a root")
        .map(|entry| entry.expect("an entry").file_name())
        .collect();
    left.sort();
    assert_eq!(left, [".lock", ".tmp", "registry.json", "registry.json.bak"]);
    machine.kinfra("slots --json").exits(0).prints("\"slots\": []");
    // A second destroy, and a new apply.
    let again = destroy(&machine, "", "").exits(0).prints("No changes. The pool has no slots.\n");
    again.says("0 destroyed").never_says("slots.toml says");
    machine.kinfra("apply").exits(0).says("Created 4 slot(s)");
}

#[test]
fn a_slot_in_use_stays_and_is_named() {
    let machine = applied();
    machine.kinfra("claim --slot 1").exits(0);
    machine.write("~/pool/slot-3/notes.txt", "mine");
    let run = destroy(&machine, "small-slot-2", "error:no such plugin").exits(0);
    let run = run.says("Slot 1 stays: held by ").says("2 destroyed.");
    let run = run.says("Slot 2 stays: it has containers: `kinfra compose down` in its worktree first\n");
    let run = run.says("Removed slot 3, but for notes.txt: it stays registered until that is moved away\n");
    let run = run
        .prints("  ! Slot 1: held by ")
        .says("Slot 3 stays: notes.txt in it, which kinfra did not write\n");
    let run = run.says("Kept 2 slot(s)\n").never_says("no longer in slots.toml").never_says("Apply complete");
    run.says("Docker does not say which volumes stay: no such plugin\n");
    assert!(machine.exists("~/pool/slot-1/conf.txt") && machine.exists("~/pool/slot-2/conf.txt"));
    assert!(machine.exists("~/pool/slot-3/notes.txt") && !machine.exists("~/pool/slot-4"));
}

#[test]
fn where_there_is_no_pool_there_is_nothing_to_destroy() {
    let machine = Machine::small();
    machine.kinfra("destroy").exits(0).says("nothing to destroy");
    assert!(machine.tree().is_empty());
}
