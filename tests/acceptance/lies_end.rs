//! The lie table, continued: what Compose says of the end of a stack, and what kinfra says and does, on a real engine.

use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use crate::rig::engine::{BUSYBOX, Engine};
use crate::support::{Machine, Run, Running};

/// The main worktree of a project, which holds slot 1 of its pool.
struct Project {
    machine: Machine,
    engine: Engine,
    pool: &'static str,
}

impl Project {
    /// `port` is that of the main stack. `services` come after the service `db`, and `rest` after all of them.
    fn new(pool: &'static str, port: u16, services: &str, engine: Engine) -> Self {
        let machine = Machine::new().with_real_ports();
        machine.install("docker");
        let compose = format!(
            "services:\n  db:\n    image: {BUSYBOX}\n    command: [httpd, -f, -p, '80', -h, /]\n    init: true\n    \
             stop_grace_period: 0s\n    ports: ['{port}:80']\n    volumes: ['data:/data']\n{services}volumes:\n  data:\n"
        );
        machine.write("compose.yaml", compose);
        machine.git(machine.project(), "init --quiet");
        let project = Self { machine, engine, pool };
        project.kinfra("init").exits(0);
        let spec = project.machine.read("slots.toml");
        let name = spec.lines().find(|line| line.starts_with("name")).expect("a name").to_owned();
        project.machine.spec(&spec.replacen(&name, &format!("name = \"{pool}\""), 1));
        project.machine.git(project.machine.project(), "add .");
        project.machine.git(project.machine.project(), "commit --quiet --message project");
        project.kinfra("apply").exits(0);
        project.kinfra("claim --slot 1").exits(0);
        project
    }

    fn command(&self, arguments: &str) -> Command {
        let mut command = self.machine.command(arguments);
        self.engine.reach(&mut command);
        command
    }

    fn kinfra(&self, arguments: &str) -> Run {
        Run::of(&mut self.command(arguments))
    }

    fn project(&self) -> String {
        format!("{}-slot-1", self.pool)
    }

    /// The name of something of slot 1.
    fn named(&self, name: &str) -> String {
        format!("{}_{name}", self.project())
    }

    /// Compose by itself, for slot 1.
    fn compose(&self, words: &[&str]) -> Run {
        let mut exec = self.command("exec -- docker compose");
        Run::of(exec.args(words))
    }

    /// The state of slot 1's stack.
    fn state(&self) -> String {
        let document: Value =
            serde_json::from_str(&self.kinfra("slots --json").exits(0).stdout).expect("JSON");
        document["slots"][0]["stack"]["state"].as_str().expect("a state").to_owned()
    }

    /// A container that is none of the stack's.
    fn stranger(&self, name: &str, options: &[&str]) {
        let run =
            [&["run", "--detach", "--init", "--name", name], options, &[BUSYBOX, "sleep", "600"]].concat();
        self.engine.docker(&run).exits(0);
    }
}

#[test]
#[ignore = "needs docker"]
fn a_stranger_on_the_network_or_the_volume() {
    // What a run left that failed.
    Engine::for_projects(&[]).docker(&["rm", "--force", "kinfra-lies-net", "kinfra-lies-vol"]);
    let project = Project::new("lies-stranger", 28_600, "", Engine::for_projects(&["lies-stranger-slot-1"]));
    for (name, options, left, release) in [
        (
            "kinfra-lies-net",
            ["--network".to_owned(), project.named("default")],
            project.named("default"),
            "release",
        ),
        (
            "kinfra-lies-vol",
            ["--volume".to_owned(), project.named("data") + ":/x"],
            project.named("data"),
            "release --wipe",
        ),
    ] {
        project.kinfra("up").exits(0);
        project.stranger(name, &options.each_ref().map(String::as_str));
        // Compose ends well, and leaves it.
        project.compose(&["down", "--volumes"]).exits(0);
        let there = project.engine.made_by(&project.project());
        assert!(!there.is_empty(), "Compose removed what is in use");
        project.kinfra("up").exits(0);
        project.kinfra(release).exits(1).says(&left).says(name).says("not clean yet");
        project.kinfra("slots").exits(0).prints("dirty");
        // Another holder does not get it.
        project.kinfra("claim --slot 1").exits(4).says(name);
        project.engine.docker(&["rm", "--force", name]).exits(0);
        project.kinfra("clean 1 --auto-approve").exits(0);
        project.kinfra("claim --slot 1").exits(0);
    }
    project.kinfra("release --wipe").exits(0);
    assert_eq!(project.engine.made_by(&project.project()), Vec::<String>::new());
}

#[test]
#[ignore = "needs docker"]
fn a_profile_that_compose_is_not_told_of() {
    let tool = format!(
        "  tool:\n    image: {BUSYBOX}\n    command: [sleep, '600']\n    init: true\n    stop_grace_period: 0s\n    profiles: [tools]\n"
    );
    let project = Project::new("lies-profile", 28_620, &tool, Engine::for_projects(&["lies-profile-slot-1"]));
    project.kinfra("up --compose-profile tools").exits(0);
    project.compose(&["down", "--volumes"]).exits(0);
    let left = project.engine.made_by(&project.project());
    assert!(left.iter().any(|made| made.starts_with("container")), "Compose leaves the profile's: {left:?}");
    assert_eq!(project.state(), "running", "kinfra says that something runs");
    project.kinfra("release --wipe").exits(0);
    assert_eq!(project.engine.made_by(&project.project()), Vec::<String>::new());
    project.kinfra("slots").exits(0).prints("stopped");
}

#[test]
#[ignore = "needs docker"]
fn a_project_name_that_another_root_has() {
    let project = "lies-name-slot-1";
    let first = Project::new("lies-name", 28_640, "", Engine::for_projects(&[project]));
    first.kinfra("up").exits(0);
    let there = first.engine.made_by(project);
    // Another home on another machine's disk, with a pool of the same name. Its engine removes nothing at first.
    let second = Project::new("lies-name", 28_660, "", Engine::for_projects_as_they_are(&[project]));
    second.kinfra("up").exits(4).says("is not touched");
    second.kinfra("release").exits(0);
    assert_eq!(first.engine.made_by(project), there, "nothing of the first one is gone");
    assert_eq!((first.state().as_str(), second.state().as_str()), ("running", "never_started"));
    // Compose removes all that has the name.
    second.kinfra("claim --slot 1").exits(0);
    second.compose(&["down", "--volumes"]).exits(0);
    assert_ne!(first.engine.made_by(project), there, "Compose does");
    assert_eq!(first.state(), "down", "and kinfra says so");
    first.kinfra("release --wipe").exits(0);
}

#[test]
#[ignore = "needs docker"]
fn an_interrupt_while_it_starts() {
    let slow = format!(
        "  slow:\n    image: {BUSYBOX}\n    command: [sleep, '600']\n    init: true\n    stop_grace_period: 0s\n    \
         healthcheck: {{test: [CMD, 'false'], interval: 1s, start_period: 300s}}\n"
    );
    let project = Project::new("lies-sigint", 28_670, &slow, Engine::for_projects(&["lies-sigint-slot-1"]));
    let up = Running::piped(&mut project.command("up"));
    let begun = Instant::now();
    while project.state() != "starting" {
        assert!(begun.elapsed() < Duration::from_mins(1), "it never starts");
        thread::sleep(Duration::from_millis(200));
    }
    thread::sleep(Duration::from_secs(2));
    up.signal(Signal::INT);
    up.ends().exits(130).says("runs on").says("kinfra status");
    project.kinfra("status").exits(0).prints("      slow       starting\n");
    project.kinfra("release --wipe").exits(0);
    assert_eq!(project.engine.made_by(&project.project()), Vec::<String>::new());
}

#[test]
#[ignore = "needs docker"]
fn a_stack_that_was_started_without_kinfra_is_seen() {
    let project = Project::new("lies-exec", 28_680, "", Engine::for_projects(&["lies-exec-slot-1"]));
    assert_eq!(project.state(), "never_started");
    project.compose(&["up", "--detach"]).exits(0);
    project
        .kinfra("slots")
        .exits(0)
        .never_says("never started")
        .never_says("1  standard     28681  project     -       just now  -      stopped");
    assert!(["starting", "running"].contains(&project.state().as_str()), "{}", project.state());
    project.compose(&["kill", "--signal", "KILL", "db"]).exits(0);
    assert_eq!(project.state(), "exited");
    project.compose(&["down", "--volumes"]).exits(0);
    assert_eq!(project.state(), "never_started");
}
