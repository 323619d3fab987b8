//! The memory that profiles declare: what `claim` and `up` make of it. The free memory is what a test says.

use std::process::Command;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::rig::fleet::Fleet;
use crate::support::{Run, Running};

/// Three worktrees, and two slots that need 6 GiB each.
fn fleet() -> Fleet {
    let fleet = Fleet::new(&["a", "b", "c"]);
    let spec = fleet.machine.read("slots.toml");
    let declared = spec.replacen("name = \"only\"", "name = \"only\"\nmemory = \"6g\"", 1);
    assert_ne!(spec, declared, "it has that profile");
    fleet.machine.spec(&declared);
    for worktree in ["a", "b", "c"] {
        fleet.machine.write(&format!("~/{worktree}/slots.toml"), &declared);
    }
    fleet
}

fn with(fleet: &Fleet, free: &str, worktree: &str, arguments: &str) -> Command {
    let mut command = fleet.command(worktree, arguments);
    command.env("KINFRA_TEST_MEMORY", free);
    command
}

fn run(fleet: &Fleet, free: &str, worktree: &str, arguments: &str) -> Run {
    Run::of(&mut with(fleet, free, worktree, arguments))
}

/// Why there is no slot, by the one document that is printed.
fn reason(run: &Run) -> String {
    let document: Value = serde_json::from_str(&run.stdout).expect("one document");
    assert!(document["slot_id"].is_null() && document["error"].is_string(), "{document}");
    document["reason"].as_str().expect("a reason").to_owned()
}

#[test]
fn a_claim_tells_a_full_pool_from_one_that_is_closed_for_memory() {
    let fleet = fleet();
    let closed = run(&fleet, "2200m", "a", "claim --json").exits(3);
    let closed = closed.says("no slot can be given for its memory").says("memory: needs 6 GiB, 2.1 GiB free");
    assert_eq!(reason(&closed), "memory");
    run(&fleet, "2g", "a", "claim --slot 1").exits(3).says("memory: needs 6 GiB, 2 GiB free");
    run(&fleet, "2g", "a", "claim --wait=1s").exits(3).says("memory");
    for worktree in ["a", "b"] {
        run(&fleet, "6g", worktree, "claim").exits(0);
    }
    let full = run(&fleet, "64g", "c", "claim --json").exits(3).says("no slot is free");
    assert_eq!(reason(&full), "full");
    // What a worktree holds stays its own.
    run(&fleet, "1m", "a", "claim").exits(0).prints("yours already");
}

#[test]
fn a_start_needs_what_is_free_less_what_others_declared_and_do_not_use_yet() {
    let fleet = fleet();
    for worktree in ["a", "b"] {
        run(&fleet, "64g", worktree, "claim").exits(0);
    }
    let alone = run(&fleet, "5g", "a", "up").exits(3);
    alone.says("error: memory: needs 6 GiB, 5 GiB free\nhelp: end other programs");
    run(&fleet, "8g", "a", "up").exits(0);
    let before = fleet.engine.containers().len();
    let refused = run(&fleet, "8g", "b", "up --json").exits(3);
    let refused =
        refused.says("error: memory: needs 6 GiB, 2 GiB free; held by slot 1 (a, 6 GiB)\nhelp: stop one");
    assert_eq!(reason(&refused), "memory");
    assert_eq!(fleet.engine.containers().len(), before, "nothing was started");
    run(&fleet, "12g", "b", "up").exits(0);
    run(&fleet, "1m", "b", "slots").exits(0);
    // One that is down does not count.
    fleet.kinfra("a", "down").exits(0);
    fleet.kinfra("b", "down").exits(0);
    run(&fleet, "8g", "b", "up").exits(0);
}

#[test]
fn a_start_can_wait_for_memory() {
    let fleet = fleet();
    for worktree in ["a", "b"] {
        run(&fleet, "64g", worktree, "claim").exits(0);
    }
    run(&fleet, "8g", "a", "up").exits(0);
    run(&fleet, "8g", "b", "up --wait=1s").exits(3).says("Waiting for memory: needs 6 GiB, 2 GiB free");
    let waits = Running::piped(&mut with(&fleet, "8g", "b", "up --wait"));
    thread::sleep(Duration::from_secs(1));
    fleet.kinfra("a", "down").exits(0);
    waits.ends().exits(0).says("Starting the stack of slot 2");
}
