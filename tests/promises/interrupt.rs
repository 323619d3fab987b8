//! Ctrl-C during an apply: the slot in flight is completed, the registry is saved, and the summary says so.

use crate::rig::strace::calls;
use crate::rig::{Paused, figure, registry};
use crate::support::Machine;

/// The distance, in calls, between two points of an apply at which Ctrl-C is pressed.
const STEP: usize = 5;

#[test]
#[ignore = "needs strace"]
fn the_slot_in_flight_is_completed_and_saved() {
    let machine = Machine::new();
    let apply = machine.command("apply");
    let points = calls(&apply);
    let whole = machine.tree();
    let (mut interrupted, mut ended, mut done) = (0, 0, 0);
    for call in points.iter().step_by(STEP) {
        for dir in ["~/.ktrdr", "~/.local"] {
            machine.remove(dir);
        }
        let paused = Paused::after(&apply, call).unwrap_or_else(|| panic!("it ended before {call}"));
        let run = paused.interrupt().never_says("panicked");
        match run.code {
            // Before it holds the lock there is nothing to complete.
            None => {
                ended += 1;
                assert!(registry(&machine).is_none(), "after {call}: {run:#?}");
            }
            Some(130) => {
                interrupted += 1;
                let run = run.says("Interrupted before slot ").says("Apply incomplete! ");
                let saved = registry(&machine).unwrap_or_default();
                let created = run.stderr.lines().filter(|line| line.starts_with("Created slot ")).count();
                assert_eq!(saved.slots.len(), created, "after {call}: {run:#?}");
                assert!(saved.slots.values().all(|entry| entry.pending.is_none()));
            }
            _ => {
                done += 1;
                assert_eq!(run.exits(0).stderr.matches("Created slot ").count(), 6, "after {call}");
            }
        }
        machine.kinfra("apply").exits(0);
        assert!(machine.tree() == whole, "after {call}");
    }
    assert!(
        interrupted > 10 && ended > 3 && done > 3,
        "{interrupted} interrupted, {ended} ended, {done} done"
    );
    figure(&format!(
        "Ctrl-C after every {STEP}th call of an apply: {interrupted} interrupted, {done} completed, none half"
    ));
}

#[test]
#[ignore = "needs strace"]
fn a_slot_that_needs_the_port_of_a_slot_left_out_is_left_out_too() {
    let machine = Machine::small();
    machine.edit_spec("1-2", "1-8");
    machine.kinfra("apply").exits(0);
    // Each slot takes the port of the next.
    machine.edit_spec("8000", "8001");
    let mut apply = machine.command("apply --update --auto-approve");
    // A docker would be asked first, and would make calls of the same names.
    apply.env("PATH", "/nowhere");
    let (points, mut interrupted) = (calls(&apply), 0);
    for call in points.iter().step_by(STEP) {
        machine.edit_spec("8001", "8000");
        machine.kinfra("apply --update --auto-approve").exits(0);
        machine.edit_spec("8000", "8001");
        let paused = Paused::after(&apply, call).unwrap_or_else(|| panic!("it ended before {call}"));
        let run = paused.interrupt().never_says("panicked").never_says("Failed slot");
        if run.code == Some(130) {
            interrupted += 1;
            run.says("Interrupted before slot 8\n");
        }
        machine.kinfra("apply --update --auto-approve").exits(0);
        machine.kinfra("plan --detailed-exitcode").exits(0);
    }
    assert!(interrupted > 3, "{interrupted} interrupted");
}
