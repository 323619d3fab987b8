//! Known complaints about other plan/apply tools, and what kinfra does instead.

use std::fs;

use serde_json::Value;

use crate::support::{Machine, Run};

fn applied() -> Machine {
    let machine = Machine::small();
    machine.kinfra("apply").exits(0);
    machine
}

#[test]
fn a_failed_apply_has_a_summary_too() {
    let machine = applied();
    machine.edit_spec("1-2", "1-4");
    // Slot 3's file is larger than the shell's limit allows.
    machine.template("conf.txt", "{{ 'x' * 100000 if slot.id == 3 else slot.id }}");
    let limited = |arguments: &str| {
        let mut shell = machine.program("sh");
        shell.args(["-c", "ulimit -f 60; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_kinfra")]);
        Run::of(shell.args(arguments.split(' ')))
    };
    let run = limited("apply").exits(1).says("Failed slot 3: ").says("Created slot 4");
    run.says("Failed 1 slot\n\nApply incomplete! 1 added, 0 changed, 0 destroyed.");
    let json = limited("apply --json").exits(1);
    let last: Value = serde_json::from_str(json.stdout.lines().last().expect("a summary")).expect("JSON");
    assert_eq!((&last["event"], &last["failed"]), (&"summary".into(), &1.into()));
    // A saved plan fails in the same way.
    machine.kinfra("plan --out plan").exits(0);
    limited("apply plan").exits(1).says("Apply incomplete! 0 added");
}

#[test]
fn there_is_no_colour_in_a_pipe() {
    let machine = applied();
    machine.edit_spec("1-2", "1-3");
    machine.write("~/pool/slot-1/conf.txt", "mine\n");
    for arguments in ["plan", "plan --diff", "plan --out plan", "show plan", "apply", "slots", "validate"] {
        machine.kinfra(arguments).exits(0).never_says("\u{1b}");
    }
    machine.edit_spec("version = 1", "version = 7");
    machine.kinfra("plan").exits(65).never_says("\u{1b}");
}

#[test]
fn slots_come_in_the_order_of_their_numbers() {
    let machine = Machine::small();
    machine.edit_spec("1-2", "1-3,9-11,100");
    let order = |text: &str, before: &str| -> Vec<u16> {
        let ids = text.lines().filter_map(|line| line.trim_start().strip_prefix(before));
        ids.filter_map(|rest| rest.split_whitespace().next()?.parse().ok()).collect()
    };
    let numbers = [1, 2, 3, 9, 10, 11, 100];
    assert_eq!(order(&machine.kinfra("plan").stdout, "+ Would create slot "), numbers);
    assert_eq!(order(&machine.kinfra("apply").stderr, "Created slot "), numbers);
    assert_eq!(order(&machine.kinfra("slots").stdout, ""), numbers);
    let registry = machine.read("~/pool/registry.json");
    let ids = registry.lines().filter_map(|line| line.trim().strip_prefix("\"slot_id\": "));
    let ids: Vec<u16> = ids.filter_map(|id| id.trim_end_matches(',').parse().ok()).collect();
    assert_eq!(ids, numbers);
}

#[test]
fn a_protected_slot_does_not_fail_the_plan_of_the_rest() {
    let machine = applied();
    fs::create_dir(machine.path("~/tree")).expect("a worktree");
    machine.kinfra(&format!("claim --slot 2 --for {}", machine.path("~/tree").display())).exits(0);
    machine.edit_spec("1-2", "1,3");
    let run = machine.kinfra("apply --update --prune --auto-approve").exits(0);
    run.prints("  ! Slot 2: no longer in slots.toml, held by ").says("Created slot 3");
}

#[test]
fn a_plan_is_not_applied_to_another_spec_than_it_was_made_from() {
    let machine = applied();
    machine.edit_spec("1-2", "1-3");
    machine.kinfra("plan --out plan").exits(0);
    machine.edit_spec("1-3", "1-4");
    let before = machine.tree();
    machine.kinfra("apply plan").exits(4).says("stale").says("slot 4: profile in slots.toml: nothing → only");
    assert_eq!(machine.tree(), before);
}

#[test]
fn without_a_terminal_no_question_is_asked() {
    let machine = applied();
    machine.template("conf.txt", "new\n");
    let before = machine.tree();
    let run = machine
        .kinfra("apply --update")
        .exits(4)
        .says("there is no terminal to ask on\nhelp: run it on a terminal, or give --auto-approve");
    run.never_says("Only 'yes'");
    assert_eq!(machine.tree(), before);
}

#[test]
fn a_waiter_for_the_lock_is_told_its_holder() {
    let machine = applied();
    machine.edit_spec("1-2", "1-3");
    let lock = fs::File::options().read(true).write(true).open(machine.path("~/pool/.lock")).expect("a lock");
    lock.lock().expect("the lock");
    fs::write(machine.path("~/pool/.lock"), "4242 0 kinfra destroy\n").expect("a name");
    let run = machine.kinfra("apply --lock-timeout 0s").exits(6);
    run.says("/pool/.lock` is held by process 4242 (kinfra destroy) for ").says("give --lock-timeout more");
    drop(lock);
    Run::of(&mut machine.command("apply")).exits(0);
}

#[test]
fn an_apply_that_fails_as_a_whole_has_a_summary_too() {
    // Each file is small, but the registry of 120 slots is larger than the shell's limit.
    let machine = Machine::small();
    machine.edit_spec("1-2", "1-120");
    let limited = |arguments: &str| {
        let mut shell = machine.program("sh");
        shell.args(["-c", "ulimit -f 8; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_kinfra")]);
        Run::of(shell.args(arguments.split(' ')))
    };
    let run =
        limited("apply").exits(1).says("Failed slots 1-120: not committed: the next apply completes it\n");
    run.says("\n\nApply incomplete! 0 added, 0 changed, 0 destroyed.\nerror: ").says("registry.json");
    let json = limited("apply --json").exits(1);
    let events: Vec<Value> =
        json.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(events.len(), 122);
    assert_eq!((&events[1]["slot_id"], &events[1]["result"]), (&1.into(), &"failed".into()));
    let last = &events[121];
    assert_eq!((&last["event"], &last["failed"]), (&"summary".into(), &120.into()));
    assert!(last["error"].as_str().is_some_and(|error| error.contains("registry.json")), "{last}");
    machine.kinfra("apply").exits(0).says("120 added");

    // An apply that fails before its first action.
    let machine = Machine::small();
    machine.write("~/.local/state/kinfra/pools", "in the way");
    let run = machine.kinfra("apply").says("\n\nApply incomplete! 0 added, 0 changed, 0 destroyed.\nerror: ");
    assert!(run.code.is_some_and(|code| code != 0), "{run:#?}");
}
