//! What happens to the machine in a week, and what its admin and cron do.

use super::agent::{End, Hold, Lease};
use super::judge::May;
use super::week::{Ran, Weather, Week};
use crate::rig::fleet::Slot;
use crate::rig::scripted::{Fault, When};

/// After how many minutes `idle_stop` stops a stack, and how far the clocks may be apart.
const IDLE: u64 = 240;
const NEAR: u64 = 61;

impl Week {
    pub(super) fn weather_changes(&mut self) {
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

    /// The machine reboots, or Docker is upgraded. Then, or not, each slot that was up is brought back.
    pub(super) fn restarts(&mut self) -> Result<(), String> {
        // What waited is gone, too.
        self.waiters.clear();
        if self.one_in(3) {
            self.fleet.engine.upgrade();
            self.tell("Docker is upgraded, or put back");
        } else {
            self.fleet.engine.reboot();
            self.tell("the machine reboots");
        }
        let up =
            self.fleet.engine.containers().into_iter().filter(|container| container.state() == "running");
        assert!(
            up.into_iter().all(|container| container.0["restart"] == "always"),
            "a reboot ends the others"
        );
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
    pub(super) fn look_around(&mut self) -> Result<(), String> {
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
    pub(super) fn reaps(&mut self) -> Result<(), String> {
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
        let stopped = self.stopped_since(&before);
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
        self.idled(&stopped, &ran)?;
        let gone =
            self.agents.iter().find(|agent| !agent.is_there && self.fleet.worktree(agent.name).exists());
        if let Some(gone) = gone {
            return Err(format!("the directory of {} is there again", gone.name));
        }
        // A waiter that got a slot may be writing to it.
        if self.waiters.is_empty() {
            self.is_tidy().map_err(|why| format!("{why}, after {:#?}", ran.run))
        } else {
            Ok(())
        }
    }

    /// The holders, and how many of their containers run.
    fn all_running(&self) -> Vec<(usize, usize)> {
        let holders = self.agents.iter().enumerate();
        holders.filter_map(|(at, agent)| Some((at, self.running(agent.holds.as_ref()?.slot)))).collect()
    }

    /// The holders of whose containers fewer run than before. Their stacks are not up any more.
    fn stopped_since(&mut self, before: &[(usize, usize)]) -> Vec<usize> {
        let now = self.all_running();
        let fewer = |(at, count): &&(usize, usize)| before.iter().any(|(one, was)| one == at && count < was);
        let stopped: Vec<usize> = now.iter().filter(fewer).map(|(at, _)| *at).collect();
        let holds = |at: &usize| self.agents[*at].holds.iter_mut().for_each(|hold| hold.is_up = false);
        stopped.iter().for_each(holds);
        stopped
    }

    /// What idles is stopped, and nothing else is.
    fn idled(&self, stopped: &[usize], ran: &Ran) -> Result<(), String> {
        for (at, agent) in self.agents.iter().enumerate() {
            let Some(Hold { slot, used, .. }) = &agent.holds else { continue };
            if stopped.contains(&at) && used.0 + IDLE > self.minute + NEAR {
                return Err(format!("the stack of slot {slot} is in use, and was stopped: {:#?}", ran.run));
            }
            if self.running(*slot) > 0 && used.1 + IDLE + NEAR <= self.minute {
                return Err(format!("the stack of slot {slot} idles since {used:?}: {:#?}", ran.run));
            }
        }
        Ok(())
    }

    /// An admin removes all that no worktree holds, with the data that is kept.
    pub(super) fn cleans_all(&mut self) -> Result<(), String> {
        let ran = self.kinfra(None, "clean --all --auto-approve");
        self.doubt_kept();
        self.settles(May { is_well: ran.is_well, ..May::default() })?;
        if !ran.is_well {
            return Ok(());
        }
        if !ran.is_done() && self.waiters.is_empty() {
            return Err(format!("clean --all fails: {:#?}", ran.run));
        }
        self.agents.iter_mut().for_each(|agent| agent.kept.clear());
        let slots = self.fleet.slots();
        let left = slots.iter().find(|(_, slot)| matches!(slot, Slot::Left(_)));
        if let Some(left) = left {
            return Err(format!("{left:?} is left by clean --all: {:#?}", ran.run));
        }
        if self.waiters.is_empty() { self.is_tidy() } else { Ok(()) }
    }

    /// The week is over: nothing is left but what is held. Then every agent releases, and nothing is left.
    pub(super) fn ends(&mut self) -> Result<(), String> {
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
