//! The files that kinfra writes for Compose: as text ([`text`], without Docker), and as Compose v2 reads
//! them.
//!
//! The tests that run `docker compose config` need the plugin and no daemon; `.ci/install-compose` puts it
//! there.

pub(crate) mod judge;
pub(crate) mod overlay;
mod overlay_cases;
mod overlay_compose;
mod subnets;
mod text;
mod values;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Map, Value};

use crate::acceptance::examples;
use crate::support::{Machine, Run, tools};

/// Numbers by name: ports, or workers.
type Numbers = BTreeMap<String, u64>;

/// A pool that was applied on a machine of its own.
struct Pool {
    machine: Machine,
    name: String,
    /// What the names of its ports and workers become in `.env.sandbox`.
    env_prefix: String,
    /// The ports of slot 0.
    main: Numbers,
    slots: Vec<Slot>,
}

struct Slot {
    id: u64,
    dir: PathBuf,
    ports: Numbers,
    workers: Numbers,
}

impl Pool {
    fn embedded() -> Self {
        Self::applied(Machine::new(), include_str!("../../slots.toml"))
    }

    fn applied(machine: Machine, spec: &str) -> Self {
        machine.kinfra("apply").exits(0);
        let spec: toml::Table = spec.parse().expect("TOML");
        let ports = json(machine.kinfra("ports --json"));
        let slots = json(machine.kinfra("slots --json"));
        let slot = |(declared, provisioned): (&Value, &Value)| {
            assert_eq!(declared["slot_id"], provisioned["slot_id"]);
            Slot {
                id: declared["slot_id"].as_u64().expect("an id"),
                dir: PathBuf::from(provisioned["infrastructure_path"].as_str().expect("a path")),
                ports: numbers(&declared["ports"]),
                workers: numbers(&provisioned["workers"]),
            }
        };
        let both = list(&ports["slots"]).iter().zip(list(&slots["slots"]));
        Self {
            name: spec["pool"]["name"].as_str().expect("a name").to_owned(),
            env_prefix: spec["pool"]["env_prefix"].as_str().expect("a prefix").to_owned(),
            main: numbers(&ports["main"]),
            slots: both.map(slot).collect(),
            machine,
        }
    }
}

/// The embedded pool and every example.
fn pools() -> Vec<Pool> {
    let examples = examples::all().into_iter().map(|example| {
        let machine = example.machine();
        let spec = machine.read("slots.toml");
        Pool::applied(machine, &spec)
    });
    std::iter::once(Pool::embedded()).chain(examples).collect()
}

fn json(run: Run) -> Value {
    serde_json::from_str(&run.exits(0).stdout).expect("JSON")
}

fn list(value: &Value) -> &[Value] {
    value.as_array().expect("a list")
}

fn numbers(value: &Value) -> Numbers {
    let entries = value.as_object().expect("an object").iter();
    entries.map(|(name, number)| (name.clone(), number.as_u64().expect("a number"))).collect()
}

/// What Compose reads from a slot directory, with an empty stderr.
fn config(machine: &Machine, dir: &Path) -> Value {
    let version = Run::of(docker_compose(machine, dir).args(["version", "--short"]));
    let works = version.code == Some(0) && !version.stdout.starts_with("1.");
    assert!(
        works,
        "`docker compose` v2 does not run: run .ci/install-compose, or install it as your system does"
    );

    let arguments = ["--env-file", ".env.sandbox", "config", "--format", "json"];
    let run = Run::of(docker_compose(machine, dir).args(arguments)).exits(0);
    assert_eq!(run.stderr, "", "in {}", dir.display());
    json(run)
}

/// What Compose reads from a slot directory, with services of every profile. Warnings are ignored.
pub(crate) fn config_of_every_profile(machine: &Machine, dir: &Path) -> Value {
    let arguments = ["--profile", "*", "--env-file", ".env.sandbox", "config", "--format", "json"];
    json(Run::of(docker_compose(machine, dir).args(arguments)))
}

/// `docker compose` in a directory, with nothing of the real environment but where to find its plugins.
pub(crate) fn docker_compose(machine: &Machine, dir: &Path) -> Command {
    let docker = tools::find("docker").expect("this test needs docker");
    let mut command = machine.program(docker);
    command.arg("compose").current_dir(dir).env("DOCKER_CONFIG", docker_config());
    command
}

/// Where the real docker finds its plugins.
pub(crate) fn docker_config() -> PathBuf {
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".docker");
    std::env::var_os("DOCKER_CONFIG").map_or_else(home, PathBuf::from)
}

#[test]
#[ignore = "needs Docker Compose v2"]
fn compose_reads_every_slot_as_it_was_meant() {
    for pool in pools() {
        for slot in &pool.slots {
            let config = config(&pool.machine, &slot.dir);
            let project = format!("{}-slot-{}", pool.name, slot.id);
            assert_eq!(config["name"], project.as_str());
            let services = config["services"].as_object().expect("services");
            assert_ports(services, slot, &project);
            assert_replicas(services, slot, &project);
            for (name, service) in services {
                let labels = &service["labels"];
                assert_eq!(labels["kinfra.pool"], pool.name.as_str(), "{name} of {project}");
                assert_eq!(labels["kinfra.slot"], slot.id.to_string(), "{name} of {project}");
            }
        }
    }
}

/// The slot's ports are published, each once, on this machine only, and no others are.
#[test]
#[ignore = "needs Docker Compose"]
fn a_claim_mounts_the_code_of_its_worktree_whatever_its_path() {
    let machine = Machine::new();
    machine.kinfra("apply").exits(0);
    for name in ["plain", "two words", "it's \"$HOME\"", "a#b: c", "größe\\", "{{ x }}"] {
        let worktree = machine.path(&format!("~/{name}"));
        std::fs::create_dir(&worktree).expect("a worktree");
        Run::of(machine.command("claim --embedded").current_dir(&worktree)).exits(0).prints("Claimed slot 1");
        let slot = machine.path("~/.ktrdr/sandboxes/slot-1");
        let services = config(&machine, &slot)["services"].clone();
        for service in ["backend", "backtest-worker", "training-worker"] {
            let volumes = list(&services[service]["volumes"]);
            let code = volumes.iter().find(|volume| volume["target"] == "/app/ktrdr").expect("the code");
            // Compose doubles `$` in its output.
            let source = code["source"].as_str().expect("a path").replace("$$", "$");
            assert_eq!(Path::new(&source), worktree.join("ktrdr"), "{service}");
            assert_eq!(volumes.len(), 4, "{service}: the shared directories and the code");
        }
        Run::of(machine.command("release").current_dir(&worktree)).exits(0);
        let services = config(&machine, &slot)["services"].clone();
        assert_eq!(list(&services["backend"]["volumes"]).len(), 3);
    }
}

fn assert_ports(services: &Map<String, Value>, slot: &Slot, project: &str) {
    let published = || services.values().filter_map(|service| service["ports"].as_array()).flatten();
    assert!(published().all(|port| port["host_ip"] == "127.0.0.1"), "{project}: {services:#?}");
    let mut host_ports: Vec<u64> = published().map(host_port).collect();
    let mut declared: Vec<u64> = slot.ports.values().copied().collect();
    host_ports.sort_unstable();
    declared.sort_unstable();
    assert_eq!(host_ports, declared, "host ports of {project}");
}

/// The service `KIND-worker` runs as often as the profile says, every other service once.
fn assert_replicas(services: &Map<String, Value>, slot: &Slot, project: &str) {
    for kind in slot.workers.keys() {
        assert!(services.contains_key(&format!("{kind}-worker")), "{project} has no {kind}-worker");
    }
    for (name, service) in services {
        let declared = name.strip_suffix("-worker").map(|kind| slot.workers[kind]);
        assert_eq!(service["deploy"]["replicas"].as_u64(), declared, "replicas of {name} of {project}");
    }
}

#[test]
#[ignore = "needs Docker Compose v2"]
fn ktrdr_services_have_their_ports_and_a_heavy_slot_four_workers_of_a_kind() {
    let pool = Pool::embedded();
    let slot = pool.slots.last().expect("six slots");
    let services = &config(&pool.machine, &slot.dir)["services"];
    for (service, container_port, name) in [
        ("db", 5432, "db"),
        ("backend", 8000, "api"),
        ("jaeger", 16686, "jaeger_ui"),
        ("jaeger", 4317, "otlp_grpc"),
        ("jaeger", 4318, "otlp_http"),
        ("prometheus", 9090, "prometheus"),
        ("grafana", 3000, "grafana"),
    ] {
        let mut ports = list(&services[service]["ports"]).iter();
        let port = ports.find(|port| port["target"] == container_port);
        assert_eq!(port.map(host_port), Some(slot.ports[name]), "{service} {container_port}");
    }
    for worker in ["backtest-worker", "training-worker"] {
        assert_eq!(services[worker]["deploy"]["replicas"], 4);
        assert_eq!(services[worker]["ports"], Value::Null);
    }
}

fn host_port(port: &Value) -> u64 {
    port["published"].as_str().and_then(|port| port.parse().ok()).expect("a published port")
}
