//! Whether the machine has the memory for a start.

use std::time::Duration;

use anyhow::Result;

use crate::claims::held::Held;
use crate::fault::{Fault, Reason};
use crate::host::clock::{self, Stopwatch};
use crate::host::container::Activity;
use crate::host::container_row::Row;
use crate::host::containers::{inspect, list};
use crate::host::context::remote_host;
use crate::host::engine::total_memory;
use crate::host::memory::{available, used};
use crate::host::signals::Interrupt;
use crate::memory::Memory;
use crate::observe::whose::Whose;
use crate::registry::Entry;
use crate::shown::printable;
use crate::slot::SlotId;
use crate::spec::Spec;

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
/// # Errors
/// [`Fault`] names the slots that run. Where Docker does not say what runs, nothing is refused.
pub(in crate::stack) fn check(held: &Held, spec: &Spec) -> Result<()> {
    let Some(need) = declared(spec, &held.entry) else { return Ok(()) };
    let rows = list(held.engine(), LONGEST).needed().unwrap_or_default();
    let running = running(held, spec, &rows);
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
    let used = held.entry.peak_memory.map(|peak| peak.rounded_up());
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
fn running<'a>(held: &'a Held, spec: &Spec, rows: &'a [Row]) -> Vec<Running<'a>> {
    let whose: Whose<'_> = held.whose();
    let others = held.seen().registry.slots.iter().filter(|(slot, _)| **slot != held.slot);
    let running = others.filter_map(|(slot, entry)| {
        let declared = declared(spec, entry)?;
        let runs = |row: &&Row| row.activity == Activity::Running && whose.owner(&row.thing()) == Some(*slot);
        let rows: Vec<&Row> = rows.iter().filter(runs).collect();
        (!rows.is_empty() || is_started(held, *slot, entry)).then_some(Running {
            slot: *slot,
            entry,
            declared,
            rows,
        })
    });
    running.collect()
}

/// Whether another kinfra starts a slot's stack now. Of two that begin at once, the lower slot is first.
fn is_started(held: &Held, slot: SlotId, entry: &Entry) -> bool {
    let by = held.seen().root.holder_of_stack(slot).ok().flatten();
    let is_noted = entry.started.as_ref().is_some_and(|started| started.left.is_none());
    entry.claim.is_some() && by.is_some_and(|by| by.is_kinfra) && (is_noted || slot < held.slot)
}

/// What the containers of a slot use now.
fn in_use(held: &Held, slot: &Running<'_>) -> Memory {
    let containers = inspect(held.engine(), &slot.rows, LONGEST).needed().unwrap_or_default();
    let used = containers.iter().filter_map(|container| used(container.pid, &container.id));
    used.fold(Memory::default(), Memory::and)
}
