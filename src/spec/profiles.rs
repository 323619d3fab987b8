//! `[[profiles]]`: the size classes of slots.

use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;

use toml::Spanned;

use super::keys::{Keys, user_key};
use super::mistake::Mistake;
use super::value::{number, text};
use crate::identifier::{ProfileName, WorkerKind};
use crate::memory::Memory;
use crate::names::workers_variable;
use crate::slot::{Profile, Workers};

/// The profiles, and each number of workers with its place.
pub(super) struct Profiles {
    pub(super) profiles: Vec<Rc<Profile>>,
    pub(super) workers: Vec<Spanned<(WorkerKind, u16)>>,
}

/// A number of workers with its place, and the place of their kind.
type PlacedWorkers = (Range<usize>, Spanned<(WorkerKind, u16)>);

/// Reads the profiles. In a pool with `[compose]`, a kind of worker is a service, whose name may have a `-`.
pub(super) fn read(
    tables: Vec<Keys<'_>>,
    has_compose: bool,
    mistakes: &mut Vec<Mistake>,
) -> Option<Profiles> {
    let mut places = Vec::new();
    let mut profiles: Vec<Rc<Profile>> = Vec::new();
    let mut names: BTreeMap<ProfileName, Range<usize>> = BTreeMap::new();
    let mut complete = true;
    for mut keys in tables {
        let name = keys.require("name");
        let span = name.map_or(keys.span(), Spanned::span);
        let name = name.and_then(|value| text(value, "`name`", mistakes, ProfileName::new));
        let workers = match keys.get("workers") {
            None => Some(Vec::new()),
            Some(value) => {
                Keys::of(value, "`workers`", mistakes).and_then(|keys| workers(keys, has_compose, mistakes))
            }
        };
        let memory = match keys.get("memory") {
            None => Some(None),
            Some(value) => text(value, "`memory`", mistakes, Memory::parse).map(Some),
        };
        keys.finish(mistakes);
        let (Some(name), Some(workers), Some(memory)) = (name, workers, memory) else {
            complete = false;
            continue;
        };
        if let Some(earlier) = names.get(&name) {
            let mistake = Mistake::new(span, format!("profile `{name}` is declared twice"));
            mistakes.push(mistake.related(earlier.clone(), "first declared here"));
        } else {
            names.insert(name.clone(), span);
        }
        places.extend(workers.iter().cloned());
        let workers: Workers = workers.into_iter().map(Spanned::into_inner).collect();
        profiles.push(Rc::new(Profile { name, workers, memory }));
    }
    complete.then_some(Profiles { profiles, workers: places })
}

fn workers(
    keys: Keys<'_>,
    has_compose: bool,
    mistakes: &mut Vec<Mistake>,
) -> Option<Vec<Spanned<(WorkerKind, u16)>>> {
    let kind_of = |name: &str| match WorkerKind::new(name) {
        // A template could not name it.
        Ok(_) if name.contains('-') && !has_compose => {
            Err(format!("`{name}` is not a valid kind of worker: only a service of [compose] has a `-`"))
        }
        kind => kind,
    };
    let read = keys.entries().map(|(name, value)| {
        let count = number(value, "a number of workers", 0..=u16::MAX, mistakes);
        let kind = user_key(&name, kind_of, mistakes);
        Some((name.span(), Spanned::new(value.span(), (kind?, count?))))
    });
    let read: Vec<_> = read.collect::<Vec<_>>().into_iter().collect::<Option<_>>()?;
    refuse_equal_variables(&read, mistakes);
    Some(read.into_iter().map(|(_, workers)| workers).collect())
}

/// Refuses kinds of workers whose numbers would be in one variable.
fn refuse_equal_variables(workers: &[PlacedWorkers], mistakes: &mut Vec<Mistake>) {
    let mut variables: BTreeMap<String, (Range<usize>, &WorkerKind)> = BTreeMap::new();
    for (place, workers) in workers {
        let kind = &workers.get_ref().0;
        match variables.get(&workers_variable("", kind.as_str())) {
            Some((earlier, other)) => {
                let mistake = Mistake::new(place.clone(), format!("`{other}` and `{kind}` are one variable"));
                mistakes.push(mistake.related(earlier.clone(), "first declared here"));
            }
            None => drop(variables.insert(workers_variable("", kind.as_str()), (place.clone(), kind))),
        }
    }
}
