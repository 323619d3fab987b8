//! `[[slots]]`: the ids of the slots, each with its profile, and the host that has them if it is one.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::rc::Rc;

use toml::Spanned;

use super::keys::{GUESSED, Keys};
use super::mistake::{Mistake, suggestion};
use super::value::{TomlValue, text};
use crate::identifier::HostName;
use crate::slot::{Profile, SlotId};

/// Where a slot is declared: for which host, if it is for one, and in which list of ids.
type Place = (Option<HostName>, Range<usize>);

/// The slots of a spec.
#[derive(Default)]
pub(super) struct Slots {
    /// Those of this host.
    pub(super) own: BTreeMap<SlotId, Option<Rc<Profile>>>,
    /// Those that other hosts have for themselves.
    pub(super) elsewhere: BTreeMap<HostName, BTreeSet<SlotId>>,
    /// Those that every host has.
    everywhere: BTreeSet<SlotId>,
}

impl Slots {
    /// The slots of each host: of this one first.
    pub(super) fn by_host(&self) -> impl Iterator<Item = BTreeSet<SlotId>> {
        let others = self.elsewhere.values().map(|own| own | &self.everywhere);
        std::iter::once(self.own.keys().copied().collect()).chain(others)
    }
}

/// Reads the slots if all ids are valid. `this_host` decides which of them are its own. A slot with a wrong
/// profile stays, without one, so that its ports are still proven.
pub(super) fn read(
    tables: Vec<Keys<'_>>,
    profiles: Option<&[Rc<Profile>]>,
    this_host: Option<&str>,
    mistakes: &mut Vec<Mistake>,
) -> Option<Slots> {
    let mut slots = Slots::default();
    let mut places: BTreeMap<SlotId, Vec<Place>> = BTreeMap::new();
    let mut complete = true;
    // The smallest of a name counts: it stands first.
    let profiles = profiles.map(|all| {
        let by_name = all.iter().rev().map(|profile| (profile.name.as_str(), profile));
        (all, by_name.collect::<BTreeMap<_, _>>())
    });
    let mut unknown = 0;
    for mut keys in tables {
        let ids_value = keys.require("ids");
        let ids = ids_value.and_then(|value| text(value, "`ids`", mistakes, SlotId::parse_list));
        let profile = keys
            .require("profile")
            .and_then(|value| profile(value, profiles.as_ref()?, &mut unknown, mistakes));
        let host = match keys.get("host") {
            None => Some(None),
            Some(value) => text(value, "`host`", mistakes, HostName::new).map(Some),
        };
        keys.finish(mistakes);
        let (Some(ids), Some(span), Some(host)) = (ids, ids_value.map(Spanned::span), host) else {
            complete = false;
            continue;
        };
        let declared = |id: &SlotId| {
            let meets = |other: &Option<HostName>| host.is_none() || other.is_none() || *other == host;
            places.get(id)?.iter().find(|(other, _)| meets(other)).map(|(_, span)| span.clone())
        };
        if let Some((id, earlier)) = ids.iter().find_map(|id| Some((id, declared(id)?))) {
            let mistake = Mistake::new(span.clone(), format!("slot {id} is declared twice"));
            mistakes.push(mistake.related(earlier, "first declared here"));
        }
        for id in ids {
            places.entry(id).or_default().push((host.clone(), span.clone()));
            if host.is_none() {
                slots.everywhere.insert(id);
            }
            match &host {
                Some(other) if Some(other.as_str()) != this_host => {
                    slots.elsewhere.entry(other.clone()).or_default().insert(id);
                }
                Some(_) | None => drop(slots.own.entry(id).or_insert_with(|| profile.clone())),
            }
        }
    }
    complete.then_some(slots)
}

fn profile(
    value: TomlValue<'_>,
    (all, by_name): &(&[Rc<Profile>], BTreeMap<&str, &Rc<Profile>>),
    unknown: &mut usize,
    mistakes: &mut Vec<Mistake>,
) -> Option<Rc<Profile>> {
    let name = text(value, "`profile`", mistakes, |name| Ok::<_, String>(name.to_owned()))?;
    let found = by_name.get(name.as_str()).copied();
    if found.is_none() {
        *unknown += 1;
        let guess = || suggestion(&name, all.iter().map(|profile| profile.name.as_str()), "the profiles are");
        let help = (*unknown <= GUESSED).then(guess).flatten();
        let name = name.escape_debug();
        mistakes.push(Mistake::new(value.span(), format!("profile `{name}` is not defined")).help(help));
    }
    found.cloned()
}
