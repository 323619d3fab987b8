//! Removing what a slot's stack has on its engine.
//!
//! Everything is listed, and checked for whose it is. It is removed thing by thing, and listed again: only
//! what Docker shows at the end counts. `docker compose down` does not do so: it removes whatever has the
//! project's name, leaves profiles that it is not told of, and succeeds while volumes remain.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Error, Result};

use super::peak;
use crate::fault::Fault;
use crate::host::context::elsewhere;
use crate::host::docker::Answer;
use crate::host::things;
use crate::memory::Memory;
use crate::observe::whose::{Parted, Whose};
use crate::registry::{Elsewhere, Engine};
use crate::shown::printable;
use crate::slot::SlotId;
use crate::thing::{Kind, Thing};

/// The most things that a message names.
const MOST_NAMED: usize = 5;

/// What of a stack is removed, besides its containers and networks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// The images that were built for it.
    pub images: bool,
    /// Its volumes.
    pub volumes: bool,
}

/// What became of a stack's things.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Removed {
    /// What was removed.
    pub gone: Vec<Sized>,
    /// The volumes that stay.
    pub volumes: Vec<Sized>,
    /// What stays, because it is another's, or an image that is in use.
    pub others: Vec<String>,
    /// The engine that it was on, if that is not the one in use.
    pub elsewhere: Option<Elsewhere>,
    /// Why containers did not stop before they were removed. What they wrote last may be missing in the
    /// volumes that stay.
    pub cut_off: Option<String>,
}

/// What is known of a stack before its containers go, and not afterwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Before {
    /// The volumes that only its containers lead to.
    pub unnamed: BTreeSet<String>,
    /// The most memory that those of its containers used which run on this machine.
    pub peak: Option<Memory>,
}

/// A thing and its size, if Docker says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sized {
    /// What it is.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// Its size in Docker's words. Known of volumes only.
    pub size: Option<String>,
}

/// A slot's stack on its engine.
#[derive(Debug, Clone)]
pub struct StackOn<'a> {
    /// The engine. `None` is the caller's.
    pub engine: Option<&'a Engine>,
    /// The name of its Compose project, as noted at its start.
    pub project: String,
    /// The slot.
    pub slot: SlotId,
    /// Whose things are.
    pub whose: Whose<'a>,
}

impl StackOn<'_> {
    /// What there is of the stack, under its project's name or its labels.
    ///
    /// # Errors
    /// [`Fault`] when Docker cannot be asked.
    pub fn look(&self) -> Result<Parted> {
        let kinds = [Kind::Container, Kind::Network, Kind::Volume, Kind::Image];
        Ok(self.whose.part(self.slot, &self.project, asked(things::list(self.engine, &kinds))?))
    }
}

/// Removes a stack's containers and networks, and what else `extent` says.
///
/// Its volumes without a name of their own go with their containers. `known` are those whose containers are
/// gone already; `note` gets all of them before a container goes.
///
/// # Errors
/// [`Fault`] when Docker cannot be asked, or something stays that should have gone.
pub fn remove(
    on: &StackOn<'_>,
    extent: Extent,
    known: &BTreeSet<String>,
    note: impl FnOnce(&Before) -> Result<()>,
) -> Result<Removed> {
    let Parted { own, others: foreign } = on.look()?;
    let has_volumes = own.iter().any(|thing| thing.kind == Kind::Volume);
    let sizes = if has_volumes { things::volume_sizes(on.engine) } else { BTreeMap::new() };
    let sized = |thing: &Thing| Sized {
        kind: thing.kind,
        name: thing.name.clone(),
        size: sizes.get(&thing.name).cloned(),
    };
    let behind = asked(things::behind(on.engine, &of_kind(&own, Kind::Container)))?;
    let unnamed = behind.unnamed.union(known).cloned().collect();
    let before = Before { unnamed, peak: peak::of_all(&behind.processes) };
    note(&before)?;
    let Before { unnamed, .. } = before;
    let said = take_away(on.engine, &own, extent, &unnamed)?;

    let after = left_of(on, &own, extent)?;
    let mut stuck = asked(things::volumes_there(on.engine, &unnamed))?;
    let (mut kept, mut in_use) = (Vec::new(), Vec::new());
    for thing in after.iter().cloned() {
        match thing.kind {
            Kind::Volume if !extent.volumes => kept.push(sized(&thing)),
            Kind::Image if extent.images && said.image_in_use => in_use.push(thing),
            Kind::Image if extent.images => stuck.push(thing),
            Kind::Image => {}
            Kind::Container | Kind::Network | Kind::Volume => stuck.push(thing),
        }
    }
    if !stuck.is_empty() {
        return Err(stays(on, &stuck, said.failed.or(said.unstopped)));
    }
    let theirs = foreign.iter().map(|thing| format!("{} is another's", named(thing)));
    let in_use = in_use.iter().map(|image| format!("{} is in use", named(image)));
    Ok(Removed {
        gone: own.iter().filter(|thing| !after.contains(thing)).map(sized).collect(),
        cut_off: said.unstopped.filter(|_| !kept.is_empty()),
        volumes: kept,
        others: theirs.chain(in_use).collect(),
        elsewhere: elsewhere(on.engine),
    })
}

/// What Docker said of what it did not do.
pub(super) struct Said {
    /// Why containers did not stop.
    unstopped: Option<String>,
    /// Why something was not removed.
    pub(super) failed: Option<String>,
    /// Whether Docker refused to remove an image. It does where a container of another's uses it.
    image_in_use: bool,
}

/// Has Docker remove things, each by its id. What is kept must be written to the end, so then containers are
/// stopped first.
pub(super) fn take_away(
    engine: Option<&Engine>,
    own: &[Thing],
    extent: Extent,
    unnamed: &BTreeSet<String>,
) -> Result<Said> {
    let of = |kind: Kind, goes: bool| if goes { of_kind(own, kind) } else { Vec::new() };
    let mut volumes = of(Kind::Volume, extent.volumes);
    let stopped = things::stop(engine, &of(Kind::Container, !extent.volumes));
    let mut failures = Vec::new();
    for kind in [Kind::Container, Kind::Network] {
        failures.push(things::remove(engine, kind, &of_kind(own, kind)));
    }
    // One that Compose handed on to a new container does not go with that.
    volumes.extend(asked(things::volumes_there(engine, unnamed))?);
    failures.push(things::remove(engine, Kind::Volume, &volumes));
    let images = things::remove(engine, Kind::Image, &of(Kind::Image, extent.images)).needed().err();
    let failed = failures.into_iter().find_map(|answer| answer.needed().err());
    let image_in_use = images.is_some();
    Ok(Said { unstopped: stopped.needed().err(), failed: failed.or(images), image_in_use })
}

pub(super) fn of_kind(things: &[Thing], kind: Kind) -> Vec<Thing> {
    things.iter().filter(|thing| thing.kind == kind).cloned().collect()
}

/// What there is after things were removed. Docker that no longer shows a volume which was to be kept cannot
/// be right both times, and the slot is not clean on its word.
fn left_of(on: &StackOn<'_>, before: &[Thing], extent: Extent) -> Result<Vec<Thing>> {
    let after = on.look()?.own;
    let is_kept = |thing: &&Thing| thing.kind == Kind::Volume && !extent.volumes;
    let missing = before.iter().filter(is_kept).find(|thing| !after.contains(thing));
    let Some(missing) = missing else { return Ok(after) };
    let what = format!("{} was to be kept, and Docker does not show it any more", named(missing));
    Err(Fault::failed(what).advise("run again if it was removed by hand").into())
}

/// Docker's answer.
pub(super) fn asked<T>(answer: Answer<T>) -> Result<T, Fault> {
    let cannot = |reason| Fault::docker(format!("Docker cannot say what is left of the stack: {reason}"));
    answer.needed().map_err(cannot)
}

fn named(thing: &Thing) -> String {
    format!("{} `{}`", thing.kind.word(), printable(&thing.name))
}

/// The error for what stays, with what uses it.
fn stays(on: &StackOn<'_>, stuck: &[Thing], said: Option<String>) -> Error {
    let users = |thing: &Thing| match thing.kind {
        Kind::Volume | Kind::Network => things::users_of(on.engine, thing).needed().unwrap_or_default(),
        Kind::Container | Kind::Image => Vec::new(),
    };
    let shown: Vec<(&Thing, Vec<String>)> =
        stuck.iter().take(MOST_NAMED).map(|thing| (thing, users(thing))).collect();
    let told = |(thing, users): &(&Thing, Vec<String>)| {
        let by = users.iter().map(|user| format!("`{}`", printable(user))).collect::<Vec<_>>().join(", ");
        if by.is_empty() { named(thing) } else { format!("{}, used by {by}", named(thing)) }
    };
    let all: Vec<String> = shown.iter().map(told).collect();
    let more = if stuck.len() > MOST_NAMED { "; …" } else { "" };
    // Docker names a user by an id of 64 digits, if at all.
    let said = said.filter(|_| shown.iter().any(|(_, users)| users.is_empty()));
    let said = said.map_or_else(String::new, |said| {
        let said = said.strip_prefix("Error response from daemon: ").unwrap_or(&said);
        format!(" ({})", printable(said))
    });
    Fault::failed(format!("what the stack left cannot be removed: {}{more}{said}", all.join("; "))).into()
}
