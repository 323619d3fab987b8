//! Whether the machine has the memory for a start.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::Result;

use crate::claims::held::Held;
use crate::claims::whereabouts::Following;
use crate::fault::{Fault, Reason};
use crate::host::clock::{self, Stopwatch};
use crate::host::container::Activity;
use crate::host::container_row::Row;
use crate::host::containers::{inspect, list};
use crate::host::context::remote_host;
use crate::host::engine::total_memory;
use crate::host::lock::LockPolicy;
use crate::host::memory::{available, used};
use crate::host::root::StartsLock;
use crate::host::signals::Interrupt;
use crate::ledger::Snapshot;
use crate::memory::Memory;
use crate::observe::whose::Whose;
use crate::registry::Entry;
use crate::shown::printable;
use crate::slot::SlotId;
use crate::spec::Spec;
use crate::stack::admission::uses::Uses;

/// The longest that Docker may take for one answer.
const LONGEST: Duration = Duration::from_secs(20);
/// How often a start that waits for memory looks again.
const EVERY: Duration = Duration::from_secs(2);
/// How soon Ctrl-C is heard.
const HEARD: Duration = Duration::from_millis(50);

/// Another slot whose stack runs, or is being started.
struct Running<'a> {
    slot: SlotId,
    entry: &'a Entry,
    declared: Memory,
    rows: Vec<&'a Row>,
}

/// Refuses a start for which the memory of the engine's machine does not suffice. What other slots declared
/// and do not use yet is not free: a stack that was just started has not grown yet.
///
/// The lock is to be held until the start is noted, so that of two starts at once the second sees the first.
///
/// # Errors
/// [`Fault`] names the slots that run, or who has the lock. Where Docker does not say what runs, nothing is
/// refused.
pub(in crate::stack) fn check(
    held: &Held,
    spec: &Spec,
    policy: &LockPolicy<'_>,
) -> Result<Option<StartsLock>> {
    let Some(need) = declared(spec, &held.entry) else { return Ok(None) };
    let lock = held.seen().root.lock_starts(policy)?;
    let ledger = held.pool().ledger();
    let seen = ledger.read_since(held.seen(), Following::EveryHolder)?.ok_or_else(|| ledger.missing())?;
    suffices(held, &seen, spec, need)?;
    Ok(Some(lock))
}

fn suffices(held: &Held, seen: &Snapshot, spec: &Spec, need: Memory) -> Result<()> {
    // One that ends its start meanwhile has containers then.
    let starting = starting(held, seen);
    let rows = list(held.engine(), LONGEST).needed().unwrap_or_default();
    let running = running(held, seen, spec, (&starting, &rows));
    let here = if remote_host(held.engine()).is_none() { available() } else { None };
    let Some(all) = here.or_else(|| total_memory(held.engine()).needed().ok()) else { return Ok(()) };
    let sum =
        |of: &dyn Fn(&Running<'_>) -> Memory| running.iter().map(of).fold(Memory::default(), Memory::and);
    let mut free = all.without(sum(&|slot| slot.declared));
    if free < need && here.is_some() {
        // What they use already is not free by itself.
        free = all.without(sum(&|slot| slot.declared.without(in_use(held, slot))));
    }
    if free >= need {
        return Ok(());
    }
    let name = |entry: &Entry| Some(entry.claim.as_ref()?.claimed_by.directory()?.file_name()?.to_owned());
    let by = running.iter().map(|Running { slot, entry, declared, .. }| {
        let name = name(entry).map_or_else(String::new, |name| format!("{}, ", printable(&name)));
        format!("slot {slot} ({name}{declared})")
    });
    let by: Vec<String> = by.collect();
    let (by, advice) = if by.is_empty() {
        let profile = &held.entry.provisioned.profile;
        (String::new(), format!("end other programs, or lower `memory` of profile {profile} in slots.toml"))
    } else {
        let advice = "stop one with `kinfra down --slot N`, or wait with `kinfra up --wait`".to_owned();
        (format!("; held by {}", by.join(", ")), advice)
    };
    let used = held.entry.peak_memory.map(Memory::rounded_up);
    let used = used.map_or_else(String::new, |peak| format!(" (its earlier runs used at most {peak})"));
    let fault = Fault::no_slot(format!("memory: needs {need}{used}, {free} free{by}"));
    let fault = fault.because(Reason::Memory);
    Err(fault.advise(advice).into())
}

/// Waits a moment before the memory is looked at again, at most for what is left of the patience.
///
/// # Errors
/// [`Fault`] when the user asks to stop.
pub(in crate::stack) fn pause(left: Duration, interrupt: &Interrupt) -> Result<()> {
    let waited = Stopwatch::start();
    while waited.elapsed() < EVERY.min(left) {
        if interrupt.is_requested() {
            return Err(Fault::interrupted("stopped waiting for memory: nothing was started").into());
        }
        clock::pause(HEARD);
    }
    Ok(())
}

/// What the profile of a slot declares.
pub(in crate::stack) fn declared(spec: &Spec, entry: &Entry) -> Option<Memory> {
    let is_its = |name: &str| name == entry.provisioned.profile.as_str();
    spec.profiles.iter().find(|profile| is_its(profile.name.as_str()))?.memory
}

/// The other slots on the engine that declare memory, and have a container that runs or are being started.
fn running<'a>(
    held: &Held,
    seen: &'a Snapshot,
    spec: &Spec,
    (starting, rows): (&BTreeSet<SlotId>, &'a [Row]),
) -> Vec<Running<'a>> {
    let whose = Whose::new(seen.root.path(), &seen.registry, seen.registry.id);
    let mut of_slots: BTreeMap<SlotId, Vec<&Row>> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.activity == Activity::Running) {
        if let Some(slot) = whose.owner(&row.thing()) {
            of_slots.entry(slot).or_default().push(row);
        }
    }
    let others = seen.registry.slots.iter().filter(|(slot, _)| **slot != held.slot);
    let running = others.filter_map(|(slot, entry)| {
        let declared = declared(spec, entry)?;
        let rows = of_slots.remove(slot).unwrap_or_default();
        (!rows.is_empty() || starting.contains(slot)).then_some(Running {
            slot: *slot,
            entry,
            declared,
            rows,
        })
    });
    running.collect()
}

/// The other slots whose start is noted, and goes on now in another kinfra. One that is not noted has not
/// looked at the memory yet, or did not suffice.
fn starting(held: &Held, seen: &Snapshot) -> BTreeSet<SlotId> {
    let is_noted = |slot: SlotId, entry: &Entry| {
        let is_started = entry.started.as_ref().is_some_and(|started| started.left.is_none());
        let uses = || Uses::read(&seen.root.path().join(slot.directory())).ok().flatten();
        entry.claim.is_some() && is_started && uses().is_some_and(|uses| !uses.has_ended)
    };
    let is_held = |slot| seen.root.holder_of_stack(slot).ok().flatten().is_some_and(|by| by.is_kinfra);
    let others = seen.registry.slots.iter().filter(|(slot, _)| **slot != held.slot);
    others.filter(|(slot, entry)| is_noted(**slot, entry) && is_held(**slot)).map(|(slot, _)| *slot).collect()
}

/// What the containers of a slot use now.
fn in_use(held: &Held, slot: &Running<'_>) -> Memory {
    let containers = inspect(held.engine(), &slot.rows, LONGEST).needed().unwrap_or_default();
    let used = containers.iter().filter_map(|container| used(container.pid, &container.id));
    used.fold(Memory::default(), Memory::and)
}
