//! The lock of a slot's stack is held for as long as a Compose makes something of it, whatever becomes of the
//! kinfra that started it.

use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use super::compose::Shop;
use super::up::up;
use crate::rig::fleet::{Fleet, Slot};
use crate::rig::scripted::{Fault, When};
use crate::support::{Run, Running, SHOP};

/// A Compose that hangs while it starts something for the worktree `a`.
fn hanging(fleet: &Fleet, arguments: &str) -> Running {
    fleet.engine.forget_calls();
    fleet.engine.fails(Fault::Hang, &When::Matches(" up -"));
    let running = Running::piped(&mut fleet.command("a", arguments));
    let begun = Instant::now();
    let is_called = || fleet.engine.calls().iter().any(|call| call.contains(" up -"));
    // Its kinfra notes it in the lock once it runs.
    let is_noted = || fleet.machine.read("~/pool/.stacks/slot-1").contains("docker compose");
    while !is_called() || !is_noted() {
        assert!(begun.elapsed() < Duration::from_mins(1), "Compose was not called");
        thread::sleep(Duration::from_millis(5));
    }
    fleet.engine.mend();
    running
}

/// The process that a message names, which is there.
fn named(run: &Run) -> Pid {
    let found =
        run.stderr.split("process ").nth(1).and_then(|rest| rest.split_once(" (docker compose) for "));
    let pid = found.and_then(|(pid, _)| Pid::from_raw(pid.parse().ok()?));
    let pid = pid.unwrap_or_else(|| panic!("no Compose is named: {run:#?}"));
    test_kill_process(pid).expect("it is there");
    pid
}

fn kill(pid: Pid) {
    kill_process(pid, Signal::KILL).expect("it is there");
}

#[test]
fn a_compose_that_outlives_its_kinfra_keeps_the_slot_from_being_clean() {
    let fleet = Fleet::new(&["a", "b"]);
    fleet.kinfra("a", "claim").exits(0);
    let running = hanging(&fleet, "up --no-gate");
    running.signal(Signal::KILL);
    running.ends();
    // It waits for that Compose.
    let waiting = fleet.kinfra("a", "up --no-gate --timeout 0s").exits(6);
    waiting
        .says("Waiting: the stack is held by process ")
        .says("the stack of slot 1 is in the hands of process");
    let released = fleet.kinfra("a", "release --lock-timeout 0s").exits(1);
    let released = released.says("slot 1 is free, but not clean yet").says("its stack is in the hands of");
    let released = released.says("wait for it or end it, and run `kinfra clean 1`");
    assert!(matches!(fleet.slots()[&1], Slot::Left(_)), "{:?}", fleet.slots()[&1]);
    let other = fleet.kinfra("b", "claim --slot 1 --lock-timeout 0s");
    assert_ne!(other.code, Some(0), "{other:#?}");
    kill(named(&released));
    fleet.kinfra("b", "clean 1 --auto-approve").exits(0);
    assert_eq!(fleet.slots()[&1], Slot::Clean);
}

#[test]
fn a_kinfra_that_becomes_compose_holds_the_stack_as_compose() {
    let fleet = Fleet::new(&["a"]);
    fleet.kinfra("a", "claim").exits(0);
    fleet.kinfra("a", "up --no-gate").exits(0);
    let compose = hanging(&fleet, "compose up --detach");
    let waiting = fleet.kinfra("a", "up --no-gate --timeout 0s").exits(6);
    assert_eq!(named(&waiting).as_raw_nonzero().get().unsigned_abs(), compose.id());
    // Commands of Compose run beside each other.
    for arguments in ["compose ps", "compose restart", "compose up --detach", "compose build"] {
        fleet.kinfra("a", arguments).exits(0);
    }
    // What ends the stack has its containers stopped first: a Compose in the foreground ends with them.
    fleet.kinfra("a", "down --lock-timeout 0s").exits(6).says("in the hands of process ");
    let states: Vec<String> = fleet.engine.containers().iter().map(|it| it.state().to_owned()).collect();
    assert!(!states.is_empty() && states.iter().all(|state| state == "exited"), "{states:?}");
    compose.signal(Signal::KILL);
    compose.ends();
    fleet.kinfra("a", "down").exits(0);
}

#[test]
fn a_second_up_waits_as_long_as_the_first_needs_and_tells_its_result() {
    let fleet = Fleet::new(&["a"]);
    fleet.kinfra("a", "claim").exits(0);
    // A health check that does not end: the gate looks until its time is over.
    let slow = "restart: always\n    healthcheck: {test: ['true']}\n    labels: {engine.does: starting}";
    let compose = fleet.machine.read("~/a/compose.yaml").replace("restart: always", slow);
    fleet.machine.write("~/a/compose.yaml", compose);
    let started = || fleet.engine.calls().iter().filter(|call| call.contains(" up --detach")).count();
    let wait_for_gate = || {
        let begun = Instant::now();
        let is_gate = |calls: &[String]| {
            let mut calls = calls.iter().skip_while(|call| !call.contains(" up --detach"));
            calls.any(|call| call.contains("inspect"))
        };
        while !is_gate(&fleet.engine.calls()) {
            assert!(begun.elapsed() < Duration::from_mins(1), "there is no gate");
            thread::sleep(Duration::from_millis(5));
        }
    };
    fleet.engine.forget_calls();
    let first = Running::piped(&mut fleet.command("a", "up --timeout 8s --settle 0s"));
    wait_for_gate();
    // Not even `down` disturbs the first one.
    fleet.kinfra("a", "down --lock-timeout 0s").exits(6).says("(kinfra up) for ");
    assert!(fleet.engine.containers().iter().all(|container| container.state() == "running"));
    let second = fleet.kinfra("a", "up --timeout 0s --settle 0s").exits(8);
    second.says("Waiting: the stack is held by process ").says("(kinfra up) for ").says("not ready in time");
    first.ends().exits(8);
    assert_eq!(started(), 1, "the second one starts nothing");
    fleet.kinfra("a", "up --timeout 0s --settle 0s").exits(8).never_says("Waiting");
    assert_eq!(started(), 2, "one that did not wait does");

    fleet.engine.forget_calls();
    let first = Running::piped(&mut fleet.command("a", "up --timeout 4s --settle 0s"));
    wait_for_gate();
    let compose = fleet.machine.read("~/a/compose.yaml") + "# a remark\n";
    fleet.machine.write("~/a/compose.yaml", compose);
    fleet.kinfra("a", "up --timeout 0s --settle 0s").exits(8).says("Waiting");
    first.ends().exits(8);
    assert_eq!(started(), 2, "one with other files starts them");
}

#[test]
fn the_check_of_a_project_runs_beside_commands_of_compose_and_holds_no_lock() {
    let shop = Shop::new();
    let kinfra = env!("CARGO_BIN_EXE_kinfra");
    let script = format!("{kinfra} compose run web true && ! ls -l /proc/self/fd 2>&1 | grep -q stacks");
    shop.machine.spec(&format!("{SHOP}[stack]\nverify = [\"/bin/sh\", \"-c\", \"{script}\"]\n"));
    shop.machine.kinfra("apply").exits(0);
    Run::of(&mut up(&shop, "")).exits(0).says("Checking with");
}
