//! The memory that profiles declare: what `claim` and `up` make of it. The free memory is what a test says.

use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::rig::fleet::Fleet;
use crate::rig::scripted::PROJECT;
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

/// The cgroups of the containers that run in a slot, as if each had used so much at most.
fn peaks(fleet: &Fleet, slot: u16, mib: &[u64]) {
    let project = format!("kinfra-fleet-slot-{slot}");
    let containers = fleet.engine.containers().into_iter();
    let running = containers.filter(|it| it.label(PROJECT) == project && it.state() == "running");
    for ((pid, container), mib) in (5001..).zip(running).zip(mib) {
        let id = container.0["id"].as_str().expect("an id");
        fleet.engine.set("containers", &container.name(), "pid", &json!(pid));
        fleet.machine.write(&format!("~/kernel/proc/{pid}/cgroup"), format!("0::/docker/{id}\n"));
        let peak = format!("~/kernel/sys/fs/cgroup/docker/{id}/memory.peak");
        fleet.machine.write(&peak, format!("{}\n", mib << 20));
    }
}

/// kinfra on a machine whose kernel keeps those cgroups.
fn with_peaks(fleet: &Fleet, worktree: &str, arguments: &str) -> Run {
    let kernel = fleet.machine.path("~/kernel");
    Run::of(fleet.command(worktree, arguments).env("KINFRA_TEST_KERNEL", kernel)).exits(0)
}

#[test]
fn what_earlier_runs_used_is_shown_beside_what_is_declared() {
    let fleet = fleet();
    run(&fleet, "64g", "a", "up").exits(0);
    fleet.kinfra("a", "status").exits(0).prints("      memory     6 GiB declared\n");
    peaks(&fleet, 1, &[1000, 536]);
    with_peaks(&fleet, "a", "down");
    let known = "6 GiB declared, earlier runs used at most 1.5 GiB\n";
    fleet.kinfra("a", "status").exits(0).prints(known);
    let refused = run(&fleet, "5g", "a", "up").exits(3);
    refused.says("error: memory: needs 6 GiB (its earlier runs used at most 1.5 GiB), 5 GiB free\n");
    // A run that used less does not change it, nor does one that has ended.
    for (peak, stops) in [(1, false), (4000, true)] {
        run(&fleet, "64g", "a", "up").exits(0);
        peaks(&fleet, 1, &[peak, peak]);
        if stops {
            fleet.kinfra("a", "compose stop").exits(0);
        }
        with_peaks(&fleet, "a", "release");
        run(&fleet, "64g", "a", "claim --slot 1").exits(0);
        fleet.kinfra("a", "status").exits(0).prints(known);
    }
    // It is of the slot, whichever worktree holds it, and a release notes it as well.
    run(&fleet, "64g", "a", "up").exits(0);
    peaks(&fleet, 1, &[1024, 1025]);
    with_peaks(&fleet, "a", "release --wipe");
    run(&fleet, "64g", "b", "claim --slot 1").exits(0);
    fleet.kinfra("b", "status").exits(0).prints("Slot 1 ").prints("earlier runs used at most 2.1 GiB\n");
    let status: Value = serde_json::from_str(&fleet.kinfra("b", "status --json").stdout).expect("JSON");
    assert_eq!(
        (&status["declared_memory"], &status["peak_memory"]),
        (&json!(6_u64 << 30), &json!(2049_u64 << 20))
    );
    assert!(!fleet.engine.calls().iter().any(|call| call.contains("stats")));
    fleet.check().expect("nothing of another");
}

/// One is stopped after it has looked at the memory, and before its start is noted.
#[test]
fn of_two_starts_at_once_the_second_sees_the_first() {
    let fleet = fleet();
    for (worktree, slot) in [("a", 1), ("b", 2)] {
        run(&fleet, "64g", worktree, &format!("claim --slot {slot}")).exits(0);
    }
    let up = |worktree: &str| {
        let mut up = with(&fleet, "8g", worktree, "up");
        // The engine does not seem to hang.
        Running::piped(up.env("KINFRA_TEST_DOCKER_SECONDS", "60"))
    };
    for (first, second) in [("b", "a"), ("a", "b")] {
        fleet.engine.forget_calls();
        let stopped = up(first);
        let begun = Instant::now();
        while !fleet.engine.calls().iter().any(|call| call.starts_with("ps --all ")) {
            assert!(begun.elapsed() < Duration::from_mins(1), "it does not look at what runs");
            thread::sleep(Duration::from_millis(1));
        }
        stopped.signal(Signal::STOP);
        let mut other = up(second);
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(2) && other.try_wait().expect("a program").is_none() {
            thread::sleep(Duration::from_millis(20));
        }
        stopped.signal(Signal::CONT);
        let (stopped, other) = (stopped.ends(), other.ends());
        let refusal = "error: memory: needs 6 GiB, 2 GiB free; held by slot ";
        match (stopped.code, other.code) {
            (Some(0), Some(3)) => drop(other.says(refusal)),
            (Some(3), Some(0)) => drop(stopped.says(refusal)),
            codes => panic!("{codes:?}: {stopped:?} {other:?}"),
        }
        for worktree in ["a", "b"] {
            fleet.kinfra(worktree, "down").exits(0);
        }
    }
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
