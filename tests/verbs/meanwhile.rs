//! What changes while a claim waits for the lock: it is decided on what is so once it has the lock.

use std::fs::{self, File};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};

use crate::support::{Machine, Run, Running};
use crate::verbs::claim::{REGISTRY, applied, holder, make_dirs, registry};

/// A pool whose lock is held by another program.
struct Held {
    machine: Machine,
    lock: File,
}

impl Held {
    fn new() -> Self {
        let machine = applied();
        make_dirs(&machine, &["~/a"]);
        let lock = File::options().write(true).open(machine.path("~/pool/.lock")).expect("the lock");
        lock.lock().expect("it is free");
        Self { machine, lock }
    }

    /// Claims for `~/a`. Before the claim gets the lock, `change` happens.
    fn claim(&self, arguments: &str, change: impl FnOnce(&Machine)) -> Run {
        let mut command = self.machine.command(&format!("claim --lock-timeout 30s {arguments}"));
        command.arg("--spec").arg(self.machine.path("slots.toml")).current_dir(self.machine.path("~/a"));
        let claim = Running::piped(&mut command);
        let begun = Instant::now();
        while !waits_for_a_lock(claim.id()) {
            assert!(begun.elapsed() < Duration::from_secs(30), "it never waits for the lock");
            thread::sleep(Duration::from_millis(5));
        }
        change(&self.machine);
        self.lock.unlock().expect("it is held");
        claim.ends()
    }
}

/// Whether a process waits for a lock: the line of a waiter has an arrow (`proc_locks(5)`).
fn waits_for_a_lock(process: u32) -> bool {
    let locks = fs::read_to_string("/proc/locks").expect("the kernel's list of locks");
    locks
        .lines()
        .any(|line| line.contains("-> ") && line.split_whitespace().any(|word| word == process.to_string()))
}

fn change_entry(machine: &Machine, slot: &str, change: impl FnOnce(&mut Value)) {
    let mut registry = registry(machine);
    change(&mut registry["slots"][slot]);
    machine.write(REGISTRY, format!("{registry:#}\n"));
}

#[test]
fn a_slot_whose_file_went_is_passed_over() {
    let held = Held::new();
    let claimed = held.claim("", |machine| machine.remove("~/pool/slot-1/conf.txt"));
    claimed.exits(0).prints("Claimed slot 2");
    assert_eq!([holder(&held.machine, "1"), holder(&held.machine, "2")], ["", "~/a"]);
}

#[test]
fn a_slot_that_an_apply_left_unfinished_is_passed_over() {
    let held = Held::new();
    let pending = |entry: &mut Value| entry["pending"] = json!("remove");
    let claimed = held.claim("", |machine| change_entry(machine, "1", pending));
    claimed.exits(0).prints("Claimed slot 2");
}

#[test]
fn a_slot_that_went_to_another_is_not_given_twice() {
    let held = Held::new();
    let taken = |entry: &mut Value| entry["claimed_by"] = json!("/elsewhere");
    held.claim("", |machine| change_entry(machine, "1", taken)).exits(0).prints("Claimed slot 2");
    assert_eq!([holder(&held.machine, "1"), holder(&held.machine, "2")], ["/elsewhere", "~/a"]);
}

#[test]
fn a_worktree_that_went_gets_no_slot() {
    let held = Held::new();
    let refused = held.claim("", |machine| machine.remove("~/a"));
    refused.exits(4).says("nothing was claimed: `").says("/a` is not there any more");
    assert_eq!(holder(&held.machine, "1"), "");
}

#[test]
fn a_file_that_came_into_the_worktree_stays_and_nothing_is_claimed() {
    let held = Held::new();
    let refused = held.claim("", |machine| machine.write("~/a/.env.sandbox", "MINE=1\n"));
    refused.exits(4).says("and the slot's variables belong there");
    assert_eq!(holder(&held.machine, "1"), "");
    assert_eq!(held.machine.read("~/a/.env.sandbox"), "MINE=1\n");
}

#[test]
fn the_claim_and_its_lease_begin_with_the_lock() {
    let held = Held::new();
    let mut freed = None;
    let wait = Duration::from_millis(50);
    held.claim("--lease 8h", |_| {
        thread::sleep(wait);
        freed = Some(SystemTime::now());
    })
    .exits(0);
    let freed = freed.expect("it was").duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
    let time = |field: &str| {
        let entry = &registry(&held.machine)["slots"]["1"];
        kinfra::time::Time::parse(entry[field].as_str().expect("a time")).expect("a time")
    };
    let freed = kinfra::time::Time::from_unix_micros(i64::try_from(freed.as_micros()).expect("our days"));
    assert!(time("claimed_at") >= freed, "{:?}", time("claimed_at"));
    let length = kinfra::time::Span::parse("8h").expect("a span");
    assert!(time("lease_until") >= kinfra::registry::Lease::starting(freed, length).until);
}
