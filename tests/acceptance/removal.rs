//! Removing slots on a real engine: whose containers they are, and which volumes and images go with a slot.

use crate::rig::engine::{BUSYBOX, Engine};
use crate::support::{Machine, Run, SMALL, shop};

/// kinfra, reaching the engine.
fn kinfra(machine: &Machine, engine: &Engine, arguments: &str) -> Run {
    Run::of(engine.reach(&mut machine.command(arguments)))
}

#[test]
#[ignore = "needs a Docker engine"]
fn a_stack_with_a_name_of_its_own_keeps_its_slot() {
    let project = "kinfra-removal-own";
    let engine = Engine::for_projects(&[project]);
    let machine = Machine::new();
    machine.install("docker");
    machine.spec(&SMALL.replace("\"conf.txt\" =", "\"compose.yaml\" =").replace("small", "kinfra-removal"));
    let compose = format!(
        "name: {project}\nservices:\n  web:\n    image: {BUSYBOX}\n    command: [sleep, '1000']\n    init: true\n"
    );
    machine.template("conf.txt", &compose);
    kinfra(&machine, &engine, "apply").exits(0);
    // Started by hand, in the slot's directory.
    let up = |words: &[&str]| {
        let mut compose = machine.program(machine.tools().join("docker"));
        compose.arg("compose").args(words).current_dir(machine.path("~/pool/slot-1"));
        Run::of(engine.reach(&mut compose)).exits(0)
    };
    up(&["up", "--detach"]);
    kinfra(&machine, &engine, "destroy --dry-run").exits(0).prints("  ! Slot 1: it has containers");
    // One that is stopped counts, too.
    up(&["stop"]);
    let run = kinfra(&machine, &engine, "destroy --auto-approve").exits(0).says("1 destroyed.");
    run.says("Kept slot 1: it has containers");
    assert!(machine.exists("~/pool/slot-1/compose.yaml") && !machine.exists("~/pool/slot-2"));
    up(&["down"]);
    kinfra(&machine, &engine, "destroy --auto-approve").exits(0).says("1 destroyed.");
    assert!(!machine.exists("~/pool/slot-1"));
}

#[test]
#[ignore = "needs a Docker engine"]
fn data_goes_with_the_slots_of_a_renamed_pool_and_only_theirs() {
    let projects = ["kinfra-data-slot-1", "kinfra-data-slot-2"];
    let engine = Engine::for_projects(&projects);
    let machine = Machine::new().with_real_ports();
    machine.install("docker");
    machine.spec(&shop("kinfra-data", 29_300));
    let compose = "services:\n  web:\n    build: .\n    command: [sleep, '1000']\n    init: true\n    ports: ['29300:80']\n    \
                   volumes: ['store:/store']\nvolumes:\n  store: {}\n";
    machine.write("compose.yaml", compose);
    machine
        .write("Dockerfile", format!("FROM {BUSYBOX}\nRUN echo of {} >/of\n", machine.project().display()));
    machine.repository(machine.project());
    kinfra(&machine, &engine, "apply").exits(0);
    let tree = machine.worktree("tree");
    let in_tree = |arguments: &str| Run::of(engine.reach(machine.command(arguments).current_dir(&tree)));
    in_tree("claim").exits(0).prints("slot 1");
    in_tree("compose up -d --build").exits(0);
    in_tree("compose exec -T web dd if=/dev/zero of=/store/a bs=1000 count=5000").exits(0);
    // Another registry's, under the name of slot 2's project.
    let theirs = ["volume", "create", "--label", "kinfra.id=ffff", "--label", "kinfra.slot=2"];
    let label = format!("com.docker.compose.project={}", projects[1]);
    engine.docker(&[&theirs[..], &["--label", &label, "kinfra-data-theirs"]].concat()).exits(0);

    machine.edit_spec("kinfra-data", "kinfra-renamed");
    in_tree("release").exits(0).prints("Kept for its worktree: volume kinfra-data-slot-1_store");
    // A container of the slot that came since, under no project's name.
    let registry: serde_json::Value =
        serde_json::from_str(&machine.read("~/pool/registry.json")).expect("JSON");
    let id = format!("kinfra.id={}", registry["id"].as_str().expect("an id"));
    let run = ["create", "--name", "kinfra-data-late", "--label", &id, "--label", "kinfra.slot=1"];
    let project = format!("com.docker.compose.project={}", projects[0]);
    engine.docker(&[&run[..], &["--label", &project, BUSYBOX, "true"]].concat()).exits(0);
    let run = kinfra(&machine, &engine, "destroy --data --dry-run")
        .exits(0)
        .prints("  ! Slot 1: it has containers");
    run.prints("No volumes and no images of these slots.\n");
    engine.docker(&["rm", "--force", "kinfra-data-late"]).exits(0);
    let run = kinfra(&machine, &engine, "destroy --data --auto-approve").exits(0).says("2 destroyed.");
    let run = run.prints("  - Would remove volume kinfra-data-slot-1_store of slot 1 (5MB)\n");
    run.never_says("theirs").says("Removed volume kinfra-data-slot-1_store of slot 1\n");
    assert_eq!(engine.made_by(projects[0]), [""; 0]);
    assert_eq!(engine.made_by(projects[1]), ["volume kinfra-data-theirs"]);
}
