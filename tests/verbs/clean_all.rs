//! `clean --all` on an engine of the tests' own: the flags, and an engine that does not answer or fails.

use crate::rig::fleet::{Fleet, SLOTS};
use crate::rig::scripted::{Fault, Thing, When};

#[test]
fn what_a_failed_release_left_goes_and_what_is_held_stays() {
    let fleet = Fleet::new(&["a", "b"]);
    for worktree in ["a", "b"] {
        fleet.kinfra(worktree, "up").exits(0);
    }
    let held = fleet.things(2).len();
    fleet.engine.fails(Fault::Fail, &When::Matches("volume rm"));
    fleet.kinfra("a", "release --wipe").exits(1);
    let plan =
        fleet.kinfra("b", "clean --all --dry-run").exits(0).prints("  - Would clean slot 1, of a, released");
    plan.prints("  = Slot 2 is held by b: 2 containers");
    let failed = fleet.kinfra("b", "clean --all --auto-approve").exits(1);
    failed
        .says("Stays: volume kinfra-fleet-slot-1_data of slot 1\n")
        .says("slot 1 is free, but not clean yet");
    fleet.engine.mend();
    fleet.kinfra("b", "clean --all").exits(4).says("this needs approval");
    assert!(!fleet.things(1).is_empty());
    let done = fleet.kinfra("b", "clean --all --auto-approve").exits(0);
    done.says("Removed of slot 1: volume kinfra-fleet-slot-1_data").never_says("slot 2");
    assert_eq!((fleet.things(1).len(), fleet.things(2).len()), (0, held));
    fleet.kinfra("b", "clean --all").exits(0).prints("Nothing is left that no worktree holds.\n");
    fleet.check().expect("what must hold");
}

#[test]
fn what_came_under_the_name_of_a_slot_without_a_label_stays() {
    let fleet = Fleet::new(&["a"]);
    fleet.kinfra("a", "up").exits(0);
    fleet.kinfra("a", "release").exits(0);
    fleet.engine.docker(&["volume", "create", "kinfra-fleet-slot-1_mine"]).exits(0);
    let plan = fleet.kinfra("a", "clean --all --dry-run").exits(0);
    plan.prints("! Stays: volume kinfra-fleet-slot-1_mine: it has the project name of slot 1, and no label");
    let done = fleet.kinfra("a", "clean --all --auto-approve").exits(0).says("Removed of slot 1: ");
    assert!(!done.stderr.contains("_mine"), "{done:?}");
    let names: Vec<String> = fleet.engine.volumes().iter().map(Thing::name).collect();
    assert_eq!(names, ["kinfra-fleet-slot-1_mine"]);
    // The slot is not given out with it.
    fleet.kinfra("a", "clean 1 --dry-run").exits(0).prints("Would clean slot 1");
    assert_eq!(fleet.engine.volumes().len(), 1);
}

#[test]
fn a_docker_that_does_not_answer_is_told() {
    let fleet = Fleet::new(&["a"]);
    fleet.kinfra("a", "up").exits(0);
    fleet.engine.fails(Fault::Gone, &When::Always);
    for flag in ["--dry-run", "--auto-approve"] {
        let clean = fleet.kinfra("a", &format!("clean --all {flag}")).exits(9);
        clean.says("Docker does not say what is left behind: ").says("help: start Docker");
    }
    fleet.kinfra("a", "doctor").prints("! docker daemon: none answers");
    fleet.engine.mend();
    assert!(SLOTS.contains(&1) && !fleet.things(1).is_empty());
    fleet.kinfra("a", "clean").exits(64);
    fleet.kinfra("a", "clean --all 1").exits(64);
}
