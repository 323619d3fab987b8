//! Asking the engines what there is, and the machine which pools are there.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Result;
use camino::{Utf8Path, Utf8PathBuf};

use super::sort::{Facts, Leftovers, PoolState, Tied, pool_key};
use crate::fault::Fault;
use crate::host::context::remote_host;
use crate::host::fs::was_removed;
use crate::host::index::Index;
use crate::host::side_by_side::side_by_side;
use crate::host::things;
use crate::ledger::glance;
use crate::observe::ask;
use crate::observe::projects::Projects;
use crate::registry::{Engine, Registry};
use crate::thing::{Kind, Labels, Thing};
use crate::which::index::IndexEntry;

/// A pool, and where the others of this user are noted.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// Its root.
    pub root: &'a Utf8Path,
    /// Its name.
    pub pool: &'a str,
    /// The user's directory for state.
    pub state: Option<&'a Utf8Path>,
}

/// What kinfra's stacks have on the engine in use, and on every one that a slot of this pool was started on.
///
/// # Errors
/// [`Fault`] when none of them answers.
pub fn look(place: Place<'_>, registry: Option<&Registry>) -> Result<Leftovers> {
    let none = Registry::default();
    let kinds = [Kind::Container, Kind::Network, Kind::Volume, Kind::Image];
    let (mut there, mut silent) = (BTreeMap::new(), BTreeMap::new());
    for (engine, answer) in ask(registry.unwrap_or(&none), |_| true, &kinds) {
        match answer.needed() {
            Ok(things) => drop(there.insert(engine, things)),
            Err(said) => drop(silent.insert(engine, said)),
        }
    }
    if let (true, Some(said)) = (there.is_empty(), silent.values().next()) {
        let what = format!("Docker does not say what is left behind: {said}");
        return Err(Fault::docker(what).advise("start Docker, and run again").into());
    }
    let known = known_pools(place.state);
    let mut pools = BTreeMap::new();
    let things = there.iter().flat_map(|(engine, things)| things.iter().map(move |thing| (engine, thing)));
    for (engine, Thing { labels, .. }) in things.filter(|(_, thing)| !thing.labels.id.is_empty()) {
        let state = || state_of(place.root, &known, engine, labels);
        pools.entry(pool_key(engine, labels)).or_insert_with(state);
    }
    let started = registry.map(Projects::started).unwrap_or_default();
    let facts = Facts { root: place.root, pool: place.pool, registry, started, pools: &pools };
    let mut leftovers = Leftovers { silent, ..Leftovers::sort(&there, &facts) };
    add_sizes(&mut leftovers);
    Ok(leftovers)
}

/// The pools of this user, by the ids of their registries.
fn known_pools(state: Option<&Utf8Path>) -> BTreeMap<String, Utf8PathBuf> {
    let files = state.and_then(|state| Index::below(state).files().ok()).into_iter().flatten();
    let entries = files.filter_map(|(name, text)| IndexEntry::parse(&name, &text.ok()?).ok());
    let seen = side_by_side(entries.collect(), |entry| glance(entry.root())).into_iter();
    seen.filter_map(|(entry, seen)| Some((id_in(&*seen?.ok()??)?, entry.root().into()))).collect()
}

fn id_in(registry: &Registry) -> Option<String> {
    registry.id.map(|id| id.to_string())
}

/// What is to be seen of a root: its registry, or whether it was removed.
struct Sight {
    registry: Result<Option<Arc<Registry>>>,
    was_removed: bool,
}

/// Looks at a root, which may be on a disk that does not answer.
fn sight(root: &Utf8Path) -> Option<Sight> {
    let look = |root: &Utf8PathBuf| Sight { registry: glance(root), was_removed: was_removed(root) };
    side_by_side(vec![root.to_owned()], look).pop()?.1
}

/// What became of the pool that labels name. It is gone only if this user could see it: an engine may serve
/// other machines, other users, and disks that are not mounted now.
fn state_of(
    own: &Utf8Path,
    known: &BTreeMap<String, Utf8PathBuf>,
    engine: &Engine,
    labels: &Labels,
) -> PoolState {
    let root = Utf8Path::new(&labels.root);
    if let Some(at) = known.get(&labels.id) {
        return PoolState::There(at.clone());
    }
    if let Some(host) = remote_host(Some(engine)) {
        return PoolState::Unknown(format!("the engine is on {host}, and may serve other machines"));
    }
    if !root.is_absolute() {
        return PoolState::Unknown("its label does not say where".to_owned());
    }
    let Some(Sight { registry, was_removed }) = sight(root) else {
        return PoolState::Unknown("its disk does not answer".to_owned());
    };
    match registry {
        Ok(Some(registry)) if root == own && id_in(&registry).is_some_and(|id| id != labels.id) => {
            PoolState::Gone
        }
        Ok(Some(_)) => PoolState::There(root.to_owned()),
        Ok(None) if was_removed => PoolState::Gone,
        Ok(None) => PoolState::Unknown(
            "it is not there, and may be another user's, another machine's, or on a disk that is not mounted"
                .to_owned(),
        ),
        Err(error) => PoolState::Unknown(format!("{error:#}")),
    }
}

/// Asks each engine how large its things are.
fn add_sizes(leftovers: &mut Leftovers) {
    let all = |leftovers: &Leftovers| -> Vec<Tied> {
        leftovers.groups.values().flat_map(|group| group.things.clone()).collect()
    };
    let mut by_engine: BTreeMap<Engine, Vec<Thing>> = BTreeMap::new();
    for Tied { engine, thing, .. } in all(leftovers) {
        by_engine.entry(engine).or_default().push(thing);
    }
    let mut sizes = BTreeMap::new();
    for (engine, things) in by_engine {
        for thing in things::with_sizes(Some(&engine), things) {
            sizes.insert((engine.clone(), thing.kind, thing.key), thing.bytes);
        }
    }
    for tied in leftovers.groups.values_mut().flat_map(|group| &mut group.things) {
        let key = (tied.engine.clone(), tied.thing.kind, tied.thing.key.clone());
        tied.thing.bytes = sizes.get(&key).copied().flatten();
    }
}
