//! What was up and is not: `slots` and `status` say it, and `up --all` brings it back.

use serde_json::{Value, json};

use crate::rig::fleet::Fleet;
use crate::rig::scripted::{Fault, When};
use crate::support::Run;

/// Two worktrees whose stacks run.
fn started() -> Fleet {
    let fleet = Fleet::new(&["a", "b"]);
    for worktree in ["a", "b"] {
        fleet.kinfra(worktree, "claim").exits(0);
        fleet.kinfra(worktree, "up").exits(0);
    }
    fleet
}

/// Every container ends as it does when its engine is killed.
fn reboot(fleet: &Fleet) {
    for container in fleet.engine.containers() {
        let set =
            |field: &str, value: Value| fleet.engine.set("containers", &container.name(), field, &value);
        set("state", json!("exited"));
        set("exit_code", json!(255));
    }
}

fn running(fleet: &Fleet) -> usize {
    fleet.engine.containers().iter().filter(|container| container.state() == "running").count()
}

fn stack(fleet: &Fleet, slot: usize) -> Value {
    let slots = fleet.kinfra("a", "slots --json").exits(0).stdout;
    serde_json::from_str::<Value>(&slots).expect("JSON")["slots"][slot - 1]["stack"].clone()
}

#[test]
fn a_stack_that_was_up_is_told_from_one_that_was_ended() {
    let fleet = started();
    fleet.kinfra("a", "slots").exits(0).never_says("was up");
    reboot(&fleet);
    fleet
        .kinfra("a", "slots")
        .exits(0)
        .prints("was up")
        .says("Slots 1-2 were up and stopped: `kinfra up --all` brings them back\n");
    fleet.kinfra("a", "status").exits(0).prints("was up: `kinfra up` brings it back\n");
    let stopped = stack(&fleet, 1);
    assert_eq!((&stopped["state"], &stopped["was_up"]), (&json!("exited"), &json!(true)));
    fleet.kinfra("b", "down").exits(0);
    fleet.kinfra("a", "slots").exits(0).prints("down").says("Slot 1 was up and stopped");
    assert_eq!(stack(&fleet, 2)["was_up"], Value::Null, "`down` was asked for");
    fleet.kinfra("a", "up").exits(0);
    fleet.kinfra("a", "slots").exits(0).never_says("was up");
    assert_eq!(stack(&fleet, 1)["was_up"], Value::Null, "it is up again");
}

#[test]
fn up_all_starts_each_slot_that_was_up_and_no_other() {
    let fleet = started();
    fleet.kinfra("a", "up --all --slot 1").exits(64);
    fleet.kinfra("b", "down").exits(0);
    reboot(&fleet);
    fleet.kinfra("project", "up --all").exits(0).prints_exactly("Slot 1 (a) is up\n");
    assert_eq!(running(&fleet), 2, "and not the one that `down` ended");
    fleet.kinfra("project", "up --all").exits(0).prints_exactly("No slot was up that is not\n");
    fleet.kinfra("b", "up").exits(0);
    reboot(&fleet);
    let run = fleet.kinfra("project", "up --all --json").exits(0);
    let all: Value = serde_json::from_str(&run.stdout).expect("one document");
    let slots = json!([{"slot_id": 1, "exit_code": 0}, {"slot_id": 2, "exit_code": 0}]);
    assert_eq!(all["slots"], slots);
    assert_eq!(running(&fleet), 4);
}

#[test]
fn up_all_goes_on_after_a_failure_and_ends_with_the_worst_exit_code() {
    let fleet = started();
    reboot(&fleet);
    std::fs::remove_file(fleet.worktree("a").join("compose.yaml")).expect("a file");
    let run = fleet.kinfra("project", "up --all").exits(4);
    run.prints_exactly("Slot 1 (a) was not started\nSlot 2 (b) is up\n");
    // What is not known is not started, and is no success.
    fleet.engine.fails(Fault::Gone, &When::Always);
    Run::of(&mut fleet.command("project", "up --all")).exits(9).says("error: slot 1 is left as it is");
}
