//! What slots leave on the engine when they go: their volumes and images.

use std::collections::BTreeSet;

use anyhow::Result;

use super::request::{Done, Prepared};
use crate::desired::Pool;
use crate::fault::Fault;
use crate::host::docker::Answer;
use crate::host::labelled::{self, Image, Labels, Volume};
use crate::observe::whose::Whose;
use crate::plan::{Action, Plan};
use crate::registry::Registry;
use crate::shown::size;
use crate::slot::SlotId;

/// A volume or an image of a slot.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Datum {
    /// Whose it is.
    pub slot: SlotId,
    /// What it is.
    pub kind: DataKind,
    /// What it is removed by: a volume's name; the slot's names of an image or, if it has no name, its id.
    pub names: Vec<String>,
    /// How large it is, if Docker says so.
    pub size: Option<String>,
}

/// What a slot's data is kept in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DataKind {
    /// A volume.
    Volume,
    /// An image that was built for the slot.
    Image,
}

impl DataKind {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Volume => "volume",
            Self::Image => "image",
        }
    }
}

/// The volumes and images of the slots that a plan removes, and of slots that went before.
///
/// # Errors
/// [`Fault`] if there is a `docker` command that does not say.
pub fn planned(prepared: &Prepared<'_>) -> Result<Vec<Datum>> {
    let found = find(prepared.request.pool, &prepared.observed.registry, &stay(&prepared.plan));
    let fault = |said| {
        let what = format!("Docker does not say which volumes and images the slots have: {said}");
        Fault::docker(what).advise("start Docker or fix that, or leave --data out")
    };
    Ok(with_sizes(found.map_err(fault)?))
}

/// The volumes and images of a pool, in the order of its slots, but for those of slots that stay. Only what
/// is the slot's own beyond doubt is listed. A machine without a `docker` command has none.
///
/// # Errors
/// Why Docker does not say.
fn find(pool: &Pool, registry: &Registry, stay: &BTreeSet<SlotId>) -> Result<Vec<Datum>, String> {
    let whose = Whose::new(pool, registry);
    let owner = |labels: &Labels| whose.owner(labels).filter(|slot| !stay.contains(slot));
    let volumes = match labelled::volumes() {
        Answer::NoCommand => return Ok(Vec::new()),
        volumes @ (Answer::Is(_) | Answer::NoDaemon | Answer::Failed(_)) => volumes.needed()?,
    };
    let images = labelled::images().needed()?;
    let volumes = volumes.into_iter().filter_map(|Volume { name, labels }| {
        Some(Datum { slot: owner(&labels)?, kind: DataKind::Volume, names: vec![name], size: None })
    });
    let images = images.into_iter().filter_map(|image| {
        let (slot, bytes) = (owner(&image.labels)?, image.size);
        let names = own_names(image);
        let datum = Datum { slot, kind: DataKind::Image, names, size: Some(size(bytes)) };
        (!datum.names.is_empty()).then_some(datum)
    });
    let mut data: Vec<Datum> = volumes.chain(images).collect();
    data.sort();
    Ok(data)
}

/// What an image is removed by. Other names of it may be in use elsewhere. An image with only such names
/// stays.
fn own_names(Image { id, tags, size: _, labels }: Image) -> Vec<String> {
    if tags.is_empty() {
        return vec![id];
    }
    let is_own =
        |tag: &String| tag.strip_prefix(&labels.project).is_some_and(|rest| rest.starts_with(['-', '_']));
    tags.into_iter().filter(is_own).collect()
}

/// The same with the size of each volume, if Docker says it in time.
fn with_sizes(mut data: Vec<Datum>) -> Vec<Datum> {
    let has_volumes = data.iter().any(|datum| datum.kind == DataKind::Volume);
    let sizes =
        if has_volumes { labelled::volume_sizes().needed().unwrap_or_default() } else { return data };
    for datum in data.iter_mut().filter(|datum| datum.kind == DataKind::Volume) {
        datum.size = datum.names.first().and_then(|name| sizes.get(name)).cloned();
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
        |shown: &&Datum| there.iter().any(|datum| datum.kind == shown.kind && datum.names == shown.names);
    let removed = shown.iter().filter(is_there).map(|datum| {
        let removed = match (datum.kind, datum.names.as_slice()) {
            (DataKind::Volume, [name]) => labelled::remove_volume(name),
            (DataKind::Volume | DataKind::Image, names) => labelled::remove_image(names),
        };
        (datum.clone(), removed.needed())
    });
    removed.collect()
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
    let volumes = match labelled::volumes() {
        Answer::NoCommand => return Ok(Vec::new()),
        volumes @ (Answer::Is(_) | Answer::NoDaemon | Answer::Failed(_)) => volumes.needed()?,
    };
    let whose = Whose::new(pool, &done.before);
    let left = volumes.into_iter().filter(|volume| !whose.users(&volume.labels).is_disjoint(&gone));
    let mut names: Vec<String> = left.map(|volume| volume.name).collect();
    names.sort();
    Ok(names)
}
