//! Stacks in whose slots nothing happened for too long. They are stopped, and nothing of them is removed: the
//! next `up` starts them again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Error, Result};

use super::admission::uses::Uses;
use super::observe::sight::Sight;
use super::observe::stacks::{engine_of, sights};
use super::peak;
use crate::claims::listing::{Listed, last_used, list};
use crate::claims::standing::Standing;
use crate::claims::whereabouts::Following;
use crate::fault::{Exit, Fault, exit_of};
use crate::history::What;
use crate::host::clock::now;
use crate::host::lock::{Hold, LockPolicy};
use crate::host::things;
use crate::ledger::Ledger;
use crate::observe::whose::Whose;
use crate::registry::Claim;
use crate::slot::SlotId;
use crate::spec::StackSpec;
use crate::thing::{Kind, Thing};
use crate::time::Time;
use crate::which::by_worktree::FoundPool;

/// The stacks of a pool that idle.
#[derive(Debug)]
pub struct Idle {
    /// The stacks that would be stopped.
    pub stacks: BTreeMap<SlotId, IdleStack>,
    /// The slots of which Docker did not say whether their stacks run, and why.
    pub unknown: BTreeMap<SlotId, String>,
    ledger: Ledger,
}

/// A stack that idles.
#[derive(Debug)]
pub struct IdleStack {
    /// The claim of its slot.
    pub claim: Claim,
    /// When something last happened: a verb used it, or one of its containers started.
    pub since: Time,
    listed: Listed,
}

/// What became of stacks that idle.
#[derive(Debug, Default)]
pub struct Stopped {
    /// The slots whose stacks were stopped, and how many containers that were.
    pub stopped: BTreeMap<SlotId, usize>,
    /// The slots whose stacks could not be stopped, and why.
    pub failed: BTreeMap<SlotId, Error>,
}

/// Finds the stacks that idle for as long as `idle_stop` of the slots.toml that was applied. Asks Docker only
/// of slots that no verb has used for so long.
///
/// # Errors
/// When the pool's registry cannot be read.
pub fn look(pool: &mut FoundPool, applied: &StackSpec) -> Result<Idle> {
    let mut idle = Idle { stacks: BTreeMap::new(), unknown: BTreeMap::new(), ledger: pool.ledger() };
    let Some(length) = applied.idle_stop else { return Ok(idle) };
    let Some(seen) = pool.look(Following::EveryHolder)? else { return Ok(idle) };
    let now = now();
    let is_over = |since: Time| since.after(length) <= now;
    let candidates: Vec<Listed> = list(&seen)
        .into_iter()
        .filter(|slot| slot.standing == Some(Standing::Held) && slot.last_used.is_some_and(is_over))
        .collect();
    let whose = Whose::new(seen.root.path(), &seen.registry, seen.registry.id);
    let sights = sights(&candidates, &whose);
    for listed in candidates {
        match sights.get(&listed.slot) {
            Some(Sight::Unknown(why)) => drop(idle.unknown.insert(listed.slot, why.clone())),
            Some(sight @ Sight::Seen(_)) => {
                let since = since(&listed, sight, now).filter(|since| is_over(*since));
                if let (Some(since), Some(claim)) = (since, listed.entry.claim.clone()) {
                    idle.stacks.insert(listed.slot, IdleStack { claim, since, listed });
                }
            }
            Some(Sight::NeverStarted | Sight::WasUp(_)) | None => {}
        }
    }
    Ok(idle)
}

/// Since when nothing happened in a slot. `None` if no container of it runs.
fn since(listed: &Listed, sight: &Sight, now: Time) -> Option<Time> {
    let started = now.before(sight.youngest()?);
    Some(listed.last_used.map_or(started, |used| used.max(started)))
}

impl Idle {
    /// The error of a run that could not see whether some stacks run.
    ///
    /// # Errors
    /// [`Fault`] names the slots, and says why.
    pub fn end(&self) -> Result<()> {
        let Some(why) = self.unknown.values().next() else { return Ok(()) };
        let slots: BTreeSet<SlotId> = self.unknown.keys().copied().collect();
        let slots = SlotId::named(&slots);
        let what = format!("Docker cannot say whether the stack of {slots} idles: {why}");
        Err(Fault::docker(what).advise("start Docker, and run again").into())
    }

    /// Stops the containers of the stacks. A stack whose slot was used, released or claimed meanwhile is left
    /// alone, and so is one that another process works on.
    pub fn stop(&self, policy: &LockPolicy<'_>) -> Stopped {
        let mut stopped = Stopped::default();
        for (slot, stack) in &self.stacks {
            match self.stop_one(*slot, stack, policy) {
                Ok(Some(count)) => drop(stopped.stopped.insert(*slot, count)),
                Ok(None) => {}
                Err(error) => drop(stopped.failed.insert(*slot, error)),
            }
        }
        stopped
    }

    fn stop_one(&self, slot: SlotId, stack: &IdleStack, policy: &LockPolicy<'_>) -> Result<Option<usize>> {
        let Some(seen) = self.ledger.read(Following::EveryHolder)? else { return Ok(None) };
        let at_once = LockPolicy { patience: Duration::ZERO, ..*policy };
        let _lock = match self.ledger.lock_stack(&seen.root, slot, Hold::Alone, &at_once) {
            Err(error) if exit_of(&error) == Exit::Locked => return Ok(None),
            lock => lock?,
        };
        let Some(seen) = self.ledger.read_since(&seen, Following::EveryHolder)? else { return Ok(None) };
        let entry = seen.registry.slots.get(&slot);
        let is_same = entry.is_some_and(|entry| {
            entry.claim.as_ref() == Some(&stack.claim) && entry.started == stack.listed.entry.started
        });
        if !is_same || last_used(stack.listed.dir()) != stack.listed.last_used {
            return Ok(None);
        }
        let engine = engine_of(&stack.listed.entry);
        let there = things::list(Some(&engine), &[Kind::Container]).needed();
        let there = there.map_err(|why| Fault::docker(format!("Docker cannot say what runs: {why}")))?;
        let whose = Whose::new(seen.root.path(), &seen.registry, seen.registry.id);
        let own: Vec<Thing> = there.into_iter().filter(|thing| whose.owner(thing) == Some(slot)).collect();
        let behind = things::behind(Some(&engine), &own).needed().unwrap_or_default();
        peak::note(&self.ledger, &seen, slot, peak::of_all(&behind.processes), policy);
        let stopped = things::stop(Some(&engine), &own).needed();
        stopped.map_err(|why| Fault::failed(format!("the stack of slot {slot} does not stop: {why}")))?;
        // It is not to be up after a reboot. The note counts as a use, so a stop that failed gets none.
        Uses::note_end(stack.listed.dir())?;
        self.ledger.end_uses(slot)?;
        self.ledger.record(&seen, &policy.in_passing(), slot, What::Stopped { with_data: false });
        Ok(Some(own.len()))
    }
}
