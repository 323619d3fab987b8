//! Stacks that really run: worktrees of the example `compose-app` on an engine, with `PostgreSQL` and images that
//! each builds from its own code.

use std::fs;

use super::board::Board;
use crate::rig::engine::{self, Engine};
use crate::support::{Machine, Run};

#[test]
#[ignore = "needs a Docker engine"]
fn compose_app_runs() {
    let engine = Engine::for_projects(&["kinfra-board-slot-1", "kinfra-board-slot-2"]);
    let board = Board::applied("kinfra-board", 28_080, &engine);
    for (branch, slot) in [("cats", 1), ("dogs", 2)] {
        board.worktree(&engine, branch);
        board.up(&engine, branch).exits(0);
        board.sql(&engine, branch, &format!("INSERT INTO notice VALUES ('about {branch}')"));
        board.is_its_own(&engine, branch, slot);
    }
    // Plain Compose means the slot, too.
    let plain = ["exec", "--", "docker", "compose", "ps", "--services"];
    board.kinfra(&engine, "cats", &plain).exits(0).prints("web\n");
    for (branch, slot) in [("cats", 1), ("dogs", 2)] {
        board.is_its_own(&engine, branch, slot);
    }

    let down = ["compose", "down", "--volumes"];
    board.kinfra(&engine, "cats", &down).exits(0);
    assert_eq!(board.sql(&engine, "dogs", "SELECT text FROM notice"), "about dogs\n");
    board.kinfra(&engine, "dogs", &down).exits(0);
    for (branch, project) in [("cats", "kinfra-board-slot-1"), ("dogs", "kinfra-board-slot-2")] {
        let made = engine.made_by(project);
        assert!(made.iter().all(|thing| thing.starts_with("image ")), "{made:?}");
        board.kinfra(&engine, branch, &["release"]).exits(0);
    }
    // The next holder of slot 1 runs its own code, though an image of the slot is there.
    board.worktree(&engine, "birds");
    board.up(&engine, "birds").exits(0);
    assert_eq!(engine::get(28_081, "/"), "board of birds\n");
    board.kinfra(&engine, "birds", &down).exits(0);
}

#[test]
#[ignore = "needs a Docker engine"]
fn three_branches_run_at_once_beside_the_main_stack() {
    let projects = ["kinfra-three", "kinfra-three-slot-1", "kinfra-three-slot-2", "kinfra-three-slot-3"];
    let engine = Engine::for_projects(&projects);
    let board = Board::applied("kinfra-three", 28_300, &engine);
    let machine = &board.machine;
    // The main stack, as its developer runs it.
    let main = |words: &[&str]| {
        let mut compose = engine.compose(machine, "kinfra-three");
        Run::of(compose.args(words).current_dir(machine.project()))
    };
    main(&["up", "-d", "--wait"]).exits(0);
    let insert = "INSERT INTO notice VALUES ('about main')";
    let select = ["exec", "-T", "db", "psql", "-U", "board", "-At", "-c", "SELECT text FROM notice"];
    main(&["exec", "-T", "db", "psql", "-U", "board", "-c", insert]).exits(0);
    let page = engine::get(28_300, "/");
    let containers = main(&["ps", "-q"]).stdout;

    board.worktree(&engine, "cats");
    board.worktree(&engine, "dogs");
    board.worktree(&engine, "mice");
    // This branch adds a service and a port. Until slots.toml has the port, no slot publishes it.
    let compose = machine.read("~/mice/compose.yaml");
    let extra = "  extra:\n    image: board-app\n    command: [httpd, -f, -p, '81', -h, /srv]\n    init: true\n    \
                 ports: ['28700:81']\n    depends_on:\n      web: { condition: service_healthy }\n";
    machine.write("~/mice/compose.yaml", compose.replace("\nvolumes:", &format!("\n{extra}\nvolumes:")));
    for branch in ["cats", "dogs"] {
        board.up(&engine, branch).exits(0);
    }
    let line = "extra = { base = 28700, publish = \"extra:81\" }";
    board.up(&engine, "mice").exits(0).says("not published on this machine: extra:81").says(line);
    let spec = machine.read("~/mice/slots.toml").replace("[ports]", &format!("[ports]\n{line}"));
    machine.write("~/mice/slots.toml", spec);
    board.kinfra(&engine, "mice", &["compose", "down", "--volumes"]).exits(0);
    let apply = ["apply", "--update", "--include-claimed", "--auto-approve"];
    board.kinfra(&engine, "mice", &apply).exits(0);
    board.up(&engine, "mice").exits(0).never_says("not published");
    assert_eq!(engine::get(28_703, "/"), "board of mice\n");

    for (branch, slot) in [("cats", 1), ("dogs", 2), ("mice", 3)] {
        board.sql(&engine, branch, &format!("INSERT INTO notice VALUES ('about {branch}')"));
        board.is_its_own(&engine, branch, slot);
    }
    assert_eq!(board.sql(&engine, "mice", "SELECT count(*) FROM notice"), "1\n");
    // Slot 3 is of a profile with four workers.
    let workers = board.kinfra(&engine, "mice", &["compose", "ps", "-q", "worker"]).exits(0);
    assert_eq!(workers.stdout.lines().count(), 4);
    for branch in ["cats", "dogs", "mice"] {
        board.kinfra(&engine, branch, &["compose", "down", "--volumes"]).exits(0);
    }
    assert_eq!(main(&["ps", "-q"]).stdout, containers, "the main stack's containers are the same");
    assert_eq!(main(&select).exits(0).stdout, "about main\n");
    assert_eq!(engine::get(28_300, "/"), page);
    main(&["down", "--volumes"]).exits(0);
}

#[test]
#[ignore = "needs a Docker engine"]
fn two_homes_on_one_engine_never_touch_each_others_data() {
    let engine = Engine::for_projects(&["kinfra-homes-slot-1", "kinfra-homes-slot-2"]);
    let first = Board::applied("kinfra-homes", 28_800, &engine);
    first.worktree(&engine, "cats");
    first.up(&engine, "cats").exits(0);
    first.sql(&engine, "cats", "INSERT INTO notice VALUES ('about cats')");
    first.kinfra(&engine, "cats", &["compose", "stop"]).exits(0);

    // Another home directory, the same pool: its slot has the same project's name on the engine.
    let second = Board::applied("kinfra-homes", 28_850, &engine);
    second.worktree(&engine, "dogs");
    let root = first.machine.path("~/.board/slots").canonicalize().expect("a root").display().to_string();
    for words in [
        &["compose", "up", "-d"][..],
        &["compose", "down", "--volumes"],
        &["compose", "rm", "--force"],
        &["compose", "exec", "-T", "db", "true"],
        &["compose", "run", "--rm", "db", "true"],
    ] {
        second.kinfra(&engine, "dogs", words).exits(4).says(&root).says("is not touched");
    }
    first.kinfra(&engine, "cats", &["compose", "start"]).exits(0);
    first.up(&engine, "cats").exits(0);
    first.is_its_own(&engine, "cats", 1);
    first.kinfra(&engine, "cats", &["compose", "down", "--volumes"]).exits(0);
    // The name is free now.
    second.up(&engine, "dogs").exits(0);
    second.kinfra(&engine, "dogs", &["compose", "down", "--volumes"]).exits(0);
}

#[test]
#[ignore = "needs a Docker engine"]
fn what_slots_share_is_made_once_and_never_removed() {
    let engine = Engine::for_projects(&["kinfra-share-slot-1", "kinfra-share-slot-2"]);
    let volume = "kinfra-share-store";
    engine.docker(&["volume", "rm", "--force", volume]);
    let board = Board::new("kinfra-share", 29_100);
    let machine = &board.machine;
    let spec = machine.read("slots.toml");
    machine.spec(&spec.replace("[compose] ", "[compose]\nshared = [\"volume:kinfra-share-store\"]\n#"));
    let compose = "services:\n  web:\n    image: busybox:kinfra\n    command: [httpd, -f, -p, '80', -h, /store]\n    init: true\n    \
                   ports: ['29100:80']\n    volumes: ['store:/store']\n\
                   volumes:\n  store: {name: kinfra-share-store}\n";
    machine.write("compose.yaml", compose);
    machine.git(machine.project(), "commit --all --quiet --message shared");
    Run::of(engine.reach(&mut machine.command("apply"))).exits(0);
    for branch in ["cats", "dogs"] {
        board.worktree(&engine, branch);
        board.up(&engine, branch).exits(0);
    }
    let write = ["compose", "exec", "-T", "web", "sh", "-c", "echo shared >/store/a"];
    board.kinfra(&engine, "cats", &write).exits(0);
    board.kinfra(&engine, "cats", &["compose", "down", "--volumes"]).exits(0);
    assert_eq!(engine::get(29_102, "/a"), "shared\n");
    board.kinfra(&engine, "dogs", &["compose", "down", "--volumes"]).exits(0);
    engine.docker(&["volume", "inspect", volume]).exits(0).never_says("no such");
    engine.docker(&["volume", "rm", volume]).exits(0);
}

#[test]
#[ignore = "needs a Docker engine"]
fn the_day_in_the_life_runs_containers() {
    let projects = ["shop-slot-1", "shop-slot-2", "shop-slot-4"];
    let engine = Engine::for_projects(&projects);
    let machine = Machine::new();
    machine.install("docker");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/day-in-the-life.sh");
    let script = fs::read_to_string(script).expect("the script");
    // On ports that nothing else on the machine has.
    let script = script.replace("808", "3808").replace("5432:5432", "35432:5432");
    machine.write("day.sh", script);
    let mut day = machine.program("bash");
    day.arg(machine.project().join("day.sh")).env("HOME", "/nowhere").env("TMPDIR", machine.home());
    day.env("RUN", "1").env("WEB_IMAGE", engine::BUSYBOX).env("DB_IMAGE", engine::POSTGRES);
    let run = Run::of(engine.reach(&mut day)).exits(0);
    run.prints("== 09:30  Both stacks run at once").prints("== 18:00  Nothing is left but the branches.\n");
    for project in projects {
        assert_eq!(engine.made_by(project), Vec::<String>::new());
    }
}
