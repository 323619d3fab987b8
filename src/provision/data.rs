//! What slots leave on engines when they go: their volumes and images.

use std::collections::BTreeSet;

use anyhow::Result;
use camino::Utf8Path;

use super::request::{Done, Prepared};
use crate::desired::Pool;
use crate::fault::Fault;
use crate::host::docker::Answer;
use crate::host::root::{BACKUP, JOURNAL, LOCK, OLDER, REGISTRY, Root};
use crate::host::things;
use crate::names;
use crate::observe::ask;
use crate::observe::whose::Whose;
use crate::plan::{Action, Plan};
use crate::registry::{Engine, Registry};
use crate::shown::size;
use crate::slot::SlotId;
use crate::thing::{Kind, Thing};

/// A volume or an image of a slot.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Datum {
    /// Whose it is.
    pub slot: SlotId,
    /// What it is.
    pub thing: Thing,
    /// The engine that has it.
    engine: Engine,
    /// How large it is, if Docker says so.
    pub size: Option<String>,
}

/// The volumes and images of the slots that a plan removes, and of slots that went before.
///
/// # Errors
/// [`Fault`] if an engine that may have some does not say.
pub fn planned(prepared: &Prepared<'_>) -> Result<Vec<Datum>> {
    let found = find(prepared.request.pool, &prepared.observed.registry, &stay(&prepared.plan));
    let fault = |said| {
        let what = format!("Docker does not say which volumes and images the slots have: {said}");
        Fault::docker(what).advise("start Docker or fix that, or leave --data out")
    };
    Ok(with_sizes(found.map_err(fault)?))
}

/// The volumes and images of a pool, in the order of its slots, but for those of slots that stay. Only what
/// is the slot's own beyond doubt is listed.
///
/// # Errors
/// Why Docker does not say.
fn find(pool: &Pool, registry: &Registry, stay: &BTreeSet<SlotId>) -> Result<Vec<Datum>, String> {
    let whose = Whose::new(&pool.root, registry, registry.id);
    let kinds = [Kind::Container, Kind::Volume, Kind::Image];
    let mut data = Vec::new();
    for (engine, there) in ask(registry, |slot| !stay.contains(&slot), &kinds) {
        // Without a `docker` command, no slot goes whose start is noted.
        let Some(there) = known(there)? else { continue };
        let project = |slot| {
            let started = registry.slots.get(&slot).and_then(|entry| entry.started.as_ref());
            started.map_or_else(|| names::project(&pool.name, slot), |it| it.project.clone())
        };
        let parts = whose.parts(&there, project);
        for (slot, parted) in parts.into_iter().filter(|(slot, _)| !stay.contains(slot)) {
            let kept =
                parted.own.into_iter().filter(|thing| matches!(thing.kind, Kind::Volume | Kind::Image));
            data.extend(kept.map(|thing| {
                let size = thing.bytes.map(size);
                Datum { slot, thing, engine: engine.clone(), size }
            }));
        }
    }
    data.sort();
    Ok(data)
}

/// What an engine has. `None` on a machine without a `docker` command.
fn known(answer: Answer<Vec<Thing>>) -> Result<Option<Vec<Thing>>, String> {
    match answer {
        Answer::NoCommand => Ok(None),
        answer @ (Answer::Is(_) | Answer::NoDaemon | Answer::Silent(_) | Answer::Failed(_)) => {
            answer.needed().map(Some)
        }
    }
}

/// The same with the size of each volume, if Docker says it in time.
fn with_sizes(mut data: Vec<Datum>) -> Vec<Datum> {
    let volumes = data.iter().filter(|datum| datum.thing.kind == Kind::Volume);
    let engines: BTreeSet<Engine> = volumes.map(|datum| datum.engine.clone()).collect();
    for engine in engines {
        let sizes = things::volume_sizes(Some(&engine));
        let is_its = |datum: &&mut Datum| datum.thing.kind == Kind::Volume && datum.engine == engine;
        for datum in data.iter_mut().filter(is_its) {
            datum.size = sizes.get(&datum.thing.name).cloned();
        }
    }
    data
}

/// The slots that stay when a plan is carried out.
fn stay(plan: &Plan) -> BTreeSet<SlotId> {
    let stays = |action: Option<&Action>| !action.is_some_and(goes);
    plan.slots.iter().filter(|(_, plan)| stays(plan.action.as_ref())).map(|(slot, _)| *slot).collect()
}

/// Whether nothing of the slot is left after an action.
fn goes(action: &Action) -> bool {
    matches!(action, Action::Remove { files: _, stays } if stays.is_empty())
}

/// The slots that went.
fn gone(done: &Done) -> BTreeSet<SlotId> {
    done.outcome.done.iter().filter(|(_, action)| goes(action)).map(|(slot, _)| *slot).collect()
}

/// Removes what was shown of the slots that went. Each is looked up again, so that nothing goes that came
/// meanwhile. Returns what went, and what did not and why.
pub fn remove(pool: &Pool, done: &Done, shown: &[Datum]) -> Vec<(Datum, Result<(), String>)> {
    let outcome = &done.outcome;
    if shown.is_empty() || outcome.error.is_some() || !outcome.left_out.is_empty() {
        return Vec::new();
    }
    let gone = gone(done);
    let stay = done.before.slots.keys().copied().filter(|slot| !gone.contains(slot)).collect();
    let there = match find(pool, &done.before, &stay) {
        Ok(there) => there,
        Err(said) => {
            let left = shown.iter().filter(|datum| !stay.contains(&datum.slot));
            return left.map(|datum| (datum.clone(), Err(said.clone()))).collect();
        }
    };
    let is_there =
        |shown: &&Datum| there.iter().any(|datum| datum.engine == shown.engine && datum.thing == shown.thing);
    let removed = shown.iter().filter(is_there).map(|datum| {
        let Datum { thing, engine, .. } = datum;
        let removed = things::remove(Some(engine), thing.kind, std::slice::from_ref(thing));
        (datum.clone(), removed.needed())
    });
    removed.collect()
}

/// What else than slots, the registry, its backup, the journal and the lock is in the root, sorted.
///
/// # Errors
/// When the root cannot be listed.
pub fn names_left(root: &Utf8Path) -> Result<Vec<String>> {
    let Some(root) = Root::open(root)? else { return Ok(Vec::new()) };
    let names = root.dir().names()?.into_iter().map(|name| name.to_string_lossy().into_owned());
    let is_other = |name: &String| {
        ![REGISTRY, BACKUP, JOURNAL, OLDER, LOCK].contains(&name.as_str())
            && SlotId::of_directory(name).is_none()
    };
    let mut names: Vec<String> = names.filter(is_other).collect();
    names.sort();
    Ok(names)
}

/// The volumes that may be those of slots that went, or what Docker said instead.
///
/// # Errors
/// Why Docker does not say.
pub fn volumes_left(pool: &Pool, done: &Done) -> Result<Vec<String>, String> {
    let gone = gone(done);
    if gone.is_empty() {
        return Ok(Vec::new());
    }
    let whose = Whose::new(&pool.root, &done.before, done.before.id);
    let mut names = BTreeSet::new();
    for there in ask(&done.before, |slot| gone.contains(&slot), &[Kind::Volume]).into_values() {
        let Some(there) = known(there)? else { continue };
        let left = there.into_iter().filter(|volume| !whose.users(volume, &pool.name).is_disjoint(&gone));
        names.extend(left.map(|volume| volume.name));
    }
    Ok(names.into_iter().collect())
}
