//! The lie table: what Compose says of a stack, and what kinfra's gate says of the same stack, on a real engine.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use kinfra::compose::model::Model;
use kinfra::fault::{Exit, exit_of};
use kinfra::host::signals::Interrupt;
use kinfra::registry::{Engine as Address, RegistryId};
use kinfra::stack::gate::patience::{Patience, Verdict};
use kinfra::stack::gate::state::{Expected, Judged, ServiceState};
use kinfra::stack::gate::{Gated, Watched, gate};
use rustix::process::Signal;

use crate::rig::daemon::Daemon;
use crate::rig::engine::Engine;
use crate::support::{Machine, Run, Running};

/// How long a service must be up, as `kinfra up` has it by default.
const SETTLE: Duration = Duration::from_secs(5);

/// A stack with one service `app`, and its project.
struct Stack {
    machine: Machine,
    project: &'static str,
}

impl Stack {
    /// `services` is what stands below `services:`.
    fn new(project: &'static str, services: &str) -> Self {
        let machine = Machine::new();
        machine.install("docker");
        machine.write("compose.yaml", format!("services:\n{services}"));
        Self { machine, project }
    }

    /// A stack whose only service runs a script of a shell, with further lines of Compose.
    fn app(project: &'static str, script: &str, lines: &str) -> Self {
        let app = format!(
            "  app:\n    image: busybox:kinfra\n    init: true\n    stop_grace_period: 0s\n    command: [sh, -c, '{script}']\n{lines}"
        );
        Self::new(project, &app)
    }

    fn compose(&self, engine: &Engine, words: &[&str]) -> Run {
        Run::of(engine.compose(&self.machine, self.project).args(words).current_dir(self.machine.project()))
    }

    fn wait(&self, engine: &Engine) -> Run {
        self.compose(engine, &["up", "--detach", "--wait"])
    }

    fn down(&self, engine: &Engine) {
        self.compose(engine, &["down", "--volumes", "--timeout", "0"]).exits(0);
    }

    /// What kinfra says, and each look on the way.
    fn gated(&self, engine: &Engine, timeout: u64) -> (Gated, Vec<Vec<Judged>>) {
        let model = self.compose(engine, &["config", "--format", "json"]).exits(0).stdout;
        let expected = Expected::of(&Model::parse(&model).expect("a model"), &BTreeSet::new());
        let mut looks = Vec::new();
        let patience = Patience { timeout: Duration::from_secs(timeout), settle: SETTLE };
        let address = Address::Address(engine.address().to_owned());
        let watched = Watched {
            project: self.project,
            engine: Some(&address),
            id: RegistryId::from_random([7; 16]),
            expected: &expected,
        };
        let gated = gate(&watched, patience, &Interrupt::default(), &mut |judged| {
            looks.push(judged.to_vec());
        });
        (gated.expect("Docker answers"), looks)
    }
}

#[track_caller]
fn says(gated: &Gated, verdict: Verdict, states: &[(&str, ServiceState)]) {
    let said: Vec<_> = gated.services.iter().map(|judged| (judged.service.as_str(), judged.state)).collect();
    assert_eq!((gated.verdict, said.as_slice()), (verdict, states), "{gated:#?}");
}

/// What the first failing service printed last.
fn printed(gated: &Gated) -> Vec<&str> {
    let lines: &BTreeMap<_, _> = &gated.last_lines;
    lines.values().next().into_iter().flatten().map(String::as_str).collect()
}

#[test]
#[ignore = "needs docker"]
fn a_service_that_dies_after_two_seconds() {
    let engine = Engine::for_projects(&["lies-dies"]);
    let stack = Stack::app("lies-dies", "sleep 2; echo no database; exit 3", "");
    stack.wait(&engine).exits(0).says("Healthy");
    stack.down(&engine);
    stack.compose(&engine, &["up", "--detach"]).exits(0);
    let (gated, _) = stack.gated(&engine, 60);
    says(&gated, Verdict::DoesNotRun, &[("app", ServiceState::Failed)]);
    assert_eq!((gated.services[0].exit_code, printed(&gated)), (Some(3), vec!["no database"]));

    // Compose believes a health check that succeeded once, too.
    let healthy = "    healthcheck: {test: [CMD, 'true'], interval: 1s}\n";
    let stack = Stack::app("lies-dies", "sleep 3; exit 3", healthy);
    stack.down(&engine);
    stack.wait(&engine).exits(0).says("Healthy");
    let (gated, _) = stack.gated(&engine, 60);
    says(&gated, Verdict::DoesNotRun, &[("app", ServiceState::Failed)]);
}

#[test]
#[ignore = "needs docker"]
fn a_service_in_a_crash_loop() {
    let engine = Engine::for_projects(&["lies-loop"]);
    let stack = Stack::app("lies-loop", "echo again; sleep 1; exit 3", "    restart: always\n");
    stack.wait(&engine).exits(0).says("Healthy");
    let (gated, looks) = stack.gated(&engine, 60);
    says(&gated, Verdict::DoesNotRun, &[("app", ServiceState::Looping)]);
    assert!(printed(&gated).contains(&"again"), "{gated:?}");
    let good = |judged: &Judged| judged.is_ready();
    assert!(!looks.iter().flatten().any(good), "no look says that it runs");
}

#[test]
#[ignore = "needs docker"]
fn one_shots() {
    let engine = Engine::for_projects(&["lies-shot"]);
    let stack = Stack::app("lies-shot", "true", "");
    let compose = stack.wait(&engine);
    assert_eq!(compose.code, Some(1), "{compose:?}");
    let (gated, _) = stack.gated(&engine, 60);
    says(&gated, Verdict::Runs, &[("app", ServiceState::Done)]);
    stack.down(&engine);

    let stack = Stack::app("lies-shot", "echo no such table; exit 4", "");
    assert_eq!(stack.wait(&engine).code, Some(1));
    let (gated, _) = stack.gated(&engine, 60);
    says(&gated, Verdict::DoesNotRun, &[("app", ServiceState::Failed)]);
    assert_eq!((gated.services[0].exit_code, printed(&gated)), (Some(4), vec!["no such table"]));
    stack.down(&engine);

    // One that another service waits for: the stack runs only when it has ended.
    let waits = "  web:\n    image: busybox:kinfra\n    init: true\n    stop_grace_period: 0s\n    command: [sleep, '600']\n    \
                 depends_on: {app: {condition: service_completed_successfully}}\n";
    let stack = Stack::app("lies-shot", "sleep 3", waits);
    stack.compose(&engine, &["up", "--detach"]).exits(0);
    let (gated, _) = stack.gated(&engine, 60);
    says(&gated, Verdict::Runs, &[("app", ServiceState::Done), ("web", ServiceState::Settled)]);
}

#[test]
#[ignore = "needs docker"]
fn unhealthy_and_slow() {
    let engine = Engine::for_projects(&["lies-health"]);
    let check = "    healthcheck: {test: [CMD-SHELL, 'test -e /ready || { echo not ready; exit 1; }'], interval: 1s, retries: 2}\n";
    let stack = Stack::app("lies-health", "sleep 600", check);
    let compose = stack.wait(&engine);
    assert_eq!(compose.code, Some(1), "{compose:?}");
    let (gated, _) = stack.gated(&engine, 120);
    says(&gated, Verdict::DoesNotRun, &[("app", ServiceState::Unhealthy)]);
    assert_eq!(gated.services[0].health, "not ready");
    stack.down(&engine);

    // A slow start, for which the check is too strict: Compose gives up, and the stack runs.
    let stack = Stack::app("lies-health", "sleep 8; touch /ready; sleep 600", check);
    let compose = stack.wait(&engine);
    assert_eq!(compose.code, Some(1), "{compose:?}");
    let (gated, looks) = stack.gated(&engine, 120);
    says(&gated, Verdict::Runs, &[("app", ServiceState::Healthy)]);
    assert!(looks.iter().flatten().any(|judged| judged.state == ServiceState::Unhealthy), "it was not slow");
    stack.down(&engine);

    let stack = Stack::app(
        "lies-health",
        "sleep 600",
        &check.replace("retries: 2", "retries: 2, start_period: 300s"),
    );
    stack.compose(&engine, &["up", "--detach"]).exits(0);
    let (gated, _) = stack.gated(&engine, 3);
    says(&gated, Verdict::NotInTime, &[("app", ServiceState::Starting)]);
}

#[test]
#[ignore = "needs docker"]
fn out_of_memory() {
    let engine = Engine::for_projects(&["lies-oom"]);
    // busybox's `tail` keeps a line that does not end.
    let stack =
        Stack::app("lies-oom", "sleep 1; tail /dev/zero", "    mem_limit: 16m\n    memswap_limit: 16m\n");
    stack.wait(&engine).exits(0).says("Healthy");
    let (gated, _) = stack.gated(&engine, 60);
    says(&gated, Verdict::DoesNotRun, &[("app", ServiceState::Failed)]);
    assert!(gated.services[0].is_out_of_memory, "{gated:?}");
}

#[test]
#[ignore = "needs docker"]
fn ports_bound_late_or_on_the_loopback() {
    let engine = Engine::for_projects(&["lies-port"]);
    let port = "    ports: ['127.0.0.1::80']\n";
    let stack = Stack::app("lies-port", "sleep 8; exec httpd -f -p 80 -h /", port);
    stack.wait(&engine).exits(0).says("Healthy");
    let (gated, looks) = stack.gated(&engine, 60);
    says(&gated, Verdict::Runs, &[("app", ServiceState::Settled)]);
    let notes: BTreeSet<String> =
        looks.iter().flatten().filter_map(|judged| Some(judged.note.as_ref()?.to_string())).collect();
    assert!(notes.contains("nothing listens on port 80 of its container"), "{notes:?}");
    stack.down(&engine);

    let stack = Stack::app("lies-port", "exec httpd -f -p 127.0.0.1:80 -h /", port);
    stack.wait(&engine).exits(0).says("Healthy");
    let (gated, _) = stack.gated(&engine, 60);
    says(&gated, Verdict::DoesNotRun, &[("app", ServiceState::Starting)]);
    let note = gated.services[0].note.as_ref().expect("a note").to_string();
    assert!(note.contains("loopback only"), "{note}");
    stack.down(&engine);

    let udp = "    ports: ['127.0.0.1::67/udp']\n";
    let stack = Stack::app("lies-port", "sleep 600", udp);
    stack.wait(&engine).exits(0).says("Healthy");
    let (gated, _) = stack.gated(&engine, 8);
    says(&gated, Verdict::NotInTime, &[("app", ServiceState::Starting)]);
    stack.down(&engine);
    let dhcp =
        "touch /leases; echo interface eth0 >/conf; echo lease_file /leases >>/conf; exec udhcpd -f /conf";
    let stack = Stack::app("lies-port", dhcp, udp);
    stack.wait(&engine).exits(0);
    says(&stack.gated(&engine, 30).0, Verdict::Runs, &[("app", ServiceState::Settled)]);
}

#[test]
#[ignore = "needs docker"]
fn an_interrupt_in_the_middle() {
    let engine = Engine::for_projects(&["lies-int"]);
    let check = "    healthcheck: {test: [CMD, 'false'], interval: 1s, start_period: 60s}\n";
    let stack = Stack::app("lies-int", "sleep 600", check);
    let mut compose: Command = engine.compose(&stack.machine, stack.project);
    compose.args(["up", "--detach", "--wait"]).current_dir(stack.machine.project());
    let mut compose = Running::start(&mut compose);
    let begun = Instant::now();
    while engine.made_by(stack.project).iter().all(|made| !made.starts_with("container")) {
        assert!(begun.elapsed() < Duration::from_secs(30), "no container appears");
        thread::sleep(Duration::from_millis(100));
    }
    thread::sleep(Duration::from_secs(1));
    compose.signal(Signal::INT);
    compose.wait().expect("compose ends");
    // Compose leaves all of it running, and says nothing of it. kinfra says what it does.
    let (gated, _) = stack.gated(&engine, 3);
    says(&gated, Verdict::NotInTime, &[("app", ServiceState::Starting)]);
}

#[test]
#[ignore = "needs docker"]
fn the_daemon_is_killed_and_started_again_in_the_middle() {
    let mut daemon = Daemon::start();
    let engine = daemon.engine(&["lies-daemon"]);
    let service = |name: &str, restart: &str| {
        format!(
            "  {name}:\n    image: busybox:kinfra\n    command: [sleep, '600']\n    init: true\n    network_mode: none\n    \
             stop_grace_period: 0s\n    restart: {restart}\n"
        )
    };
    let stack = Stack::new("lies-daemon", &service("stays", "always"));
    stack.wait(&engine).exits(0);
    let killed = thread::scope(|scope| {
        let gated = scope.spawn(|| {
            let started = Instant::now();
            // The settle time has not passed when the daemon goes.
            (stack.gated(&engine, 90), started.elapsed())
        });
        thread::sleep(Duration::from_millis(1500));
        daemon.kill();
        thread::sleep(Duration::from_secs(3));
        daemon.start_again();
        gated.join().expect("the gate does not panic")
    });
    let ((gated, _), took) = killed;
    says(&gated, Verdict::Runs, &[("stays", ServiceState::Settled)]);
    assert!(took > Duration::from_secs(5), "the daemon was away in the middle: {took:?}");
    stack.down(&engine);

    // Without a restart policy its containers do not come back.
    let stack = Stack::new("lies-daemon", &service("goes", "'no'"));
    stack.wait(&engine).exits(0);
    let (gated, _) = thread::scope(|scope| {
        let gated = scope.spawn(|| stack.gated(&engine, 90));
        thread::sleep(Duration::from_millis(1500));
        daemon.kill();
        daemon.start_again();
        gated.join().expect("the gate does not panic")
    });
    says(&gated, Verdict::DoesNotRun, &[("goes", ServiceState::Failed)]);
    stack.down(&engine);
}

#[test]
#[ignore = "needs docker"]
fn the_engine_is_gone() {
    let engine = Engine::for_projects(&["lies-gone"]);
    let stack = Stack::app("lies-gone", "sleep 600", "");
    let nowhere = stack.machine.path("~/nowhere.sock").display().to_string();
    let address = Address::Address(format!("unix://{nowhere}"));
    let model = stack.compose(&engine, &["config", "--format", "json"]).exits(0).stdout;
    let expected = Expected::of(&Model::parse(&model).expect("a model"), &BTreeSet::new());
    let watched = Watched {
        project: stack.project,
        engine: Some(&address),
        id: RegistryId::from_random([7; 16]),
        expected: &expected,
    };
    let patience = Patience { timeout: Duration::from_secs(3), settle: SETTLE };
    let error = gate(&watched, patience, &Interrupt::default(), &mut |_| ()).expect_err("no engine");
    assert_eq!(exit_of(&error), Exit::Docker, "{error:#}");
}
