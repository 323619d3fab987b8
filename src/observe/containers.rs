//! Which slots have containers, by all engines that may have some.

use std::collections::{BTreeMap, BTreeSet};
use std::thread;

use super::whose::Whose;
use crate::desired::Pool;
use crate::host::docker::Answer;
use crate::host::{context, things};
use crate::registry::{Engine, Registry, Started};
use crate::slot::SlotId;
use crate::thing::{Kind, Thing};

/// Which slots have containers, running or not.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Containers {
    /// Docker was not asked. Only changes to existing slots need the answer.
    #[default]
    NotAsked,
    /// Docker was asked.
    Asked {
        /// The slots that are registered or have containers.
        slots: BTreeMap<SlotId, InUse>,
        /// The rest.
        others: InUse,
    },
}

/// Whether a slot has containers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InUse {
    /// It has none.
    No,
    /// It has some.
    Yes,
    /// Docker gave no answer. This is what it said.
    Unknown(String),
}

impl Containers {
    /// Whether a slot has containers. `None` if Docker was not asked.
    pub fn of(&self, slot: SlotId) -> Option<&InUse> {
        match self {
            Self::NotAsked => None,
            Self::Asked { slots, others } => Some(slots.get(&slot).unwrap_or(others)),
        }
    }
}

/// What the engine in use has of some kinds, and every engine that the stack of one of these slots was
/// started on. They are asked at once.
pub fn ask(
    registry: &Registry,
    slots: impl Fn(SlotId) -> bool,
    kinds: &[Kind],
) -> BTreeMap<Engine, Answer<Vec<Thing>>> {
    let started = registry.slots.iter().filter(|(slot, _)| slots(**slot));
    let started: BTreeSet<Engine> =
        started.filter_map(|(_, entry)| entry.started.as_ref()).map(engine_of).collect();
    let engines: BTreeSet<Engine> = started.iter().cloned().chain([context::current()]).collect();
    let ask = |engine: Engine| {
        let there = things::list(Some(&engine), kinds);
        (engine, there)
    };
    // Most pools have one engine.
    if engines.len() == 1 {
        return engines.into_iter().map(ask).collect();
    }
    thread::scope(|scope| {
        let asked: Vec<_> =
            engines.into_iter().map(|engine| (engine.clone(), scope.spawn(move || ask(engine)))).collect();
        let silent = |engine| (engine, Answer::Failed("Docker could not be asked".to_owned()));
        asked.into_iter().map(|(engine, asked)| asked.join().unwrap_or_else(|_| silent(engine))).collect()
    })
}

/// The engine of a start. An older kinfra did not note it.
fn engine_of(started: &Started) -> Engine {
    started.engine.clone().unwrap_or_else(context::current)
}

/// Asks which slots have containers. A machine without a `docker` command has none, but for slots whose start
/// is noted: of those it is not known.
pub fn containers(pool: &Pool, registry: &Registry) -> Containers {
    let asked = ask(registry, |_| true, &[Kind::Container]);
    let whose = Whose::new(&pool.root, registry, registry.id);
    let there = asked.values().filter_map(|answer| match answer {
        Answer::Is(there) => Some(there),
        Answer::NoCommand | Answer::NoDaemon | Answer::Silent(_) | Answer::Failed(_) => None,
    });
    let there = there.flatten();
    let with: BTreeSet<SlotId> = there.flat_map(|thing| whose.users(thing, &pool.name)).collect();
    let said = |engine: &Engine, is_noted: bool| match asked.get(engine) {
        Some(Answer::Is(_)) | None => InUse::No,
        Some(Answer::NoCommand) if !is_noted => InUse::No,
        Some(silent @ (Answer::NoCommand | Answer::NoDaemon | Answer::Silent(_) | Answer::Failed(_))) => {
            InUse::Unknown(silent.clone().needed().err().unwrap_or_default())
        }
    };
    let others = said(&context::current(), false);
    let noted = registry.slots.iter().map(|(slot, entry)| (*slot, entry.started.as_ref().map(engine_of)));
    let noted = noted
        .map(|(slot, engine)| (slot, engine.map_or_else(|| others.clone(), |engine| said(&engine, true))));
    let mut slots: BTreeMap<SlotId, InUse> = noted.collect();
    slots.extend(with.into_iter().map(|slot| (slot, InUse::Yes)));
    Containers::Asked { slots, others }
}
