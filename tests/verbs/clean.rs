//! Cleaning slots that no worktree holds, on an engine of the tests' own.

use std::io::Read as _;
use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::rig::fleet::Fleet;
use crate::rig::scripted::{Fault, Scripted, Thing, When};
use crate::support::{Machine, Run, Running};

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
    fleet.kinfra("a", "up").exits(0);
    fleet.kinfra("c", "claim").exits(0).prints("Claimed slot 2");
    fleet.engine.fails(Fault::Fail, &When::Matches("volume rm"));
    fleet.kinfra("a", "release --wipe").exits(1);
    assert_eq!(left(&fleet)["failures"], 1);
    // Neither by any slot nor by this one.
    fleet.engine.forget_calls();
    for claim in ["claim --wait=1s", "claim --wait=1s --slot 1"] {
        let late = fleet.kinfra("b", claim);
        assert!(late.code == Some(3) || claim.contains("slot") && late.code == Some(4), "{late:?}");
        late.says("Waiting for a slot: you are next.").says(" Free but blocked: 1 (it is not clean yet");
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
    fleet.kinfra("a", "up").exits(0);
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
    fleet.kinfra("a", "up").exits(0);
    fleet.kinfra("a", "release").exits(0);
    assert_eq!(left(&fleet)["remains"], "data");
    fleet.engine.fails(Fault::Fail, &When::Matches("volume rm"));
    fleet.kinfra("b", "clean 1 --auto-approve").exits(1).says("slot 1 is free, but not clean yet");
    fleet.engine.mend();
    assert_eq!(left(&fleet)["remains"], "everything");
    // Its own worktree gets a slot without data, and not with what is left of it.
    let claim = fleet.kinfra("a", "claim --slot 1").exits(0);
    claim.says("Cleaned slot 1: 1 volume").never_says("has the volumes");
    assert_eq!(left(&fleet), Value::Null);
}

#[test]
fn a_request_that_cannot_be_served_removes_no_data_of_another() {
    let fleet = Fleet::new(&["a", "b"]);
    fleet.kinfra("a", "up").exits(0);
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
        fleet.kinfra(worktree, "up").exits(0);
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
    let (calls, mut questions) = (fleet.engine.calls(), fleet.engine.calls());
    questions.sort();
    questions.dedup();
    assert_eq!(calls.len(), questions.len(), "one that does not answer is asked once: {calls:#?}");
    assert!(!calls.is_empty() && !calls.iter().any(|call| call.contains("image")), "{calls:#?}");
    assert_eq!(left(&fleet)["failures"], Value::Null);
    // A waiter says so once, and goes on.
    let mut wait = Running::piped(&mut fleet.command("c", "claim --wait"));
    let told = "Waiting: Docker cannot be asked what is left in slots 1-2\nWaiting for a slot: you are next. Free but blocked: ";
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
    fleet.kinfra("a", "up").exits(0);
    fleet.engine.fails(Fault::Gone, &When::Always);
    fleet.kinfra("a", "release").exits(9);
    fleet.engine.forget_calls();
    fleet.kinfra("b", "claim").exits(0).prints("Claimed slot 2");
    assert_eq!(fleet.engine.calls(), [""; 0]);
}

#[test]
fn a_request_that_is_not_served_cleans_nothing_for_one_ahead() {
    let fleet = Fleet::new(&["a", "b", "c", "d"]);
    fleet.kinfra("a", "up").exits(0);
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
    first.ends().exits(0).prints("Claimed slot 1").says("Cleaned slot 1: 1 volume");
}

#[test]
fn data_is_not_removed_from_a_slot_that_cannot_be_given() {
    let fleet = Fleet::new(&["a", "b", "c"]);
    fleet.kinfra("a", "up").exits(0);
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
    busy(&fleet, "28901").exits(3).says("its port 28901 (WEB) is used by another program");
    assert_eq!(left(&fleet)["remains"], "data");
    busy(&fleet, "").exits(0).says("Cleaned slot 1: 1 volume");
}

/// A pool of templates, whose stacks are run by hand.
fn by_hand() -> (Machine, Scripted) {
    let machine = Machine::in_memory();
    machine.spec(
        "version = 1\n[pool]\nname = \"shop\"\nroot = \"~/pool\"\n[ports]\nweb = 8000\n[[profiles]]\nname = \"only\"\n\
         [[slots]]\nids = \"1\"\nprofile = \"only\"\n[files]\n\"docker-compose.yml\" = \"stack.yml\"\n",
    );
    machine.template(
        "stack.yml",
        "services:\n  db:\n    image: db:1\n    volumes: ['data:/data']\nvolumes:\n  data:\n",
    );
    machine.kinfra("apply").exits(0);
    let engine = Scripted::new(machine.path("~/engine"));
    (machine, engine)
}

#[test]
fn a_stack_of_templates_that_was_started_by_hand_is_seen_by_its_release() {
    let (machine, engine) = by_hand();
    let kinfra = |words: &str| {
        let mut command = machine.command(words);
        Run::of(engine.reach(command.env("DOCKER_HOST", "tcp://127.0.0.1:1")))
    };
    let up = ["compose", "--project-name", "shop-slot-1", "--file"];
    let file = machine.path("~/pool/slot-1/docker-compose.yml").display().to_string();
    kinfra("claim").exits(0);
    engine.docker(&[&up[..], &[&file, "up", "--detach"]].concat()).exits(0);
    assert_eq!(engine.made_by("shop-slot-1").len(), 3, "{:?}", engine.made_by("shop-slot-1"));
    let released = kinfra("release").exits(0).prints("Removed 1 container, 1 network\n");
    released.prints("Kept for its worktree: volume shop-slot-1_data");
    assert_eq!(engine.made_by("shop-slot-1").len(), 1);
    kinfra("claim").exits(0).says("has the volumes of this worktree's last claim");
    kinfra("release --wipe").exits(0);
    assert_eq!(engine.made_by("shop-slot-1").len(), 0);
    // What Docker cannot say is not taken for nothing.
    kinfra("claim").exits(0);
    engine.fails(Fault::Gone, &When::Always);
    kinfra("release").exits(9).prints("Released slot 1").says("slot 1 is free, but not clean yet");
    kinfra("claim").exits(9);
    engine.mend();
    kinfra("claim").exits(0).says("Cleaned slot 1: nothing was left");
}

#[test]
fn a_machine_without_an_engine_has_no_stack_that_was_started_by_hand() {
    let (machine, engine) = by_hand();
    machine.kinfra("claim").exits(0);
    machine.kinfra("release").exits(0);
    for command in ["claim", "release", "claim", "release --wipe"] {
        let mut kinfra = machine.command(command);
        let socket = format!("unix://{}", machine.path("~/none.sock").display());
        Run::of(engine.reach(kinfra.env("DOCKER_HOST", socket))).exits(0);
    }
    assert_eq!(engine.calls(), [""; 0]);
}

#[test]
fn a_volume_without_a_name_that_stays_is_not_forgotten() {
    let fleet = Fleet::new(&["a", "b"]);
    fleet.kinfra("a", "up").exits(0);
    let is_unnamed = |volume: &Thing| volume.name().len() == 64;
    let unnamed = |fleet: &Fleet| fleet.engine.volumes().iter().filter(|volume| is_unnamed(volume)).count();
    assert_eq!(unnamed(&fleet), 1);
    // Another program has it, so that it does not go with its container.
    let name = fleet.engine.volumes().into_iter().find(is_unnamed).expect("one").name();
    let run = ["run", "--detach", "--name", "guest", "--volume"];
    fleet.engine.docker(&[&run[..], &[&format!("{name}:/x"), "db:1"]].concat()).exits(0);
    fleet.kinfra("a", "release --wipe").exits(1).says(&format!("volume `{name}`, used by `guest`"));
    assert_eq!((fleet.engine.containers().len(), unnamed(&fleet)), (1, 1));
    assert_eq!(left(&fleet)["volumes"], Value::from(vec![name.clone()]));
    fleet.kinfra("b", "clean 1 --auto-approve").exits(1).says(&format!("volume `{name}`"));
    fleet.engine.docker(&["rm", "--force", "guest"]).exits(0);
    fleet.kinfra("b", "clean 1 --auto-approve").exits(0);
    assert_eq!((unnamed(&fleet), left(&fleet)), (0, Value::Null));
}

#[test]
fn a_stop_that_fails_before_data_is_kept_is_told() {
    let fleet = Fleet::new(&["a"]);
    fleet.kinfra("a", "up").exits(0);
    fleet.engine.fails(Fault::Fail, &When::Matches("container stop"));
    let released = fleet
        .kinfra("a", "release")
        .exits(0)
        .prints("Kept for its worktree: volume kinfra-fleet-slot-1_data");
    released.prints("warning: not every container was stopped before it was removed").prints("told to fail");
}

#[test]
fn an_image_that_docker_says_it_removed_is_looked_for() {
    let fleet = Fleet::new(&["a"]);
    fleet.kinfra("a", "up").exits(0);
    let is_of_slot = |image: &Thing| image.label("kinfra.slot") == "1";
    let images = |fleet: &Fleet| fleet.engine.images().iter().filter(|image| is_of_slot(image)).count();
    assert_eq!(images(&fleet), 1);
    fleet.engine.fails(Fault::Lie, &When::Matches("image rm"));
    fleet.kinfra("a", "release --wipe").exits(1).says("slot 1 is free, but not clean yet").says("image ");
    fleet.engine.mend();
    fleet.kinfra("project", "clean 1 --auto-approve").exits(0);
    assert_eq!(images(&fleet), 0);
}
