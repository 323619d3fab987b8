//! What happens in a week.

use std::fs;
use std::process::Command;

use super::agent::{End, Lease};
use super::judge::May;
use super::week::{Ran, Weather, Week};
use crate::rig::fleet::Slot;
use crate::rig::random::Random;
use crate::rig::scripted::{Fault, When};
use crate::support::Running;

/// How many steps agents take in an hour.
const STEPS: u64 = 9;

/// After how many minutes `idle_stop` stops a stack, and how far the clocks may be apart.
const IDLE: u64 = 240;
const NEAR: u64 = 61;

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
    /// Lives for so many hours, and tidies up.
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

    fn weather_changes(&mut self) {
        if self.weather == Weather::DockerGone {
            self.fleet.engine.mend();
        }
        if let Some(disk) = self.disk.as_ref().filter(|_| self.weather == Weather::DiskFull) {
            disk.remount("size=1g");
        }
        self.weather = match self.random.next() % 30 {
            0 => Weather::DockerGone,
            1 => Weather::DiskLow("~/pool"),
            2 => Weather::DiskLow("/var/lib/docker"),
            3 if self.disk.is_some() => Weather::DiskFull,
            _ => Weather::Fair,
        };
        match (self.weather, &self.disk) {
            (Weather::DockerGone, _) => self.fleet.engine.fails(Fault::Gone, &When::Always),
            (Weather::DiskFull, Some(disk)) => disk.fill(),
            _ => {}
        }
    }

    fn agent_acts(&mut self, at: usize) -> Result<(), String> {
        let agent = &mut self.agents[at];
        if self.waiters.contains_key(&at) {
            return Ok(());
        }
        if !agent.is_there {
            // Its old claim is to be reaped first: for kinfra, the worktree at that place would be the holder.
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

    fn doubt_kept(&mut self) {
        let kept = self.agents.iter_mut().filter_map(|agent| agent.kept.as_mut());
        kept.for_each(|kept| kept.data.is_doubtful = true);
    }

    fn settles(&mut self, mut may: May) -> Result<(), String> {
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
                hold.is_up = false;
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
        let is_clean = |data: &super::agent::Data| data.lines.is_empty();
        if let Some(hold) = agent.holds.as_ref().filter(|_| ran.is_done() && ran.is_well) {
            if word == "release" || (verb.contains("--volumes") || word == "reset") && !is_clean(&hold.data) {
                return Err(format!("{} ran {verb}, and it did nothing: {:#?}", agent.name, ran.run));
            }
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
    fn running(&self, slot: u16) -> usize {
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
        self.tell(&format!("{writer} loses its worktree"));
        self.settles(May::default())
    }

    /// The machine reboots, or Docker is upgraded. Then, or not, each slot that was up is brought back.
    fn restarts(&mut self) -> Result<(), String> {
        // What waited is gone, too.
        self.waiters.clear();
        if self.one_in(3) {
            self.fleet.engine.upgrade();
            self.tell("Docker is upgraded, or put back");
        } else {
            self.fleet.engine.reboot();
            self.tell("the machine reboots");
        }
        let now = self.minute;
        for agent in &mut self.agents {
            agent.holds.iter_mut().for_each(|hold| hold.used.1 = now);
        }
        self.settles(May::default())?;
        if self.one_in(2) {
            return Ok(());
        }
        let down: Vec<usize> = (0..self.agents.len())
            .filter(|at| {
                let agent = &self.agents[*at];
                agent.is_there
                    && agent.holds.as_ref().is_some_and(|hold| hold.is_up && self.running(hold.slot) == 0)
            })
            .collect();
        let ran = self.kinfra(None, "up --all");
        self.agents.iter_mut().for_each(|agent| agent.used(now, false));
        self.settles(May { is_well: ran.is_well, ..May::default() })?;
        for at in down.into_iter().filter(|_| ran.is_well) {
            let slot = self.agents[at].holds.as_ref().map(|hold| hold.slot).unwrap_or_default();
            if self.running(slot) != 2 {
                return Err(format!("slot {slot} was up, and is not brought back: {:#?}", ran.run));
            }
        }
        Ok(())
    }

    /// The verbs that only look.
    fn look_around(&mut self) -> Result<(), String> {
        for verb in ["slots", "doctor"] {
            if self.one_in(4) {
                let ran = self.kinfra(None, verb);
                if ran.is_well && verb == "slots" && !ran.is_done() {
                    return Err(format!("slots fails: {:#?}", ran.run));
                }
                self.settles(May::default())?;
            }
        }
        Ok(())
    }

    /// cron reaps.
    fn reaps(&mut self) -> Result<(), String> {
        let now = self.minute;
        let mut may = May::default();
        for (at, agent) in self.agents.iter().enumerate() {
            let Some(hold) = &agent.holds else { continue };
            if !agent.is_there {
                may.end.insert(at, End::Wiped);
            } else if hold.lease.as_ref().is_some_and(|lease| lease.may_be_over(now)) {
                may.end.insert(at, End::Kept);
            }
        }
        let before: Vec<(usize, usize)> = self.all_running();
        let ran = self.kinfra(None, "reap --auto-approve");
        may.is_well = ran.is_well;
        self.settles(may)?;
        let is_over = |lease: &Lease| lease.is_over(now);
        let late = self.agents.iter().find(|agent| {
            agent
                .holds
                .as_ref()
                .is_some_and(|hold| !agent.is_there || hold.lease.as_ref().is_some_and(is_over))
        });
        if !ran.is_well {
            return Ok(());
        }
        if let Some(late) = late {
            return Err(format!("{} is to be reaped: {:#?}", late.name, ran.run));
        }
        if !ran.is_done() && self.waiters.is_empty() {
            return Err(format!("reap fails: {:#?}", ran.run));
        }
        self.stopped_what_idles(&before, &ran)?;
        let gone =
            self.agents.iter().find(|agent| !agent.is_there && self.fleet.worktree(agent.name).exists());
        if let Some(gone) = gone {
            return Err(format!("the directory of {} is there again", gone.name));
        }
        // A waiter that got a slot may be writing to it.
        if self.waiters.is_empty() { self.is_tidy() } else { Ok(()) }
    }

    /// The holders, and how many of their containers run.
    fn all_running(&self) -> Vec<(usize, usize)> {
        let holders = self.agents.iter().enumerate();
        holders.filter_map(|(at, agent)| Some((at, self.running(agent.holds.as_ref()?.slot)))).collect()
    }

    fn stopped_what_idles(&mut self, before: &[(usize, usize)], ran: &Ran) -> Result<(), String> {
        for (at, count) in before {
            let Some(hold) = &self.agents[*at].holds else { continue };
            let (running, used) = (self.running(hold.slot), hold.used);
            let is_idle = used.1 + IDLE + NEAR <= self.minute;
            if running < *count && used.0 + IDLE > self.minute + NEAR {
                return Err(format!(
                    "the stack of slot {} is in use, and was stopped: {:#?}",
                    hold.slot, ran.run
                ));
            }
            if running > 0 && is_idle {
                return Err(format!("the stack of slot {} idles since {used:?}: {:#?}", hold.slot, ran.run));
            }
            if running < *count {
                self.agents[*at].holds.iter_mut().for_each(|hold| hold.is_up = false);
            }
        }
        Ok(())
    }

    /// An admin removes all that no worktree holds, with the data that is kept.
    fn cleans_all(&mut self) -> Result<(), String> {
        let ran = self.kinfra(None, "clean --all --auto-approve");
        self.doubt_kept();
        self.settles(May { is_well: ran.is_well, ..May::default() })?;
        if !ran.is_well {
            return Ok(());
        }
        if !ran.is_done() && self.waiters.is_empty() {
            return Err(format!("clean --all fails: {:#?}", ran.run));
        }
        self.agents.iter_mut().for_each(|agent| agent.kept = None);
        let slots = self.fleet.slots();
        let left = slots.iter().find(|(_, slot)| matches!(slot, Slot::Left(_)));
        if let Some(left) = left {
            return Err(format!("{left:?} is left by clean --all: {:#?}", ran.run));
        }
        if self.waiters.is_empty() { self.is_tidy() } else { Ok(()) }
    }

    /// The week is over: nothing is left but what is held. Then every agent releases, and nothing is left.
    fn ends(&mut self) -> Result<(), String> {
        self.waiters.clear();
        self.weather_changes();
        while self.weather != Weather::Fair {
            self.weather_changes();
        }
        self.passes(10);
        self.settles(May::default())?;
        self.reaps()?;
        self.cleans_all()?;
        for at in 0..self.agents.len() {
            if self.agents[at].holds.is_none() || !self.agents[at].is_there {
                continue;
            }
            for verb in ["up", "release --wipe"] {
                let ran = self.run(Some(at), verb, None);
                let end = (at, End::Wiped);
                let may = May { end: [end].into_iter().filter(|_| verb != "up").collect(), ..May::default() };
                self.agents[at].holds.iter_mut().for_each(|hold| hold.data.is_doubtful = verb != "up");
                self.settles(may)?;
                if !ran.is_done() {
                    return Err(format!("in the end {verb} fails: {:#?}", ran.run));
                }
            }
        }
        for verb in ["reap --auto-approve", "clean --all --auto-approve"] {
            let all = self.agents.iter().enumerate().map(|(at, _)| (at, End::Wiped)).collect();
            self.run(None, verb, None);
            self.settles(May { end: all, ..May::default() })?;
        }
        self.is_tidy()?;
        self.is_empty()
    }
}
