//! Why a slot is not given, released or renewed, in words.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use camino::Utf8Path;

use super::fitness::Unfit;
use super::lease::NotYours;
use super::pick::Denied;
use super::standing::Standing;
use crate::fault::{Exit, Fault, Reason};
use crate::host::clock::local;
use crate::registry::{Claim, Condition, Entry, Holder, Lease, Registry};
use crate::shown::printable;
use crate::slot::SlotId;
use crate::time::Time;

/// The facts about the pool that a refusal shows.
pub struct Scene<'a> {
    /// The worktree that asked.
    pub worktree: &'a Utf8Path,
    /// The pool's registry.
    pub registry: &'a Registry,
    /// How many waiters are ahead, and the holder that the next slot is for.
    pub next: Option<(usize, String)>,
}

/// What a waiter waits for: which slots are held by which worktree since when, and why free ones cannot be
/// given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obstacles {
    /// The slots that are held.
    pub held: Vec<(SlotId, Holder, Option<Time>)>,
    /// The free ones.
    pub blocked: Vec<(SlotId, String)>,
    /// The time by the clock that judges leases.
    pub now: Time,
}

impl Obstacles {
    /// The obstacles in a pool. `unfit` says what is wrong with a free slot.
    pub fn of(registry: &Registry, now: Time, unfit: impl Fn(SlotId) -> Option<Unfit>) -> Self {
        let mut obstacles = Self { held: Vec::new(), blocked: Vec::new(), now };
        for (slot, entry) in &registry.slots {
            if let Some(claim) = &entry.claim {
                let since = claim.claimed_at.as_deref().and_then(|at| Time::parse(at).ok());
                obstacles.held.push((*slot, claim.claimed_by.clone(), since));
            } else {
                let why = unfit(*slot).map(|unfit| why(*slot, Some(unfit)).0);
                obstacles.blocked.extend(why.map(|why| (*slot, why)));
            }
        }
        obstacles
    }
}

/// Why a worktree gets no slot. `unfit` says what is wrong with a free slot, `standing` how a claim stands.
pub fn denied(
    denied: &Denied,
    scene: &Scene<'_>,
    unfit: impl Fn(SlotId) -> Option<Unfit>,
    standing: impl Fn(&Claim) -> Standing,
) -> Fault {
    let Scene { worktree, registry, next } = scene;
    match denied {
        Denied::Full => {
            let silent = unasked(registry, &unfit);
            let is_closed =
                registry.slots.keys().any(|slot| matches!(unfit(*slot), Some(Unfit::NoMemory(..))));
            let reason = if is_closed { Reason::Memory } else { Reason::Full };
            let (slots, mut advice) = every_slot(registry, unfit, standing);
            if advice.is_empty() && registry.slots.values().all(|entry| entry.claim.is_some()) {
                advice.push("`--wait` waits for a slot".to_owned());
            }
            let fault = match silent {
                Some(silent) => Fault::docker(format!("no slot can be given: {silent}{slots}")),
                None if is_closed => {
                    Fault::no_slot(format!("no slot can be given for its memory{slots}")).because(reason)
                }
                None => Fault::no_slot(format!("no slot is free{slots}")).because(reason),
            };
            if advice.is_empty() { fault } else { fault.advise(advice.join("; ")) }
        }
        Denied::Queued => {
            let (count, next) = next.clone().unwrap_or_default();
            let (next, (slots, mut advice)) = (printable(&next), every_slot(registry, unfit, standing));
            let what =
                format!("the queue has {count} ahead of you, and the next free slot is for `{next}`{slots}");
            advice.insert(0, "`--wait` waits for a slot".to_owned());
            Fault::no_slot(what).because(Reason::Full).advise(advice.join("; "))
        }
        Denied::NoSuchSlot(slot) => no_such_slot(*slot),
        Denied::NoSuchProfile(profile) => {
            Fault::no_slot(format!("the pool has no slot of profile {profile} or larger"))
                .advise("`kinfra slots` lists them")
        }
        Denied::Taken(slot) => Fault::refused(format!("slot {slot} is {}", held_in(registry, *slot))),
        Denied::HoldsAnother(slot) => {
            Fault::refused(format!("`{}` holds slot {slot} already", printable(worktree.as_str())))
                .advise("run `kinfra release` there first")
        }
        Denied::Unfit(slot) => {
            let unfit = unfit(*slot);
            let (exit, reason) = match unfit {
                Some(Unfit::NotAsked(_)) => (Exit::Docker, None),
                Some(Unfit::NoMemory(..)) => (Exit::NoSlot, Some(Reason::Memory)),
                Some(_) | None => (Exit::Refused, None),
            };
            let (why, advice) = why(*slot, unfit);
            let what = format!("slot {slot} cannot be claimed: {why}");
            let fault = Fault { exit, reason, ..Fault::refused(what) };
            advice.map_or(fault.clone(), |advice| fault.advise(advice))
        }
    }
}

/// That Docker cannot be asked what is left in free slots, if that is so.
pub fn unasked(registry: &Registry, unfit: impl Fn(SlotId) -> Option<Unfit>) -> Option<String> {
    let free = registry.slots.iter().filter(|(_, entry)| entry.claim.is_none());
    let silent = free.filter(|(slot, _)| matches!(unfit(**slot), Some(Unfit::NotAsked(_))));
    let silent: BTreeSet<SlotId> = silent.map(|(slot, _)| *slot).collect();
    let left = || format!("Docker cannot be asked what is left in {}", SlotId::named(&silent));
    (!silent.is_empty()).then(left)
}

/// A line for each slot: who holds it since when, or why it cannot be claimed. Then what to do about the
/// slots: "slots 1-2: run `kinfra reap`".
fn every_slot(
    registry: &Registry,
    unfit: impl Fn(SlotId) -> Option<Unfit>,
    standing: impl Fn(&Claim) -> Standing,
) -> (String, Vec<String>) {
    let mut lines = String::new();
    let mut advised: BTreeMap<String, BTreeSet<SlotId>> = BTreeMap::new();
    for (slot, entry) in &registry.slots {
        let (line, advice) = match &entry.claim {
            Some(claim) => {
                let (over, advice) = match standing(claim) {
                    Standing::Held => ("", None),
                    Standing::Missing => (", which is not where it was", Some("see `kinfra reap --dry-run`")),
                    Standing::Expired => (", and its lease has run out", Some("run `kinfra reap`")),
                    Standing::Orphaned => (", which is gone", Some("run `kinfra reap`")),
                };
                (format!("{}{over}", held(claim)), advice.map(str::to_owned))
            }
            None => match unfit(*slot) {
                unfit @ Some(_) => {
                    let (why, advice) = why(*slot, unfit);
                    (format!("free, but {why}"), advice)
                }
                None => (free(entry), None),
            },
        };
        let _ = write!(lines, "\n  slot {slot} is {line}");
        if let Some(advice) = advice {
            advised.entry(advice).or_default().insert(*slot);
        }
    }
    let mut advised: Vec<_> = advised.into_iter().collect();
    advised.sort_by_key(|(_, slots)| slots.first().copied());
    let advised = advised.into_iter().map(|(advice, slots)| format!("{}: {advice}", SlotId::named(&slots)));
    (lines, advised.collect())
}

/// That a slot is free, and whose data it keeps.
fn free(entry: &Entry) -> String {
    let Condition::KeepsData(left) = entry.condition() else { return "free".to_owned() };
    let name = left.by.directory().and_then(Utf8Path::file_name);
    format!("free, and keeps data of {}", name.map_or_else(|| "a worktree".to_owned(), printable))
}

/// Why a free slot is not fit for use, and what to do about it.
pub fn why(slot: SlotId, unfit: Option<Unfit>) -> (String, Option<String>) {
    let see_plan = || Some("see `kinfra plan`".to_owned());
    match unfit {
        Some(Unfit::Unfinished) => {
            ("an apply was cut short in it".to_owned(), Some("run `kinfra apply`".to_owned()))
        }
        Some(Unfit::Elsewhere) => (
            "another user changed it, and its files here are as they were".to_owned(),
            Some("run `kinfra apply --update` with their slots.toml".to_owned()),
        ),
        Some(Unfit::InUse { shown, advice }) => (format!("it shows {shown}"), Some(advice)),
        Some(Unfit::Foreign) => ("kinfra did not write its files".to_owned(), see_plan()),
        Some(Unfit::Lacks(path)) => (format!("its {path} is not there"), see_plan()),
        Some(Unfit::Busy { name, port, by }) => (by.in_the_way(slot, &name, port), Some(by.advice(&name))),
        Some(Unfit::Obstructed(path)) => {
            (format!("its {path} is not a file"), Some("move it away".to_owned()))
        }
        Some(Unfit::Edited(path)) => {
            let advice = format!("take it as it is with `kinfra claim --slot {slot}`");
            (format!("its {path} was edited by hand"), Some(advice))
        }
        Some(Unfit::NoMemory(need, free)) => {
            let advice = "stop a stack with `kinfra down --slot N`, or wait with `--wait`".to_owned();
            (format!("memory: needs {need}, {free} free"), Some(advice))
        }
        Some(Unfit::BeingCleaned(by)) => (format!("it is being cleaned: {}", printable(&by)), None),
        Some(Unfit::NotAsked(reason)) => {
            let why = format!("it is not clean yet: {}", printable(&reason));
            (why, Some("start Docker, and run again".to_owned()))
        }
        Some(Unfit::NotClean(reason)) => {
            let reason = reason.map_or_else(String::new, |reason| format!(": {}", printable(&reason)));
            (format!("it is not clean yet{reason}"), Some(format!("run `kinfra clean {slot}`")))
        }
        Some(Unfit::Quarantined(reason)) => {
            let reason = reason.unwrap_or_default();
            let why = format!("it is quarantined, because cleaning it failed: {}", printable(&reason));
            (why, Some(format!("run `kinfra clean {slot}`")))
        }
        None => ("its files changed just now".to_owned(), Some("run again".to_owned())),
    }
}

/// Why a claim is neither released nor renewed.
pub fn not_yours(why: &NotYours, registry: &Registry) -> Fault {
    match why {
        NotYours::NoSuchSlot(slot) => no_such_slot(*slot),
        NotYours::HeldBy(slot) => {
            let claim = registry.slots.get(slot).and_then(|entry| entry.claim.as_ref());
            let is_unknown = claim.is_some_and(|claim| claim.claimed_by == Holder::Unknown);
            let there = if is_unknown { "" } else { "run `kinfra release` there, or " };
            Fault::refused(format!("slot {slot} is {}", held_in(registry, *slot)))
                .advise(format!("{there}`kinfra release {slot} --force` once it is no longer used"))
        }
        NotYours::Over(id, slot) => {
            let now = slot.map_or_else(
                || "no slot is held under it".to_owned(),
                |slot| format!("slot {slot} is {}", held_in(registry, slot)),
            );
            Fault::refused(format!("the claim {id} is over, {now}")).unchanged()
        }
    }
}

/// The error for a worktree that holds no slot.
pub fn holds_none(worktree: &Utf8Path) -> Fault {
    Fault::no_slot(format!("`{}` holds no slot", printable(worktree.as_str())))
        .advise("`kinfra claim` takes one")
}

/// That a holder has a slot already: its run goes on, or was killed.
pub fn run_goes_on(slot: SlotId, claim: &Claim) -> Fault {
    let (other, owner) = match &claim.claim_owner {
        Some(owner) => ("take another --owner", format!(" --owner {owner}")),
        None => ("give each run an --owner", String::new()),
    };
    let what = format!("slot {slot} is {}: a run goes on there, or was killed", held(claim));
    let ends = claim.lease.map_or_else(String::new, |lease| format!("; its lease is {}", until(lease)));
    Fault::refused(format!("{what}{ends}")).advise(format!(
        "`--wait` waits for it, or {other}; `kinfra release{owner} --wipe` once it is no longer used"
    ))
}

/// The same after it was waited for, as long as was said.
pub fn run_still_goes_on(slot: SlotId, claim: &Claim) -> Fault {
    Fault { exit: Exit::NoSlot, ..run_goes_on(slot, claim) }.because(Reason::Full)
}

/// That a wait has no end: each slot is held by the runs that wait for it.
pub(super) fn waits_for_itself() -> Fault {
    let what = "the run around this one holds each slot that would do, so this wait would have no end";
    Fault::no_slot(what).because(Reason::Full).advise("add a slot with `kinfra apply`, or leave out --owner")
}

/// That no worktree holds a slot.
pub fn is_held_by_none(slot: SlotId) -> Fault {
    Fault::no_slot(format!("no worktree holds slot {slot}"))
        .advise(format!("`kinfra claim --slot {slot}` takes it"))
}

/// That another directory is at the path of a slot's holder.
pub(super) fn is_elsewhere(slot: SlotId, path: &Utf8Path) -> Fault {
    let path = printable(path.as_str());
    Fault::refused(format!(
        "the worktree that holds slot {slot} is not here: another directory is at `{path}`"
    ))
    .advise(format!("run it where that worktree is, or `kinfra release {slot} --force` if it is gone"))
}

/// That the pool has no such slot.
pub fn no_such_slot(slot: SlotId) -> Fault {
    Fault::no_slot(format!("the pool has no slot {slot}")).advise("`kinfra slots` lists them")
}

/// The holder of a slot in the registry, in words.
fn held_in(registry: &Registry, slot: SlotId) -> String {
    let claim = registry.slots.get(&slot).and_then(|entry| entry.claim.as_ref());
    claim.map_or_else(|| "free".to_owned(), held)
}

/// The length and the end of a lease: "8h, until 2026-03-01 18:22 (17:22 UTC)".
pub fn until(lease: Lease) -> String {
    format!("{}, until {}", lease.length, local(lease.until))
}

/// The holder of a claim, and since when: "held by /home/me/tree since 2026-03-01 17:22 UTC".
pub fn held(claim: &Claim) -> String {
    let since = claim.claimed_at.as_ref().map_or_else(String::new, |at| {
        format!(" since {}", Time::parse(at).map_or_else(|_| printable(at), local))
    });
    let note = claim.note.as_ref().map_or_else(String::new, |note| format!(" ({})", printable(note)));
    let owner = claim.claim_owner.as_ref().map_or_else(String::new, |owner| format!(" for {owner}"));
    format!("held by {}{owner}{note}{since}", printable(&claim.claimed_by.to_string()))
}
