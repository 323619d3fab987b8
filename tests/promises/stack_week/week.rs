//! The world of a week: its agents, its clock, its weather, and how kinfra is run in it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use super::agent::Agent;
use super::judge::May;
use crate::rig::Mount;
use crate::rig::fleet::{Fleet, Slot};
use crate::rig::random::Random;
use crate::rig::scripted::{Fault, When};
use crate::support::{Machine, Run, Running};

const NAMES: [&str; 12] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"];

/// Fewer than agents.
const SLOTS: u16 = 8;

/// What is spent before a fault of a single call comes true, at most.
const CALLS: u64 = 12;

/// How long the waiter at the head of the queue may take to get a slot that it can have.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is wrong with the machine for an hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weather {
    Fair,
    /// No daemon answers.
    DockerGone,
    /// The disk of this directory is nearly full.
    DiskLow(&'static str),
    /// Nothing can be written to the disk of the pool.
    DiskFull,
}

pub(super) struct Week {
    pub(super) fleet: Fleet,
    pub(super) agents: Vec<Agent>,
    pub(super) random: Random,
    /// The minutes that have passed.
    pub(super) minute: u64,
    pub(super) weather: Weather,
    /// The agents that wait for a slot, each with the length of the lease that it asks for.
    pub(super) waiters: BTreeMap<usize, (Running, Option<u64>)>,
    /// The files of the pool when it was applied.
    pub(super) files: BTreeSet<String>,
    told: Vec<String>,
    /// The disk of the pool, where the test may mount one. Last, so that all else is gone before.
    pub(super) disk: Option<Mount>,
}

/// A run of kinfra, and whether nothing was to go wrong with it.
pub(super) struct Ran {
    pub(super) run: Run,
    pub(super) is_well: bool,
}

impl Ran {
    pub(super) fn is_done(&self) -> bool {
        self.run.code == Some(0)
    }
}

impl Week {
    pub(super) fn new(seed: u64, is_root: bool) -> Self {
        let machine = Machine::in_memory();
        let disk = is_root.then(|| {
            fs::create_dir(machine.path("~/pool")).expect("a directory");
            Mount::memory(&machine.path("~/pool"), "size=1g,mode=700")
        });
        let fleet = Fleet::of_slots(machine, SLOTS, "[stack]\nidle_stop = \"4h\"\n", &[]);
        // Later than all that the machine's own clock says.
        fleet.engine.passes(Duration::from_hours(24));
        let agents = NAMES.map(Agent::new).into();
        let (random, files) = (Random::new(seed), Self::files(&fleet.machine.path("~/pool")));
        let (waiters, told) = (BTreeMap::new(), Vec::new());
        let mut week =
            Self { fleet, agents, random, minute: 0, weather: Weather::Fair, waiters, files, told, disk };
        (0..week.agents.len()).for_each(|agent| week.make_worktree(agent));
        week
    }

    pub(super) fn told(&self) -> String {
        self.told.join("\n")
    }

    pub(super) fn tell(&mut self, what: &str) {
        let (day, hour, minute) = (self.minute / 1440, self.minute / 60 % 24, self.minute % 60);
        self.told.push(format!("day {day} {hour:02}:{minute:02}  {what}"));
    }

    pub(super) fn one_in(&mut self, count: u64) -> bool {
        self.random.next().is_multiple_of(count)
    }

    /// The volume with the data of a slot.
    pub(super) fn volume(slot: u16) -> String {
        format!("kinfra-fleet-slot-{slot}_data")
    }

    pub(super) fn passes(&mut self, minutes: u64) {
        self.minute += minutes;
        self.fleet.engine.passes(Duration::from_mins(minutes));
    }

    /// Makes the worktree of an agent. Every second agent's stack does not come back by itself after a reboot.
    pub(super) fn make_worktree(&mut self, agent: usize) {
        let name = self.agents[agent].name;
        let path = self.fleet.worktree(name);
        let project = self.fleet.machine.project();
        if self.agents[agent].life > 1 {
            let _ = fs::remove_dir_all(&path);
            self.fleet.machine.git(&project, "worktree prune");
            self.fleet.machine.git(&project, &format!("branch --quiet -D {name}"));
        }
        self.fleet.add(name);
        // kinfra compares this time with its own.
        self.date(&project.join(".git/worktrees").join(name).join("commondir"));
        if agent.is_multiple_of(2) {
            let file = path.join("compose.yaml");
            let text = fs::read_to_string(&file).expect("its Compose file");
            fs::write(file, text.replace("    restart: always\n", "")).expect("a written file");
        }
    }

    /// Gives a file that was just written the time of the week's clock.
    fn date(&self, path: &Path) {
        let Ok(file) = File::options().write(true).open(path) else { return };
        let written = file.metadata().and_then(|file| file.modified()).expect("a time");
        if written <= SystemTime::now() {
            file.set_modified(written + self.fleet.engine.ahead()).expect("a new time");
        }
    }

    /// kinfra in the worktree of an agent, or in the project. Something may go wrong with a docker call.
    pub(super) fn kinfra(&mut self, agent: Option<usize>, arguments: &str) -> Ran {
        // What waits makes calls of its own, in no order.
        let may_fail = self.weather == Weather::Fair && self.waiters.is_empty();
        let fault = (self.one_in(8) && may_fail).then(|| {
            let faults: Vec<_> = Fault::ALL.into_iter().filter(|fault| *fault != Fault::Hang).collect();
            (*Random::pick(self.random.next(), &faults), self.random.next() % CALLS + 1)
        });
        self.run(agent, arguments, fault)
    }

    /// The same, with this fault at the docker call of this number.
    pub(super) fn run(&mut self, agent: Option<usize>, arguments: &str, fault: Option<(Fault, u64)>) -> Ran {
        let engine = &self.fleet.engine;
        engine.forget_calls();
        if let Some((fault, call)) = fault {
            let call = usize::try_from(call).expect("a small number");
            // A lie that looks like an answer cannot be told from one.
            let lies = matches!(fault, Fault::Lie | Fault::Half);
            engine.fails(fault, &if lies { When::Changes(call) } else { When::At(call) });
        }
        let name = agent.map_or("project", |agent| self.agents[agent].name);
        let mut command = self.fleet.command(name, arguments);
        if let Weather::DiskLow(disk) = self.weather {
            let path = self.fleet.machine.path(disk);
            command.env("KINFRA_TEST_FULL_DISK", path);
        }
        let run = Run::of(&mut command);
        let happened = fault.is_some_and(|(_, call)| self.fleet.engine.calls().len() as u64 >= call);
        if fault.is_some() {
            self.fleet.engine.mend();
        }
        for slot in 1..=SLOTS {
            let dir = self.fleet.machine.path(&format!("~/pool/slot-{slot}"));
            [".kinfra-used", ".kinfra-uses.json"].iter().for_each(|file| self.date(&dir.join(file)));
        }
        let said = run.stderr.lines().find(|line| line.starts_with("error")).unwrap_or_default();
        let fault = fault.filter(|_| happened);
        let (code, weather) = (run.code, self.weather);
        self.tell(&format!("{name}: {arguments} {fault:?} {weather:?} → {code:?} {said}"));
        assert!(!run.stderr.contains("panicked"), "KINFRA: {}\n{run:#?}", self.told());
        Ran { run, is_well: fault.is_none() && weather == Weather::Fair }
    }

    /// Lets the waiters take what is free, and notes who got a slot.
    pub(super) fn settle(&mut self, may: &mut May) -> Result<(), String> {
        let since = Instant::now();
        loop {
            let ended: Vec<usize> = self
                .waiters
                .iter_mut()
                .filter_map(|(agent, (waiter, _))| waiter.try_wait().expect("its state").map(|_| *agent))
                .collect();
            may.take.extend(self.waiters.iter().map(|(agent, (_, lease))| (*agent, *lease)));
            for agent in ended {
                let (waiter, _) = self.waiters.remove(&agent).expect("a waiter");
                let run = waiter.ends();
                let name = self.agents[agent].name;
                self.tell(&format!(
                    "{name} has waited → {:?} {}",
                    run.code,
                    run.stderr.lines().last().unwrap_or_default()
                ));
            }
            let slots = self.fleet.slots();
            let is_free = |slot: &Slot| match slot {
                Slot::Held(_) => false,
                Slot::Clean => true,
                // What failed a minute ago is not tried again yet.
                Slot::Left(left) => left["left"]["failures"].as_u64().unwrap_or_default() == 0,
            };
            let can_be_served = !matches!(self.weather, Weather::DockerGone | Weather::DiskFull);
            if self.waiters.is_empty() || !can_be_served || !slots.values().any(is_free) {
                return Ok(());
            }
            if since.elapsed() > PATIENCE {
                return Err(format!(
                    "a slot is free, and none of {:?} gets it: {slots:#?}",
                    self.waiters.keys()
                ));
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}
