//! What is left behind on a real engine: of free slots, of slots and of pools that are gone. `clean --all` removes it,
//! and nothing else.

use std::fs;
use std::process::Stdio;
use std::sync::{Mutex, PoisonError};

use crate::rig::daemon::Daemon;
use crate::rig::engine::{BUSYBOX, Engine};
use crate::support::{Machine, Run, Running, shop};

/// `clean --all` removes what any pool that is gone left on the engine, also that of another test.
static ALONE: Mutex<()> = Mutex::new(());

const HELD: &str = "kinfra-left-slot-1";
const FREE: &str = "kinfra-left-slot-2";
const PRUNED: &str = "kinfra-left-slot-3";
const NEAR: &str = "kinfra-near-slot-1";
const LOST: &str = "kinfra-lost-slot-1";

/// A pool, with a project that builds an image and has a volume.
fn pool(name: &str, slots: &str, web: u16, engine: &Engine) -> Machine {
    let machine = Machine::new().with_real_ports();
    machine.install("docker");
    machine.spec(&shop(name, web).replace("1-2", slots));
    let compose = format!(
        "services:\n  web:\n    build: .\n    command: [sleep, '1000']\n    init: true\n    ports: ['{web}:80']\n    \
         volumes: ['store:/store']\nvolumes:\n  store: {{}}\n"
    );
    machine.write("compose.yaml", compose);
    let of = machine.project().display().to_string();
    machine.write("Dockerfile", format!("FROM {BUSYBOX}\nRUN echo {of} >/of\nVOLUME /cache\n"));
    machine.repository(machine.project());
    Run::of(engine.reach(&mut machine.command("apply"))).exits(0);
    machine
}

fn kinfra(machine: &Machine, engine: &Engine, branch: &str, arguments: &str) -> Run {
    let tree = machine.path(&format!("~/{branch}"));
    Run::of(engine.reach(machine.command(arguments).current_dir(tree)))
}

/// A worktree that claims a slot and starts its stack.
fn starts(machine: &Machine, engine: &Engine, branch: &str) {
    machine.worktree(branch);
    kinfra(machine, engine, branch, "claim").exits(0);
    kinfra(machine, engine, branch, "compose up -d --build").exits(0);
}

fn is_left(engine: &Engine, kind: &str, name: &str) -> bool {
    engine.docker(&[kind, "inspect", name]).code == Some(0)
}

/// Slot 3 goes out of the registry, with its data on the engine; and more comes under names of slots: with labels,
/// and without.
fn lose_slot_3(own: &Machine, engine: &Engine) {
    let registry: serde_json::Value = serde_json::from_str(&own.read("~/pool/registry.json")).expect("JSON");
    let mut without = registry.clone();
    without["slots"].as_object_mut().expect("slots").remove("3");
    own.write("~/pool/registry.json", without.to_string());
    let id = format!("kinfra.id={}", registry["id"].as_str().expect("an id"));
    let late = ["create", "--name", "kinfra-left-late", "--label", &id, "--label", "kinfra.slot=3"];
    let project = format!("com.docker.compose.project={PRUNED}");
    engine.docker(&[&late[..], &["--label", &project, BUSYBOX, "true"]].concat()).exits(0);
    for project in [FREE, PRUNED] {
        let label = format!("com.docker.compose.project={project}");
        let name = format!("{project}_mine");
        engine.docker(&["volume", "create", "--label", &label, &name]).exits(0);
    }
}

#[test]
#[ignore = "needs a Docker engine"]
fn clean_all_leaves_what_is_held_unlabelled_or_another_pool_s() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let engine = Engine::for_projects(&[HELD, FREE, PRUNED, NEAR, LOST]);
    let own = pool("kinfra-left", "1-3", 29_710, &engine);
    let near = pool("kinfra-near", "1", 29_720, &engine);
    starts(&near, &engine, "near");
    for branch in ["cats", "dogs", "mice"] {
        starts(&own, &engine, branch);
    }
    // A rebuild takes the tag from the image that was there.
    fs::write(own.path("~/dogs/Dockerfile"), format!("FROM {BUSYBOX}\nRUN echo again >/of\n"))
        .expect("a file");
    kinfra(&own, &engine, "dogs", "compose up -d --build").exits(0);
    let plan = kinfra(&own, &engine, "dogs", "clean --all --dry-run").exits(0);
    plan.prints("= Slot 2 is held by dogs: 1 container (0B), 1 network, 1 image (")
        .prints("1 untagged image (");
    kinfra(&own, &engine, "dogs", "release")
        .exits(0)
        .prints(&format!("Kept for its worktree: volume {FREE}_store"));
    // A pool whose directory is removed while its stack runs.
    let lost = pool("kinfra-lost", "1", 29_730, &engine);
    starts(&lost, &engine, "lost");
    fs::remove_dir_all(lost.path("~/pool")).expect("the root is removed");
    kinfra(&own, &engine, "mice", "release").exits(0);
    lose_slot_3(&own, &engine);
    let before = [engine.made_by(HELD), engine.made_by(NEAR)];

    let doctor = kinfra(&own, &engine, "cats", "doctor");
    let doctor = doctor.prints("slot 1 is held by `").prints("slot 2 keeps the data of `");
    let doctor = doctor.prints(&format!(
        "of slot 3, which the pool does not have any more: 1 container (0B), volume {PRUNED}_store (0B)"
    ));
    doctor.prints("of slot 1 of a pool that is gone, in `").prints("bridge networks, and addresses for ");

    let plan = kinfra(&own, &engine, "cats", "clean --all --dry-run").exits(0);
    let plan = plan
        .prints("= Slot 1 is held by cats: 1 container")
        .prints("- Would clean slot 2, of dogs, released");
    let plan = plan.prints("- Would remove of slot 3, which the pool does not have any more: 1 container");
    let plan = plan.prints("- Would remove of slot 1 of a pool that is gone, in `");
    let root = near.path("~/pool").canonicalize().expect("a path").display().to_string();
    let plan = plan.prints(&format!("`kinfra clean --all --root {root}` cleans there"));
    plan.prints(&format!(
        "! Stays: volume {FREE}_mine: it has the project name of slot 2, and no label of kinfra"
    ));
    kinfra(&own, &engine, "cats", "clean --all").exits(4).says("this needs approval");
    assert!(is_left(&engine, "volume", &format!("{FREE}_store")) && !engine.made_by(LOST).is_empty());

    let done = kinfra(&own, &engine, "cats", "clean --all --auto-approve").exits(0);
    let done = done.says(&format!("Removed of slot 2: volume {FREE}_store"));
    done.says(&format!("volume {PRUNED}_store")).says(&format!("volume {LOST}_store"));
    assert_eq!(engine.made_by(FREE), [format!("volume {FREE}_mine")]);
    assert_eq!(engine.made_by(PRUNED), [format!("volume {PRUNED}_mine")]);
    assert_eq!(engine.made_by(LOST), [""; 0]);
    assert_eq!([engine.made_by(HELD), engine.made_by(NEAR)], before);
    let registry: serde_json::Value = serde_json::from_str(&own.read("~/pool/registry.json")).expect("JSON");
    assert_ne!(registry["slots"]["2"]["left"], serde_json::Value::Null, "what has no label is still in it");
    // The slot is clean as soon as that is gone.
    engine.docker(&["volume", "rm", &format!("{FREE}_mine")]).exits(0);
    kinfra(&own, &engine, "cats", "clean --all --auto-approve").exits(0);
    let plan = kinfra(&own, &engine, "cats", "clean --all --dry-run").exits(0).never_says("Would");
    plan.prints("Nothing is left that no worktree holds.\n");
}

#[test]
#[ignore = "needs a Docker engine"]
fn what_a_killed_start_left_goes_and_the_root_keeps_what_destroy_says() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let engine = Engine::for_projects(&["kinfra-killed-slot-1"]);
    let own = pool("kinfra-killed", "1", 29_740, &engine);
    own.worktree("cats");
    kinfra(&own, &engine, "cats", "claim").exits(0);
    let mut up = own.command("up");
    engine.reach(up.current_dir(own.path("~/cats")));
    let mut up = Running::start(up.stdout(Stdio::null()).stderr(Stdio::null()));
    while engine.made_by("kinfra-killed-slot-1").is_empty() {
        assert_eq!(up.try_wait().expect("its state"), None, "it ended before it made anything");
    }
    up.kill().expect("it is killed");
    up.wait().expect("it ends");
    kinfra(&own, &engine, "cats", "release");
    kinfra(&own, &engine, "cats", "clean --all --auto-approve").exits(0);
    assert_eq!(engine.made_by("kinfra-killed-slot-1"), [""; 0]);
    let destroyed = Run::of(engine.reach(&mut own.command("destroy --data --auto-approve"))).exits(0);
    let names =
        fs::read_dir(own.path("~/pool")).expect("the root").map(|entry| entry.expect("an entry").file_name());
    let named = ["registry.json", "registry.json.bak", "journal", ".lock"];
    for name in names.map(|name| name.into_string().expect("text")).filter(|name| !named.contains(&&**name)) {
        assert!(
            destroyed.stderr.contains(&format!("`{name}`")),
            "{name} stays, and is not named: {destroyed:?}"
        );
    }
    assert!(
        destroyed.stderr.contains("The registry, its backup, the journal and the lock stay in `"),
        "{destroyed:?}"
    );
}

#[test]
#[ignore = "needs a Docker engine"]
fn an_engine_without_addresses_for_a_network_is_named() {
    let daemon = Daemon::start();
    let engine = daemon.engine(&["kinfra-nets-slot-1"]);
    let own = pool("kinfra-nets", "1", 29_750, &engine);
    own.write("compose.yaml", format!("services:\n  web:\n    image: {BUSYBOX}\n    ports: ['29750:80']\n"));
    own.git(own.project(), "commit --quiet --all -m plain");
    own.worktree("cats");
    let doctor = kinfra(&own, &engine, "cats", "doctor")
        .prints("✓ networks: 0 bridge networks, and addresses for 31 more");
    doctor.never_says("! networks");
    let names: Vec<String> = (0..40).map(|number| format!("kinfra-nets-{number}")).collect();
    let made =
        names.iter().filter(|name| engine.docker(&["network", "create", name]).code == Some(0)).count();
    assert!((20..=31).contains(&made), "{made} networks were made");
    let up = kinfra(&own, &engine, "cats", "up").exits(7);
    let up =
        up.says("slot 1 is not started, because Docker has no range of addresses left for another network");
    let up = up.says(&format!(": it has {made} bridge networks\n"));
    up.says("help: `kinfra clean --all` removes those that no worktree holds; `subnet` of `[stack]`");
    let doctor =
        kinfra(&own, &engine, "cats", "doctor").prints(&format!("! networks: {made} bridge networks, and"));
    doctor.prints("`kinfra clean --all` removes those that no worktree holds");
    names.iter().for_each(|name| drop(engine.docker(&["network", "rm", name])));
}
