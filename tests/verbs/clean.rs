//! Cleaning slots that no worktree holds, on an engine of the tests' own.

use serde_json::Value;

use crate::rig::fleet::Fleet;
use crate::rig::scripted::{Fault, When};

fn left(fleet: &Fleet) -> Value {
    let registry: Value = serde_json::from_str(&fleet.machine.read("~/pool/registry.json")).expect("JSON");
    registry["slots"]["1"]["left"].clone()
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
    claim.says("Cleaned slot 1: volume kinfra-fleet-slot-1_data").never_says("has the volumes");
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
