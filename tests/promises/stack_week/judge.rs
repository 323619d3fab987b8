//! What must hold of a week at any time, and what must hold after a reap or a clean.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use super::agent::{End, Hold, Kept, Lease};
use super::week::Week;
use crate::rig::fleet::Slot;
use crate::rig::scripted::{PROJECT, Thing};

/// What kinfra keeps in the root for good: the locks of stacks, and the queue.
const LASTING: [&str; 2] = [".stacks", ".queue"];

/// What a step may change. Whatever else changes is a fault.
#[derive(Default)]
pub(super) struct May {
    /// The agents that may get a slot, each with the length of its lease.
    pub(super) take: BTreeMap<usize, Option<u64>>,
    /// The agents whose claims may end, and how.
    pub(super) end: BTreeMap<usize, End>,
    /// Whether nothing was to go wrong.
    pub(super) is_well: bool,
}

impl Week {
    /// Takes note of which claims ended and began, and looks at the data of every agent.
    pub(super) fn judge(&mut self, may: &May) -> Result<(), String> {
        let slots = self.fleet.slots();
        let mut holders = BTreeMap::new();
        for (slot, state) in &slots {
            let Slot::Held(path) = state else { continue };
            let agent = self.agents.iter().position(|agent| self.fleet.worktree(agent.name) == *path);
            let agent = agent.ok_or_else(|| format!("slot {slot} is held by {}", path.display()))?;
            if let Some(other) = holders.insert(agent, *slot) {
                return Err(format!("{} holds slots {other} and {slot}", self.agents[agent].name));
            }
        }
        for (at, agent) in self.agents.iter_mut().enumerate() {
            let Some(hold) = &agent.holds else { continue };
            if holders.get(&at) != Some(&hold.slot) {
                let end =
                    may.end.get(&at).ok_or_else(|| format!("{} lost its slot {}", agent.name, hold.slot))?;
                agent.ends(*end);
            }
        }
        for (at, slot) in &holders {
            if self.agents[*at].holds.is_none() {
                self.takes(*at, *slot, may, &slots)?;
            }
        }
        self.look_at_data()?;
        self.fleet.check()
    }

    fn takes(&mut self, at: usize, slot: u16, may: &May, slots: &BTreeMap<u16, Slot>) -> Result<(), String> {
        let name = self.agents[at].name;
        let length =
            may.take.get(&at).ok_or_else(|| format!("{name} has slot {slot}, and did not ask for one"))?;
        for (other, agent) in self.agents.iter_mut().enumerate() {
            agent.kept.retain(|kept| other == at || kept.slot != slot);
        }
        let kept = &mut self.agents[at].kept;
        let own = kept.iter().position(|kept| kept.slot == slot).map(|own| kept.swap_remove(own).data);
        let is_free = |kept: &&Kept| slots[&kept.slot].quarantine().is_none();
        let better = kept.iter().filter(|kept| kept.data.is_certain()).find(is_free);
        if let Some(better) = better.filter(|_| may.is_well && own.is_none()) {
            return Err(format!(
                "{name} got slot {slot}, and its data is in slot {}, which is free",
                better.slot
            ));
        }
        let data = own.unwrap_or_default();
        let now = self.minute;
        let lease = length.map(|length| Lease::new(now, length));
        self.agents[at].holds = Some(Hold { slot, lease, data, is_up: false, used: (now, now) });
        Ok(())
    }

    /// Every holder sees its own data, all of it, and no other. What is kept for a worktree is there.
    fn look_at_data(&mut self) -> Result<(), String> {
        let volumes = self.fleet.engine.volumes();
        let found = |slot: u16| -> BTreeSet<String> {
            let name = Self::volume(slot);
            let volume = volumes.iter().find(|volume| volume.name() == name);
            volume.iter().flat_map(|volume| volume.data()).map(str::to_owned).collect()
        };
        for agent in &mut self.agents {
            if let Some(Hold { slot, data, .. }) = &mut agent.holds {
                data.meets(&found(*slot)).map_err(|why| format!("{} in slot {slot} {why}", agent.name))?;
            }
            for Kept { slot, data } in &mut agent.kept {
                let was_doubtful = data.is_doubtful;
                let met = data.meets(&found(*slot));
                met.map_err(|why| format!("slot {slot} keeps data for {}, which {why}", agent.name))?;
                // What may have been begun may be gone on with later.
                data.is_doubtful = was_doubtful;
            }
        }
        Ok(())
    }

    /// After a reap that went well nothing is left that no worktree holds, but what is kept for one.
    pub(super) fn is_tidy(&self) -> Result<(), String> {
        let slots = self.fleet.slots();
        for (slot, state) in &slots {
            if matches!(state, Slot::Held(_)) || state.quarantine().is_some() {
                continue;
            }
            let keeps = self.agents.iter().any(|agent| agent.keeps(*slot));
            let volume = Self::volume(*slot);
            let is_kept = |kind: &str, thing: &Thing| keeps && kind == "volume" && thing.name() == volume;
            let things = self.fleet.things(*slot).into_iter();
            let left: Vec<_> = things.filter(|(kind, thing)| !is_kept(kind, thing)).collect();
            if !left.is_empty() {
                let left: Vec<_> =
                    left.iter().map(|(kind, thing)| format!("{kind} {}", thing.name())).collect();
                return Err(format!("no worktree holds slot {slot}, and it has {left:?}: {state:?}"));
            }
        }
        let is_held = |slot: u16| !matches!(&slots[&slot], Slot::Clean);
        let project =
            |thing: &Thing| thing.label(PROJECT).rsplit('-').next().and_then(|slot| slot.parse().ok());
        let images = self.fleet.engine.images();
        let image = images.iter().find(|image| project(image).is_some_and(|slot| !is_held(slot)));
        if let Some(image) = image {
            return Err(format!("no worktree holds the slot of the image {:?}", image.0));
        }
        self.has_no_more_files(&slots)
    }

    /// The directory of a clean slot is as it was when the pool was applied, and so is the root.
    fn has_no_more_files(&self, slots: &BTreeMap<u16, Slot>) -> Result<(), String> {
        let now = Self::files(&self.fleet.machine.path("~/pool"));
        let new = now.difference(&self.files);
        let is_of_use = |path: &&String| {
            let of = path.strip_prefix("slot-").and_then(|path| path.split('/').next()?.parse::<u16>().ok());
            of.is_some_and(|slot| !matches!(slots[&slot], Slot::Clean))
                || LASTING.iter().any(|name| path.split('/').next() == Some(name))
        };
        let left: Vec<_> = new.filter(|path| !is_of_use(path)).collect();
        if left.is_empty() {
            Ok(())
        } else {
            Err(format!("the pool has files that no worktree needs: {left:?}"))
        }
    }

    /// The files below a directory.
    pub(super) fn files(dir: &Path) -> BTreeSet<String> {
        let mut files = BTreeSet::new();
        let mut dirs = vec![dir.to_owned()];
        while let Some(next) = dirs.pop() {
            for entry in fs::read_dir(&next).expect("a directory to list") {
                let path = entry.expect("an entry").path();
                let below = path.strip_prefix(dir).expect("a path below it");
                files.insert(below.display().to_string());
                if path.is_dir() {
                    dirs.push(path);
                }
            }
        }
        files
    }

    /// At the end of all claims the engine has nothing of the pool.
    pub(super) fn is_empty(&self) -> Result<(), String> {
        let engine = &self.fleet.engine;
        let kinds = [engine.containers(), engine.volumes(), engine.networks(), engine.images()];
        let is_left = |thing: &&Thing| thing.name() != crate::rig::engine::BUSYBOX;
        let left: Vec<_> = kinds.iter().flatten().filter(is_left).map(Thing::name).collect();
        let slots = self.fleet.slots();
        let free = slots.values().all(|slot| *slot == Slot::Clean);
        if left.is_empty() && free { Ok(()) } else { Err(format!("{left:?} is left in the end: {slots:?}")) }
    }
}
