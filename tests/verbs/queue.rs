//! `kinfra claim --wait`: waiters are served in order, and a dead waiter delays no other.

use std::io::{BufRead as _, BufReader};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::{Machine, Run, Running, has_no_file};
use crate::verbs::claim::{applied, holder, make_dirs, run_in};

/// An applied pool of two slots, both held.
fn full() -> Machine {
    let machine = applied();
    make_dirs(&machine, &["~/h1", "~/h2", "~/a", "~/b", "~/c"]);
    run_in(&machine, "~/h1", "claim").exits(0);
    run_in(&machine, "~/h2", "claim").exits(0);
    machine
}

/// A `claim --wait` that is in the queue and has said so.
struct Waiter {
    child: Running,
    said: String,
}

impl Waiter {
    fn start(machine: &Machine, directory: &str, arguments: &str) -> Self {
        let mut command = machine.command(&format!("claim {arguments}"));
        command.arg("--spec").arg(machine.path("slots.toml")).current_dir(machine.path(directory));
        let mut child = Running::piped(&mut command);
        let mut said = String::new();
        let stderr = child.stderr.as_mut().expect("stderr");
        BufReader::with_capacity(1, stderr).read_line(&mut said).expect("a line");
        assert!(said.starts_with("Waiting for a slot: "), "{said}");
        Self { child, said }
    }

    fn signal(&self, signal: Signal) {
        self.child.signal(signal);
    }

    fn ends(self) -> Run {
        self.child.ends()
    }
}

/// Waits until a condition holds.
fn until(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(30), "never: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn waiters_are_served_in_order() {
    let machine = full();
    let first = Waiter::start(&machine, "~/a", "--wait");
    let second = Waiter::start(&machine, "~/b", "--wait=1h");
    let held = "Held: 1 by h1 (just now), 2 by h2 (just now).";
    assert_eq!(first.said, format!("Waiting for a slot: you are next. {held}\n"));
    assert_eq!(second.said, format!("Waiting for a slot: 1 ahead of you. {held}\n"));
    run_in(&machine, "~/h2", "release").exits(0);
    first.ends().exits(0).prints("Claimed slot 2");
    run_in(&machine, "~/h1", "release").exits(0);
    second.ends().exits(0).prints("Claimed slot 1");
    assert_eq!([holder(&machine, "1"), holder(&machine, "2")], ["~/b", "~/a"]);
    assert_eq!(machine.tickets(), 0);
}

#[test]
fn no_request_overtakes_and_a_dead_waiter_delays_none() {
    let machine = full();
    let first = Waiter::start(&machine, "~/a", "--wait");
    // It is still alive, but suspended.
    first.signal(Signal::STOP);
    let second = Waiter::start(&machine, "~/b", "--wait");
    run_in(&machine, "~/h1", "release").exits(0);
    let before = machine.read("~/pool/registry.json");
    let queued = run_in(&machine, "~/c", "claim")
        .exits(3)
        .says("error: the queue has 2 ahead of you, and the next free slot is for `~/a`\n");
    queued.says("\nhelp: `--wait` waits for a slot\n").says("\n  slot 1 is free\n");
    run_in(&machine, "~/c", "claim --slot 1").exits(3).says("the queue has 2 ahead of you");
    assert_eq!(machine.read("~/pool/registry.json"), before);
    // A holder keeps its slot, whatever the queue is.
    run_in(&machine, "~/h2", "claim").exits(0).prints("Slot 2 (only) is yours already");
    first.signal(Signal::KILL);
    second.ends().exits(0).prints("Claimed slot 1");
    first.ends();
    if has_no_file("a ticket on a server counts until it expires") {
        return;
    }
    // The ticket of a dead waiter does not count for new ones.
    let third = Waiter::start(&machine, "~/c", "--wait");
    assert!(third.said.starts_with("Waiting for a slot: you are next. Held: "), "{}", third.said);
    run_in(&machine, "~/b", "release").exits(0);
    third.ends().exits(0);
    // Nor does it keep a slot from one that does not wait.
    let dead = Waiter::start(&machine, "~/a", "--wait");
    dead.signal(Signal::KILL);
    dead.ends();
    run_in(&machine, "~/c", "release").exits(0);
    run_in(&machine, "~/b", "claim").exits(0);
}

#[test]
fn a_waiter_that_cannot_be_served_delays_no_other() {
    let machine = full();
    let picky = Waiter::start(&machine, "~/a", "--wait --slot 2");
    let other = Waiter::start(&machine, "~/b", "--wait --slot 1");
    run_in(&machine, "~/h1", "release").exits(0);
    other.ends().exits(0).prints("Claimed slot 1");
    let last = Waiter::start(&machine, "~/c", "--wait");
    run_in(&machine, "~/b", "release").exits(0);
    last.ends().exits(0).prints("Claimed slot 1");
    run_in(&machine, "~/h2", "release").exits(0);
    picky.ends().exits(0).prints("Claimed slot 2");
}

#[test]
fn a_timeout_or_ctrl_c_leaves_the_queue() {
    let machine = full();
    let late = run_in(&machine, "~/a", "claim --wait=1s").exits(3).says("Waiting for a slot: ");
    late.says("error: no slot is free\n  slot 1 is held by ");
    for (signal, code) in [(Signal::INT, Some(130)), (Signal::TERM, Some(130))] {
        let waiter = Waiter::start(&machine, "~/a", "--wait");
        waiter.signal(signal);
        let run = waiter.ends();
        assert_eq!(run.code, code, "{run:#?}");
        run.says("error: stopped waiting: nothing was claimed").prints_exactly("");
    }
    assert_eq!(machine.tickets(), 0);
    // A request that no slot can satisfy does not wait.
    run_in(&machine, "~/a", "claim --wait --profile huge").exits(3).says("no slot of profile huge");
    run_in(&machine, "~/a", "claim --wait --slot 9").exits(3).says("the pool has no slot 9");
    run_in(&machine, "~/h1", "claim --wait --slot 2").exits(4).says("holds slot 1 already");
}

#[test]
fn one_worktree_that_waits_twice_gets_one_slot() {
    let machine = full();
    let waiters = [(); 2].map(|()| Waiter::start(&machine, "~/a", "--wait"));
    run_in(&machine, "~/h1", "release").exits(0);
    let said: String = waiters.map(|waiter| waiter.ends().exits(0).stdout).concat();
    assert!(said.contains("Claimed slot 1") && said.contains("Slot 1 (only) is yours already"), "{said}");
    until("one slot is left to h2", || holder(&machine, "2") == "~/h2");
}

#[test]
fn waiting_holds_no_lock() {
    let machine = full();
    let waiter = Waiter::start(&machine, "~/a", "--wait");
    machine.edit_spec("ids = \"1-2\"", "ids = \"1-3\"");
    machine.kinfra("apply --lock-timeout 0s").exits(0).says("Created slot 3");
    waiter.ends().exits(0).prints("Claimed slot 3");
}

#[test]
#[ignore = "takes ten seconds: a called waiter has that long to answer"]
fn a_suspended_waiter_is_passed_over_until_it_answers() {
    let machine = full();
    let asleep = Waiter::start(&machine, "~/a", "--wait");
    asleep.signal(Signal::STOP);
    let awake = Waiter::start(&machine, "~/b", "--wait");
    run_in(&machine, "~/h1", "release").exits(0);
    awake.ends().exits(0).prints("Claimed slot 1");
    // From now on no other request waits for it.
    run_in(&machine, "~/h2", "release").exits(0);
    run_in(&machine, "~/c", "claim").exits(0).prints("Claimed slot 2");
    // It has kept its place.
    asleep.signal(Signal::CONT);
    let ticket = machine.path("~/pool/.queue/1");
    until("the waiter has answered", || {
        !std::fs::read_to_string(&ticket).expect("its ticket").contains("called ")
    });
    let last = Waiter::start(&machine, "~/h1", "--wait");
    run_in(&machine, "~/c", "release").exits(0);
    asleep.ends().exits(0).prints("Claimed slot 2");
    run_in(&machine, "~/b", "release").exits(0);
    last.ends().exits(0).prints("Claimed slot 1");
}

#[test]
fn a_called_waiter_that_does_not_answer_delays_no_claim() {
    if has_no_file("a ticket on a server is no file") {
        return;
    }
    let machine = full();
    let asleep = Waiter::start(&machine, "~/a", "--wait");
    asleep.signal(Signal::STOP);
    run_in(&machine, "~/h1", "release").exits(0);
    run_in(&machine, "~/c", "claim").exits(3).says("the queue has 1 ahead of you, and the next ");
    run_in(&machine, "~/c", "claim").exits(3);
    // As if ten seconds had passed.
    let ticket = "~/pool/.queue/1";
    let text = machine.read(ticket);
    let (ours, called) = text.split_once("called ").expect("the waiter was called");
    let called: u64 = called.trim_end().parse().expect("a time, once");
    machine.write(ticket, format!("{ours}called {}\n", called - 11));
    run_in(&machine, "~/c", "claim").exits(0).prints("Claimed slot 1");
    asleep.signal(Signal::CONT);
    run_in(&machine, "~/c", "release").exits(0);
    asleep.ends().exits(0).prints("Claimed slot 1");
}

#[test]
fn dead_waiters_are_not_counted_and_claims_that_are_over_are_named() {
    if has_no_file("a ticket on a server counts until it expires") {
        return;
    }
    let machine = full();
    let [first, second] = ["~/a", "~/b"].map(|directory| Waiter::start(&machine, directory, "--wait"));
    first.signal(Signal::KILL);
    first.ends();
    let third = Waiter::start(&machine, "~/c", "--wait");
    assert!(third.said.starts_with("Waiting for a slot: 1 ahead of you. Held: "), "{}", third.said);
    for waiter in [second, third] {
        waiter.signal(Signal::INT);
        waiter.ends().exits(130);
    }
    machine.remove("~/h2");
    run_in(&machine, "~/h1", "claim --lease 1s").exits(0);
    thread::sleep(Duration::from_millis(1100));
    let full = run_in(&machine, "~/a", "claim").exits(3).says(", and its lease has run out\n");
    full.says(", which is gone\n").says("\nhelp: slots 1-2: run `kinfra reap`\n");
}

#[test]
#[ignore = "takes ten seconds: a called waiter has that long to answer"]
fn a_waiter_that_rejects_an_unfit_slot_keeps_its_place() {
    let machine = full().with_ports_in_use("8001");
    let waiters = ["~/a", "~/b", "~/c"].map(|directory| Waiter::start(&machine, directory, "--wait"));
    run_in(&machine, "~/h1", "release").exits(0);
    thread::sleep(Duration::from_secs(12));
    run_in(&machine, "~/h2", "release").exits(0);
    let [first, second, third] = waiters;
    first.ends().exits(0).prints("Claimed slot 2").says("Passed over slot 1: its port 8001");
    assert_eq!(holder(&machine, "2"), "~/a");
    for waiter in [second, third] {
        waiter.signal(Signal::INT);
        waiter.ends().exits(130);
    }
}

#[test]
fn a_claim_that_could_not_write_its_file_does_not_wait() {
    let machine = full();
    machine.write("~/a/.env.sandbox", "MINE=1\n");
    let refused = run_in(&machine, "~/a", "claim --wait").exits(4);
    refused
        .says("error: nothing was claimed: `")
        .says("/a/.env.sandbox` is not as this pool wrote it, and the slot's variables belong there\n");
    assert!(!machine.exists("~/pool/.queue"));
}

#[test]
fn an_unfit_slot_lets_no_request_overtake() {
    let machine = full();
    let first = Waiter::start(&machine, "~/a", "--wait");
    first.signal(Signal::STOP);
    machine.write("~/pool/slot-1/conf.txt", "EDITED=1\n");
    run_in(&machine, "~/h1", "release").exits(0);
    run_in(&machine, "~/h2", "release").exits(0);
    // The first in the queue cannot have slot 1, so slot 2 is its.
    let queued = run_in(&machine, "~/b", "claim")
        .exits(3)
        .says("the queue has 1 ahead of you, and the next free slot is for `");
    queued.says("slot 1 is free, but its conf.txt was edited by hand").says("slot 2 is free");
    first.signal(Signal::CONT);
    first.ends().exits(0).prints("Claimed slot 2");
}

/// Holds the root's lock until it is dropped.
fn hold_lock(machine: &Machine) -> std::fs::File {
    let lock = std::fs::File::options().write(true).open(machine.path("~/pool/.lock")).expect("the lock");
    lock.lock().expect("it is free");
    lock
}

#[test]
fn a_waiter_waits_for_the_lock_too_and_obeys_ctrl_c() {
    let machine = full();
    run_in(&machine, "~/h1", "release").exits(0);
    let lock = hold_lock(&machine);
    run_in(&machine, "~/a", "claim --lock-timeout 0s").exits(6).says("is held by");
    let start = |directory: &str, arguments: &str| {
        let mut command = machine.command(&format!("claim --lock-timeout 0s {arguments}"));
        command.arg("--spec").arg(machine.path("slots.toml")).current_dir(machine.path(directory));
        Running::piped(&mut command)
    };
    start("~/a", "--wait=1s").ends().exits(6).says("is held by");
    let stopped = Waiter { child: start("~/b", "--wait"), said: String::new() };
    // By then it handles signals.
    thread::sleep(Duration::from_millis(300));
    stopped.signal(Signal::INT);
    stopped.ends().exits(130).says("error: stopped waiting for `").says("nothing was done");
    let patient = start("~/c", "--wait");
    thread::sleep(Duration::from_millis(300));
    drop(lock);
    patient.ends().exits(0).prints("Claimed slot 1");
}
