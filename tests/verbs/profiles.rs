//! What `kinfra up` does with the containers of a profile of Compose that is not in use any more.

use crate::rig::fleet::Fleet;
use crate::rig::scripted::{Fault, When};

const UP: &str = "up --no-gate";

/// The services whose containers the engine has.
fn services(fleet: &Fleet) -> Vec<String> {
    let mut services: Vec<String> = fleet
        .engine
        .containers()
        .iter()
        .map(|container| container.label("com.docker.compose.service").to_owned())
        .collect();
    services.sort();
    services
}

#[test]
fn services_of_a_profile_that_is_not_in_use_any_more_are_named_and_removed() {
    let fleet = Fleet::new(&["a"]);
    fleet.kinfra("a", "claim").exits(0);
    let debug = "  debug:\n    image: debug:1\n    profiles: [debug]\n  tools:\n    image: debug:1\n    profiles: [tools]\n";
    let compose = fleet.machine.read("~/a/compose.yaml");
    let with_debug = compose.replace("volumes:\n  data:", &format!("{debug}volumes:\n  data:"));
    assert_ne!(with_debug, compose);
    fleet.machine.write("~/a/compose.yaml", &with_debug);
    fleet.kinfra("a", &format!("{UP} --compose-profile debug")).exits(0).never_says("Removing");
    assert_eq!(services(&fleet), ["db", "debug", "web"]);
    // The profile is kept.
    fleet.kinfra("a", UP).exits(0).never_says("Removing");
    let volumes = fleet.engine.volumes().len();
    fleet.kinfra("a", &format!("{UP} --compose-profile tools")).exits(0).says("Removing debug of slot 1: ");
    assert_eq!(
        (services(&fleet), fleet.engine.volumes().len()),
        (vec!["db".into(), "tools".into(), "web".into()], volumes)
    );
    // A start of single services is not about the others.
    fleet.machine.write("~/a/compose.yaml", with_debug.replace("profiles: [tools]", "profiles: [other]"));
    fleet.kinfra("a", &format!("{UP} web")).exits(0).never_says("Removing");
    fleet.kinfra("a", &format!("{UP} --compose-profile=")).exits(0).says("Removing tools of slot 1: ");
    assert_eq!(services(&fleet), ["db", "web"]);
    // One that the files do not name any more goes, too; one that stays is an error, before anything is started.
    fleet.machine.write("~/a/compose.yaml", &with_debug);
    fleet.kinfra("a", &format!("{UP} --compose-profile debug")).exits(0);
    fleet.machine.write("~/a/compose.yaml", &compose);
    fleet.engine.fails(Fault::Lie, &When::Matches("container rm"));
    let run = fleet.kinfra("a", UP).exits(1);
    run.says(
        "container `kinfra-fleet-slot-1-debug-1`, which the stack does not have any more, cannot be removed",
    );
    fleet.engine.mend();
    fleet.kinfra("a", UP).exits(0).says("Removing debug of slot 1: ");
    assert_eq!(services(&fleet), ["db", "web"]);
}
