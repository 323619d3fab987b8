//! Cleaning slots that no worktree holds, on an engine of the tests' own.

use std::io::Read as _;
use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::rig::fleet::{Fleet, UP};
use crate::rig::scripted::{Fault, When};
use crate::support::{Run, Running};

fn left(fleet: &Fleet) -> Value {
    let registry: Value = serde_json::from_str(&fleet.machine.read("~/pool/registry.json")).expect("JSON");
    registry["slots"]["1"]["left"].clone()
}

/// Lets the last failure be so many minutes ago.
fn failed_before(fleet: &Fleet, minutes: i64) {
    let mut registry: Value =
        serde_json::from_str(&fleet.machine.read("~/pool/registry.json")).expect("JSON");
    let at = &mut registry["slots"]["1"]["left"]["failed_at"];
    let then: jiff::Timestamp = at.as_str().expect("a time").parse().expect("a time");
    *at = (then - jiff::SignedDuration::from_mins(minutes)).to_string().into();
    fleet.machine.write("~/pool/registry.json", registry.to_string());
}

#[test]
fn what_failed_just_now_is_not_tried_again_by_a_waiter_and_counts_once() {
    let fleet = Fleet::new(&["a", "b", "c"]);
    fleet.kinfra("a", UP).exits(0);
    fleet.kinfra("c", "claim").exits(0).prints("Claimed slot 2");
    fleet.engine.fails(Fault::Fail, &When::Matches("volume rm"));
    fleet.kinfra("a", "release --wipe").exits(1);
    assert_eq!(left(&fleet)["failures"], 1);
    // Neither by any slot nor by this one.
    fleet.engine.forget_calls();
    for claim in ["claim --wait=1s", "claim --wait=1s --slot 1"] {
        let late = fleet.kinfra("b", claim);
        assert!(late.code == Some(3) || claim.contains("slot") && late.code == Some(4), "{late:?}");
        late.says("Waiting for a free slot: you are next").says("it is not clean yet");
    }
    assert_eq!(fleet.engine.calls(), [""; 0]);
    // Without waiting it is tried, and not counted.
    fleet.kinfra("b", "claim").exits(3);
    fleet.kinfra("b", "reap --auto-approve").exits(1);
    fleet.kinfra("b", "clean 1 --auto-approve").exits(1);
    assert_eq!(left(&fleet)["failures"], 1);
    failed_before(&fleet, 1);
    fleet.kinfra("b", "claim --wait=1s").exits(3);
    assert_eq!(left(&fleet)["failures"], 2);
    failed_before(&fleet, 1);
    fleet.kinfra("b", "claim --wait=1s").exits(3);
    assert_eq!(left(&fleet)["failures"], 2, "the second pause is longer");
    failed_before(&fleet, 1);
    // At the third failure there is nothing to wait for.
    fleet.kinfra("b", "claim --wait --slot 1").exits(4).says("it is quarantined").never_says("Waiting");
    fleet.engine.mend();
    fleet.kinfra("b", "clean 1 --auto-approve").exits(0);
    fleet.kinfra("b", "claim --wait").exits(0).prints("Claimed slot 1");
}

#[test]
fn a_waiter_whose_last_slot_another_one_quarantined_ends() {
    let fleet = Fleet::new(&["a", "b", "c"]);
    fleet.kinfra("a", UP).exits(0);
    fleet.engine.fails(Fault::Fail, &When::Matches("volume rm"));
    fleet.kinfra("a", "release --wipe").exits(1);
    let wait = Running::piped(&mut fleet.command("b", "claim --wait --slot 1"));
    for failures in [2, 3] {
        failed_before(&fleet, 4);
        fleet.kinfra("c", "clean 1 --auto-approve");
        assert_eq!(left(&fleet)["failures"], failures);
    }
    wait.ends().exits(4).says("it is quarantined");
}

#[test]
fn data_that_began_to_go_is_not_kept_for_its_worktree_any_more() {
    let fleet = Fleet::new(&["a", "b"]);
    fleet.kinfra("a", UP).exits(0);
    fleet.kinfra("a", "release").exits(0);
    assert_eq!(left(&fleet)["remains"], "data");
    fleet.engine.fails(Fault::Fail, &When::Matches("volume rm"));
    fleet.kinfra("b", "clean 1 --auto-approve").exits(1).says("slot 1 is free, but not clean yet");
    fleet.engine.mend();
    assert_eq!(left(&fleet)["remains"], "everything");
    // Its own worktree gets a slot without data, and not with what is left of it.
    let claim = fleet.kinfra("a", "claim --slot 1").exits(0);
    claim.says("Cleaned slot 1: volume shop-slot-1_data").never_says("has the volumes");
    assert_eq!(left(&fleet), Value::Null);
}

#[test]
fn a_request_that_cannot_be_served_removes_no_data_of_another() {
    let fleet = Fleet::new(&["a", "b"]);
    fleet.kinfra("a", UP).exits(0);
    fleet.kinfra("a", "release").exits(0);
    // A claim writes this file, and this one is not kinfra's.
    fleet.machine.write("~/b/.env.sandbox", "MINE=1\n");
    fleet.kinfra("b", "claim --slot 1").exits(4);
    assert_eq!(left(&fleet)["remains"], "data");
    fleet.kinfra("a", "claim").exits(0).says("has the volumes of this worktree's last claim");
}

#[test]
fn a_docker_that_does_not_answer_is_told_apart_from_a_full_pool() {
    let fleet = Fleet::new(&["a", "b", "c"]);
    for worktree in ["a", "b"] {
        fleet.kinfra(worktree, UP).exits(0);
    }
    fleet.engine.fails(Fault::Gone, &When::Always);
    fleet.kinfra("a", "release").exits(9);
    let claim = fleet.kinfra("c", "claim").exits(9);
    let claim = claim.says("error: no slot can be given: Docker cannot be asked what is left in slot 1\n");
    let claim = claim.says("\n  slot 1 is free, but it is not clean yet: ").says("\n  slot 2 is held by ");
    claim.says("\nhelp: slot 1: start Docker, and run again\n");
    fleet.kinfra("c", "claim --slot 1").exits(9).says("slot 1 cannot be claimed: it is not clean yet");
    fleet.kinfra("c", "claim --slot 2").exits(4).says("slot 2 is held by ");
    fleet.kinfra("b", "release").exits(9);
    fleet.engine.forget_calls();
    let claim = fleet.kinfra("c", "claim").exits(9);
    claim.says("what is left in slots 1-2\n").says("\nhelp: slots 1-2: start Docker, and run again\n");
    assert_eq!(fleet.engine.calls().len(), 1, "one that does not answer is asked once");
    assert_eq!(left(&fleet)["failures"], Value::Null);
    // A waiter says so once, and goes on.
    let mut wait = Running::piped(&mut fleet.command("c", "claim --wait"));
    let told =
        "Waiting: Docker cannot be asked what is left in slots 1-2\nWaiting for a free slot: you are next\n";
    let mut said = vec![0; told.len()];
    wait.stderr.as_mut().expect("stderr").read_exact(&mut said).expect("what it says");
    assert_eq!(String::from_utf8_lossy(&said), told);
    thread::sleep(Duration::from_secs(1));
    fleet.engine.mend();
    let claimed = wait.ends().exits(0).prints("Claimed slot 1");
    claimed.says("Cleaned slot 1: ").never_says("Waiting");
}

#[test]
fn a_clean_slot_is_given_without_a_question() {
    let fleet = Fleet::new(&["a", "b"]);
    fleet.kinfra("a", UP).exits(0);
    fleet.engine.fails(Fault::Gone, &When::Always);
    fleet.kinfra("a", "release").exits(9);
    fleet.engine.forget_calls();
    fleet.kinfra("b", "claim").exits(0).prints("Claimed slot 2");
    assert_eq!(fleet.engine.calls(), [""; 0]);
}

#[test]
fn a_request_that_is_not_served_cleans_nothing_for_one_ahead() {
    let fleet = Fleet::new(&["a", "b", "c", "d"]);
    fleet.kinfra("a", UP).exits(0);
    fleet.kinfra("b", "claim").exits(0).prints("Claimed slot 2");
    let mut first = Running::piped(&mut fleet.command("c", "claim --wait"));
    let mut said = [0; 24];
    first.stderr.as_mut().expect("stderr").read_exact(&mut said).expect("that it waits");
    first.signal(Signal::STOP);
    fleet.kinfra("a", "release").exits(0);
    fleet.engine.forget_calls();
    let queued = fleet.kinfra("d", "claim").exits(3);
    queued.says("the queue has 1 ahead of you").says("\n  slot 1 is free, and keeps data of a\n");
    fleet.kinfra("d", "claim --wait=1s").exits(3);
    assert_eq!((left(&fleet)["remains"].as_str(), fleet.engine.calls().len()), (Some("data"), 0));
    first.signal(Signal::CONT);
    first.ends().exits(0).prints("Claimed slot 1").says("Cleaned slot 1: volume shop-slot-1_data");
}

#[test]
fn data_is_not_removed_from_a_slot_that_cannot_be_given() {
    let fleet = Fleet::new(&["a", "b", "c"]);
    fleet.kinfra("a", UP).exits(0);
    fleet.kinfra("b", "claim").exits(0).prints("Claimed slot 2");
    // The release stops the stack, and is killed.
    fleet.engine.fails(Fault::KillAfter, &When::Matches("container rm"));
    fleet.kinfra("a", "release");
    fleet.engine.mend();
    assert_eq!(left(&fleet)["remains"], "stack");
    let busy = |fleet: &Fleet, ports: &str| {
        let mut command = fleet.command("c", "claim");
        Run::of(command.env("KINFRA_TEST_PORTS", ports))
    };
    busy(&fleet, "8001").exits(3).says("its port 8001 (WEB) is in use");
    assert_eq!(left(&fleet)["remains"], "data");
    busy(&fleet, "").exits(0).says("Cleaned slot 1: volume shop-slot-1_data");
}
