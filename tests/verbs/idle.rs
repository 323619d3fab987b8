//! `[stack] idle_stop`: `kinfra reap` stops the stack of a slot in which nothing happened, and removes nothing.

use std::fs::File;
use std::process::Command;
use std::thread;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::rig::fleet::Fleet;
use crate::rig::scripted::{Fault, When};
use crate::rig::terminal::Terminal;
use crate::support::{Run, shop};

/// Worktrees `a` and `b` with running stacks in slots 1 and 2, in a pool whose stacks idle after four hours.
fn fleet() -> Fleet {
    let fleet = Fleet::new(&["a", "b"]);
    fleet.machine.spec(&(shop("kinfra-fleet", 28_900) + "[stack]\nidle_stop = \"4h\"\n"));
    fleet.kinfra("project", "apply").exits(0);
    for worktree in ["a", "b"] {
        fleet.kinfra(worktree, "up").exits(0);
    }
    fleet
}

/// As if everything in slot 1 had happened so many hours ago, but for its last use by a verb.
fn age(fleet: &Fleet, hours: u64) {
    let then = SystemTime::now() - Duration::from_secs(hours * 3600);
    for file in [".kinfra-uses.json", ".kinfra-used"] {
        let path = fleet.machine.path(&format!("~/pool/slot-1/{file}"));
        if path.exists() {
            File::options()
                .write(true)
                .open(path)
                .expect("a file")
                .set_modified(then)
                .expect("an older file");
        }
    }
    for container in fleet.engine.containers() {
        if container.label("com.docker.compose.project") == "kinfra-fleet-slot-1" {
            started(fleet, &container.name(), hours + 1);
        }
    }
}

fn started(fleet: &Fleet, container: &str, hours: u64) {
    let mut date = Command::new("date");
    date.args(["--utc", "--iso-8601=seconds", "--date", &format!("{hours} hours ago")]);
    let then = Run::of(&mut date).exits(0).stdout;
    let then = then.trim().replace("+00:00", "Z");
    fleet.engine.set("containers", container, "started", &json!(then));
}

/// The state of each container, by its name.
fn states(fleet: &Fleet) -> Vec<(String, String)> {
    let containers = fleet.engine.containers();
    let mut states: Vec<_> =
        containers.iter().map(|container| (container.name(), container.state().to_owned())).collect();
    states.sort();
    states
}

const RUNNING: [&str; 4] = ["running"; 4];
const STOPPED: [&str; 4] = ["exited", "exited", "running", "running"];

fn words(states: &[(String, String)]) -> Vec<&str> {
    states.iter().map(|(_, state)| state.as_str()).collect()
}

#[test]
fn what_idles_is_stopped_and_keeps_its_slot_and_its_data() {
    let fleet = fleet();
    let none = "Reap: 0 to release.\n";
    fleet.kinfra("project", "reap --auto-approve").exits(0).prints_exactly(none);
    age(&fleet, 5);
    let volumes = fleet.engine.volumes().len();
    let plan = "  ~ Would stop the stack of slot 1, held by ";
    fleet
        .kinfra("project", "reap --dry-run")
        .exits(0)
        .prints(plan)
        .prints(": last used 5h ago\n\nReap: 0 to release, 1 to stop.\n");
    assert_eq!(words(&states(&fleet)), RUNNING);
    let reaped = fleet.kinfra("project", "reap --auto-approve").exits(0);
    reaped
        .says("Stopped the stack of slot 1: 2 containers; `kinfra up` starts it again\n")
        .says("\nReap complete! 0 released, 1 stopped.\n");
    assert_eq!((words(&states(&fleet)), fleet.engine.volumes().len()), (STOPPED.to_vec(), volumes));
    fleet.kinfra("project", "reap --auto-approve").exits(0).prints_exactly(none);
    fleet.kinfra("a", "up").exits(0);
    assert_eq!((words(&states(&fleet)), fleet.engine.volumes().len()), (RUNNING.to_vec(), volumes));
    fleet.check().expect("nothing of another");
}

/// The worktrees are on branches that do not know `idle_stop`, and another length is written on one of them.
#[test]
fn the_slots_toml_that_was_applied_counts_and_not_the_one_of_the_branch() {
    let fleet = fleet();
    age(&fleet, 5);
    let plan = "Reap: 0 to release, 1 to stop.\n";
    fleet.kinfra("a", "reap --dry-run").exits(0).prints(plan);
    let applied = fleet.machine.read("slots.toml");
    fleet.machine.write("~/b/slots.toml", applied.replace("\"4h\"", "\"9h\""));
    fleet.kinfra("b", "reap --dry-run").exits(0).prints(plan);
    fleet.machine.write("~/b/slots.toml", applied.replace("\"4h\"", "\"1h\""));
    age(&fleet, 3);
    fleet.kinfra("b", "reap --dry-run").exits(0).prints_exactly("Reap: 0 to release.\n");
    // One that is named is meant. Of one that cannot be read, nothing is known.
    fleet.kinfra("b", "reap --dry-run --spec slots.toml").exits(0).prints(plan);
    age(&fleet, 5);
    fleet.machine.remove("slots.toml");
    fleet.kinfra("a", "reap --dry-run").exits(0).prints_exactly("Reap: 0 to release.\n");
}

#[test]
fn data_is_kept_for_as_long_as_the_slots_toml_that_was_applied_says() {
    let fleet = fleet();
    fleet.kinfra("b", "release").exits(0).prints("Kept for its worktree: ");
    let volumes = fleet.engine.volumes().len();
    let project = fleet.machine.read("slots.toml");
    let soon = project.clone() + "keep_data = \"1s\"\n";
    fleet.machine.write("~/a/slots.toml", &soon);
    thread::sleep(Duration::from_millis(1100));
    let none = "Reap: 0 to release.\n";
    fleet.kinfra("a", "reap --auto-approve").exits(0).prints_exactly(none);
    assert_eq!(fleet.engine.volumes().len(), volumes);
    fleet.machine.write("~/a/slots.toml", project);
    fleet.machine.spec(&soon);
    fleet.kinfra("project", "apply").exits(0);
    fleet.kinfra("a", "reap --auto-approve").exits(0).says("Cleaned slot 2: ");
    assert_ne!(fleet.engine.volumes().len(), volumes);
}

#[test]
fn a_verb_and_the_start_of_a_container_are_signs_of_use() {
    let fleet = fleet();
    for (arguments, counts) in
        [("exec -- true", true), ("compose ps", true), ("up", true), ("env", false), ("status", false)]
    {
        age(&fleet, 5);
        fleet.kinfra("a", arguments).exits(0);
        // What a start changed besides.
        for container in fleet.engine.containers() {
            started(&fleet, &container.name(), 5);
        }
        let plan = fleet.kinfra("project", "reap --dry-run").exits(0).stdout;
        assert_eq!(!plan.contains("Would stop"), counts, "{arguments}: {plan}");
    }
    age(&fleet, 5);
    let container = states(&fleet).swap_remove(0).0;
    started(&fleet, &container, 3);
    fleet.kinfra("project", "reap --dry-run").exits(0).prints_exactly("Reap: 0 to release.\n");
    let slots: Value =
        serde_json::from_str(&fleet.kinfra("a", "slots --json").exits(0).stdout).expect("JSON");
    assert!(slots["slots"][0]["last_used"].is_string(), "{slots}");
}

#[test]
#[ignore = "needs script, of util-linux"]
fn a_stack_that_is_used_while_reap_asks_is_left_alone() {
    let fleet = fleet();
    age(&fleet, 5);
    let mut reap = Terminal::run(&fleet.machine, &fleet.command("project", "reap"), 24, 200);
    reap.until(|lines| lines.iter().any(|line| line.contains("will be accepted")));
    fleet.kinfra("a", "exec -- true").exits(0);
    reap.types("yes\n");
    let (code, printed, _) = reap.ends();
    assert!(code == Some(0) && printed.contains("Reap complete! 0 released."), "{printed}");
    assert_eq!(words(&states(&fleet)), RUNNING);
}

#[test]
fn a_stack_that_another_process_works_on_is_left_alone() {
    let fleet = fleet();
    age(&fleet, 5);
    let lock = File::open(fleet.machine.path("~/pool/.stacks/slot-1"));
    let lock = lock.expect("the lock of the stack");
    lock.lock().expect("the stack");
    fleet.kinfra("project", "reap --auto-approve").exits(0).says("Reap complete! 0 released.\n");
    assert_eq!(words(&states(&fleet)), RUNNING);
    drop(lock);
    fleet.kinfra("project", "reap --auto-approve").exits(0).says(", 1 stopped.\n");
}

#[test]
fn docker_that_does_not_answer_is_said_and_other_slots_are_reaped() {
    let fleet = fleet();
    age(&fleet, 5);
    fleet.engine.fails(Fault::Gone, &When::Always);
    fleet
        .kinfra("project", "reap --auto-approve")
        .exits(9)
        .says("Docker cannot say whether the stack of slot 1 idles: ")
        .prints_exactly("Reap: 0 to release.\n");
    fleet.engine.mend();
    fleet.engine.fails(Fault::Fail, &When::Matches("container stop"));
    fleet.kinfra("project", "reap --auto-approve").exits(1).says("the stack of slot 1 does not stop: ");
    assert_eq!(words(&states(&fleet)), RUNNING);
    // A stop that failed is no use: the next reap tries again.
    fleet.engine.mend();
    fleet.kinfra("project", "reap --auto-approve").exits(0).says(", 1 stopped.\n");
}
