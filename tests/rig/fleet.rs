//! A project whose worktrees share the slots of a pool, on a scripted engine or on a real one behind it; and what must hold
//! of them at any time.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::engine::BUSYBOX;
use super::real::Real;
use super::scripted::{DIRECTORY, PROJECT, Scripted, Thing};
use crate::support::{Machine, Run, shop};

/// The seconds after which kinfra gives a docker up that hangs, if it is scripted.
const PATIENCE: (&str, &str) = ("KINFRA_TEST_DOCKER_SECONDS", "1");

/// The verbs that start a stack.
const STARTS: [&str; 3] = ["up", "reset", "start"];

const POOL: &str = "kinfra-fleet";

/// Each container writes into its volumes which project and which worktree it is of: the one of `web` has that in its
/// image.
const COMPOSE: &str = "services:
  web:
    build: {context: .}
    init: true
    stop_grace_period: 0s
    environment: {OF: '${COMPOSE_PROJECT_NAME}'}
    command: [sh, -c, 'echo $$OF $$(cat /worktree) >>/cache/seen; exec httpd -f -p 80']
    ports: ['28900:80']
    volumes: ['/cache']
  db:
    image: busybox:kinfra
    init: true
    stop_grace_period: 0s
    restart: always
    environment: {OF: '${COMPOSE_PROJECT_NAME}'}
    command: [sh, -c, 'echo $$OF $$(cat /worktree) >>/data/seen; exec sleep 1000']
    volumes: ['data:/data', './worktree:/worktree:ro']
volumes:
  data:
";

/// The slots of the pool.
pub(crate) const SLOTS: [u16; 2] = [1, 2];

/// A project with worktrees, each on a branch of its name.
pub(crate) struct Fleet {
    pub(crate) machine: Machine,
    pub(crate) engine: Scripted,
    real: Option<Real>,
    /// The slots that the pool has.
    slots: BTreeSet<u16>,
}

/// What the registry says of a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Slot {
    /// A worktree holds it.
    Held(PathBuf),
    /// No worktree holds it, and nothing is to be in it.
    Clean,
    /// No worktree holds it, and something may be in it: what is noted of it.
    Left(Value),
}

impl Fleet {
    /// The pool is applied, and no worktree holds a slot.
    pub(crate) fn new(worktrees: &[&str]) -> Self {
        Self::on(None, Machine::in_memory(), worktrees)
    }

    /// The same, on the engine of this machine. Two tests must not do that at once.
    #[track_caller]
    pub(crate) fn on_a_real_engine(worktrees: &[&str]) -> Self {
        let real = Real::for_projects(&SLOTS.map(project));
        Self::on(Some(real), Machine::in_memory().with_real_ports(), worktrees)
    }

    /// The same, on a machine of the caller's, with other slots and further tables in slots.toml.
    pub(crate) fn of_slots(machine: Machine, slots: u16, tables: &str, worktrees: &[&str]) -> Self {
        let spec = shop(POOL, 28_900).replace("1-2", &format!("1-{slots}")) + tables;
        Self::with(None, machine, &spec, worktrees)
    }

    fn on(real: Option<Real>, machine: Machine, worktrees: &[&str]) -> Self {
        Self::with(real, machine, &shop(POOL, 28_900), worktrees)
    }

    fn with(real: Option<Real>, machine: Machine, spec: &str, worktrees: &[&str]) -> Self {
        machine.spec(spec);
        machine.write("compose.yaml", COMPOSE);
        machine.write("Dockerfile", format!("FROM {BUSYBOX}\nCOPY worktree /\n"));
        machine.repository(machine.project());
        let engine = Scripted::new(machine.path("~/engine"));
        let mut fleet = Self { machine, engine, real, slots: BTreeSet::new() };
        fleet.kinfra("project", "apply").exits(0);
        fleet.slots = fleet.slots().into_keys().collect();
        for worktree in worktrees {
            fleet.add(worktree);
        }
        fleet
    }

    /// Adds a worktree.
    pub(crate) fn add(&self, worktree: &str) {
        let path = self.machine.worktree(worktree);
        fs::write(path.join("worktree"), path.display().to_string()).expect("its name for its containers");
    }

    pub(crate) fn worktree(&self, name: &str) -> PathBuf {
        self.machine.path(&format!("~/{name}"))
    }

    /// kinfra in a worktree, or in the project if that is gone.
    pub(crate) fn command(&self, worktree: &str, arguments: &str) -> Command {
        let mut command = self.machine.command(arguments);
        let path = self.worktree(worktree);
        command.current_dir(if path.is_dir() { path } else { self.machine.project() });
        let is_gated = ["--no-gate", "--timeout"].iter().any(|flag| arguments.contains(flag));
        let starts = !is_gated && STARTS.iter().any(|verb| arguments.split(' ').next() == Some(verb));
        match &self.real {
            // Nothing listens in a scripted container, so the gate, which only looks, is left out.
            None => command.args(starts.then_some("--no-gate")).env(PATIENCE.0, PATIENCE.1),
            Some(_) if starts => command.args(["--settle", "0s", "--timeout", "30s"]),
            Some(_) => &mut command,
        };
        self.engine.reach(&mut command);
        if let Some(real) = &self.real {
            real.reach(&mut command);
        }
        command
    }

    pub(crate) fn kinfra(&self, worktree: &str, arguments: &str) -> Run {
        Run::of(&mut self.command(worktree, arguments))
    }

    /// What the registry says of each slot.
    pub(crate) fn slots(&self) -> BTreeMap<u16, Slot> {
        let registry: Value = serde_json::from_str(&self.machine.read("~/pool/registry.json")).expect("JSON");
        let slots = registry["slots"].as_object().expect("slots").iter();
        let read = |(id, entry): (&String, &Value)| (id.parse().expect("a slot's id"), Slot::of(entry));
        slots.map(read).collect()
    }

    /// The containers of a service crash.
    pub(crate) fn crash(&self, service: &str) {
        match &self.real {
            None => drop(self.engine.crash(service)),
            Some(real) => real.crash(service),
        }
    }

    /// What the engine has of a slot: by its project, and by kinfra's label. Without images, which no two claims share.
    pub(crate) fn things(&self, slot: u16) -> Vec<(&'static str, Thing)> {
        let (project, slot) = (project(slot), slot.to_string());
        let is_its = |thing: &Thing| {
            let is_labelled = thing.label("kinfra.pool") == POOL && thing.label("kinfra.slot") == slot;
            is_labelled || thing.label(PROJECT) == project || thing.0["of"] == project.as_str()
        };
        let kinds = match &self.real {
            None => [self.engine.containers(), self.engine.networks(), self.engine.volumes()],
            Some(real) => ["containers", "networks", "volumes"].map(|kind| real.things(kind)),
        };
        let kinds = ["container", "network", "volume"].into_iter().zip(kinds);
        let things = kinds.flat_map(|(kind, things)| things.into_iter().map(move |it| (kind, it)));
        things.filter(|(_, thing)| is_its(thing)).collect()
    }

    /// Whether no slot is held or has anything.
    pub(crate) fn made_nothing(&self) -> bool {
        self.slots().into_iter().all(|(id, slot)| slot == Slot::Clean && self.things(id).is_empty())
    }

    /// What must hold at any time, whatever went wrong. The error says what does not.
    pub(crate) fn check(&self) -> Result<(), String> {
        let slots = self.slots();
        if slots.keys().copied().collect::<BTreeSet<_>>() != self.slots {
            return Err(format!("a slot is lost: {slots:?}"));
        }
        for (id, slot) in slots {
            let things = self.things(id);
            match slot {
                Slot::Clean if !things.is_empty() => {
                    let things: Vec<_> =
                        things.iter().map(|(kind, thing)| format!("{kind} {}", thing.name())).collect();
                    return Err(format!(
                        "slot {id} is clean, says the registry, and the engine has {things:?}"
                    ));
                }
                Slot::Held(holder) => {
                    for (kind, thing) in things {
                        let seen = Self::others(&thing, &holder);
                        if !seen.is_empty() {
                            let name = thing.name();
                            return Err(format!(
                                "{} holds slot {id} and gets {kind} {name} of {seen:?}",
                                holder.display()
                            ));
                        }
                    }
                }
                Slot::Clean | Slot::Left(_) => {}
            }
        }
        Ok(())
    }

    /// The worktrees besides this one that a thing is of: whose files made it, whose containers wrote to it, whose code is in
    /// it.
    fn others(thing: &Thing, holder: &std::path::Path) -> Vec<PathBuf> {
        let made = [thing.label(DIRECTORY), thing.0["image_built_by"].as_str().unwrap_or_default()];
        let all = made.into_iter().chain(thing.used_by()).filter(|path| !path.is_empty()).map(PathBuf::from);
        // Either may have links in it.
        let real = |path: &std::path::Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
        all.filter(|path| real(path) != real(holder)).collect()
    }

    /// What runs and what is noted, without what differs from run to run.
    pub(crate) fn summary(&self) -> Vec<String> {
        let slots = self.slots().into_iter().map(|(id, slot)| match slot {
            Slot::Held(holder) => format!("slot {id}: {}", holder.display()),
            Slot::Clean => format!("slot {id}: clean"),
            Slot::Left(left) => format!("slot {id}: left {}", left["left"]["remains"]),
        });
        let things = self.slots.iter().flat_map(|slot| self.things(*slot));
        let is_id = |name: &str| name.len() == 64;
        let things = things.map(|(kind, thing)| {
            let name = if is_id(&thing.name()) { "without a name".to_owned() } else { thing.name() };
            format!("{kind} {name} {}", thing.state())
        });
        let mut summary: Vec<String> = slots.chain(things).collect();
        summary.sort();
        summary
    }

    /// Keeps everything as it is now, for [`Fleet::restore`].
    pub(crate) fn keep(&self) {
        self.copy("", "kept");
    }

    /// Everything as it was kept. A directory that is there stays the same one: kinfra looks which it is.
    pub(crate) fn restore(&self) {
        for part in ["home", "project"] {
            keep_directories_of(&self.top().join("kept").join(part), &self.top().join(part));
        }
        self.copy("kept", "");
        self.real.iter().for_each(Real::empty);
    }

    fn top(&self) -> PathBuf {
        self.machine.home().parent().expect("the machine's directory").to_owned()
    }

    fn copy(&self, from: &str, to: &str) {
        let (from, to) = (self.top().join(from), self.top().join(to));
        fs::create_dir_all(&to).expect("a directory");
        let mut copy = self.machine.program("cp");
        copy.arg("-a").args(["home", "project"].map(|part| from.join(part))).arg(to).current_dir("/");
        Run::of(&mut copy).exits(0);
    }
}

/// Removes all that is in a directory, but for the directories that the model has too.
fn keep_directories_of(model: &Path, directory: &Path) {
    for entry in fs::read_dir(directory).into_iter().flatten().map(|entry| entry.expect("an entry")) {
        let (path, in_model) = (entry.path(), model.join(entry.file_name()));
        let is_directory = |path: &Path| fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir());
        match (is_directory(&path), is_directory(&in_model)) {
            (true, true) => keep_directories_of(&in_model, &path),
            (true, false) => fs::remove_dir_all(&path).expect("it is removed"),
            (false, _) => fs::remove_file(&path).expect("it is removed"),
        }
    }
}

/// The Compose project of a slot.
fn project(slot: u16) -> String {
    format!("{POOL}-slot-{slot}")
}

impl Slot {
    fn of(entry: &Value) -> Self {
        if let Some(holder) = entry["claimed_by"].as_str() {
            return Self::Held(holder.into());
        }
        let keys = ["started_at", "started_as", "left"];
        if keys.iter().all(|key| entry.get(*key).is_none_or(Value::is_null)) {
            return Self::Clean;
        }
        Self::Left(entry.clone())
    }

    /// Why it is given to no worktree until it is cleaned, if it is so.
    pub(crate) fn quarantine(&self) -> Option<&str> {
        let Self::Left(entry) = self else { return None };
        let failures = entry["left"]["failures"].as_u64().unwrap_or_default();
        entry["left"]["reason"].as_str().filter(|_| failures >= u64::from(kinfra::registry::MOST_FAILURES))
    }
}
