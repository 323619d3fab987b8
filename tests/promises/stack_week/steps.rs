//! What agents do in a week.

use std::fs;
use std::process::Command;

use super::agent::End;
use super::judge::May;
use super::week::{Ran, Week};
use crate::rig::fleet::Slot;
use crate::rig::random::Random;
use crate::support::Running;

/// How many steps agents take in an hour.
const STEPS: u64 = 9;

/// What the holder of a slot does, with how often it does that.
const VERBS: &[(u64, &str)] = &[
    (9, "write"),
    (5, "up"),
    (1, "compose up -d --build"),
    (1, "reset --auto-approve"),
    (3, "down"),
    (1, "down --volumes"),
    (2, "exec true"),
    (3, "renew"),
    (1, "claim"),
    (1, "logs"),
    (2, "status"),
    (3, "release"),
    (2, "release --wipe"),
    (1, "vanish"),
];

/// The verbs that use the stack.
const USES: [&str; 4] = ["up", "compose", "reset", "exec"];

impl Week {
    /// Lives for so many hours. In the end every agent releases.
    pub(super) fn live(&mut self, hours: u64) -> Result<(), String> {
        for _ in 0..hours {
            self.weather_changes();
            for _ in 0..STEPS {
                self.passes(60 / STEPS);
                let agent =
                    usize::try_from(self.random.next() % self.agents.len() as u64).expect("a small number");
                self.agent_acts(agent)?;
            }
            if self.one_in(15) {
                self.restarts()?;
            }
            if self.one_in(30) {
                self.cleans_all()?;
            }
            self.look_around()?;
            self.reaps()?;
        }
        self.ends()
    }

    fn agent_acts(&mut self, at: usize) -> Result<(), String> {
        let agent = &mut self.agents[at];
        if self.waiters.contains_key(&at) {
            return Ok(());
        }
        if !agent.is_there {
            // Its old claim is to be reaped first: the judge tells holders by their paths. What becomes of a worktree that is
            // made anew before is in `verbs/gone_worktree.rs`.
            if agent.holds.is_none() {
                (agent.life, agent.is_there) = (agent.life + 1, true);
                self.make_worktree(at);
                let writer = self.agents[at].writer();
                self.tell(&format!("{writer} has a new worktree"));
            }
            return Ok(());
        }
        if agent.holds.is_none() {
            return self.asks(at);
        }
        let verb = self.draw_verb();
        match verb {
            "write" => self.writes(at),
            "vanish" => self.vanishes(at),
            verb => self.holder_runs(at, verb),
        }
    }

    fn draw_verb(&mut self) -> &'static str {
        let all: u64 = VERBS.iter().map(|(weight, _)| weight).sum();
        let mut drawn = self.random.next() % all;
        let verb = VERBS.iter().find(|(weight, _)| {
            let is_it = drawn < *weight;
            drawn = drawn.saturating_sub(*weight);
            is_it
        });
        verb.expect("the weights add up").1
    }

    /// An agent without a slot asks for one, or waits for one.
    fn asks(&mut self, at: usize) -> Result<(), String> {
        let hours = *Random::pick(self.random.next(), &[None, Some(2), Some(5), Some(9), Some(30)]);
        let lease = hours.map(|hours| hours * 60);
        let flag = hours.map_or(String::new(), |hours| format!(" --lease {hours}h"));
        let is_full =
            self.agents.iter().filter(|agent| agent.holds.is_some()).count() >= self.fleet.slots().len();
        let mut may = May { take: [(at, lease)].into(), ..May::default() };
        if is_full && self.waiters.len() < 2 && self.one_in(5) {
            let mut command: Command =
                self.fleet.command(self.agents[at].name, &format!("claim --wait{flag}"));
            self.waiters.insert(at, (Running::piped(&mut command), lease));
            let name = self.agents[at].name;
            self.tell(&format!("{name}: claim --wait{flag}"));
            return self.settles(may);
        }
        let verb = *Random::pick(self.random.next(), &["up", "up", "claim"]);
        let ran = self.kinfra(Some(at), &format!("{verb}{flag}"));
        may.is_well = ran.is_well;
        if !ran.is_well {
            // It may have cleaned a slot, and not got it.
            self.doubt_kept();
        }
        self.settles(may)?;
        let holds = self.agents[at].holds.is_some();
        if ran.is_well && !holds && !is_full && self.waiters.is_empty() && self.has_free() {
            return Err(format!("{} gets no slot, and one is free: {:#?}", self.agents[at].name, ran.run));
        }
        if ran.is_well && (ran.is_done() != holds || !matches!(ran.run.code, Some(0 | 3))) {
            return Err(format!(
                "{verb} says {:#?}, and {} holds a slot: {holds}",
                ran.run, self.agents[at].name
            ));
        }
        if verb == "up" && holds { self.was_started(at, &ran) } else { Ok(()) }
    }

    fn has_free(&self) -> bool {
        self.fleet.slots().values().any(|slot| !matches!(slot, Slot::Held(_)) && slot.quarantine().is_none())
    }

    pub(super) fn doubt_kept(&mut self) {
        let kept = self.agents.iter_mut().flat_map(|agent| &mut agent.kept);
        kept.for_each(|kept| kept.data.is_doubtful = true);
    }

    pub(super) fn settles(&mut self, mut may: May) -> Result<(), String> {
        self.settle(&mut may)?;
        self.judge(&may)
    }

    /// A command of a holder in its worktree.
    fn holder_runs(&mut self, at: usize, verb: &str) -> Result<(), String> {
        let ran = self.kinfra(Some(at), verb);
        let now = self.minute;
        let word = verb.split(' ').next().unwrap_or_default();
        let mut may = May { is_well: ran.is_well, ..May::default() };
        let agent = &mut self.agents[at];
        if USES.contains(&word) {
            agent.used(now, ran.is_done());
        } else if matches!(word, "renew" | "claim") {
            agent.renewed(now, ran.is_done());
        }
        if let Some(hold) = agent.holds.as_mut() {
            if matches!(verb, "reset --auto-approve" | "down --volumes" | "release --wipe") {
                hold.data.is_doubtful = true;
            }
            if matches!(word, "down" | "release" | "reset") {
                (hold.is_up, hold.used.1) = (false, now);
            }
        }
        match verb {
            "release" => may.end = [(at, End::Kept)].into(),
            "release --wipe" => may.end = [(at, End::Wiped)].into(),
            _ => {}
        }
        let is_alone = self.waiters.is_empty();
        self.settles(may)?;
        let agent = &self.agents[at];
        let done = agent.holds.as_ref().filter(|_| ran.is_done() && ran.is_well);
        let wipes = verb.contains("--volumes") || word == "reset";
        if done.is_some_and(|hold| word == "release" || (wipes && !hold.data.lines.is_empty())) {
            return Err(format!("{} ran {verb}, and it did nothing: {:#?}", agent.name, ran.run));
        }
        if ran.is_well && is_alone && !ran.is_done() && word != "logs" {
            return Err(format!("{verb} of {} fails: {:#?}", agent.name, ran.run));
        }
        if matches!(word, "up" | "reset" | "compose") { self.was_started(at, &ran) } else { Ok(()) }
    }

    /// After a start that went well, every container of the slot runs.
    fn was_started(&mut self, at: usize, ran: &Ran) -> Result<(), String> {
        let Some(hold) = &mut self.agents[at].holds else { return Ok(()) };
        hold.is_up |= ran.is_done() && ran.is_well;
        if ran.is_done() && ran.is_well {
            hold.used = (self.minute, self.minute);
            let slot = hold.slot;
            if self.running(slot) != 2 {
                return Err(format!(
                    "{} of slot {slot} says that it runs: {:#?}",
                    self.agents[at].name, ran.run
                ));
            }
        } else {
            hold.used.1 = self.minute;
        }
        Ok(())
    }

    /// How many containers of a slot run.
    pub(super) fn running(&self, slot: u16) -> usize {
        let things = self.fleet.things(slot);
        things.iter().filter(|(kind, thing)| *kind == "container" && thing.state() == "running").count()
    }

    /// A program of an agent's stack writes, if it runs.
    fn writes(&mut self, at: usize) -> Result<(), String> {
        let agent = &mut self.agents[at];
        let line = format!("{} {}", agent.writer(), self.minute);
        let Some(hold) = &mut agent.holds else { return Ok(()) };
        if self.fleet.engine.write(&Self::volume(hold.slot), &line).code == Some(0) {
            hold.data.lines.insert(line.clone());
            self.tell(&format!("{line} is written"));
        }
        self.settles(May::default())
    }

    /// A worktree is removed under its stack.
    fn vanishes(&mut self, at: usize) -> Result<(), String> {
        let (name, writer) = (self.agents[at].name, self.agents[at].writer());
        let path = self.fleet.worktree(name);
        if self.one_in(2) {
            let remove = format!("worktree remove --force {}", path.display());
            self.fleet.machine.git(self.fleet.machine.project(), &remove);
        } else {
            fs::remove_dir_all(&path).expect("it is removed");
        }
        self.agents[at].is_there = false;
        self.agents[at].kept.clear();
        self.tell(&format!("{writer} loses its worktree"));
        self.settles(May::default())
    }
}
