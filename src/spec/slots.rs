//! `[[slots]]`: the ids of the slots, each with its profile.

use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;

use toml::Spanned;

use super::keys::{GUESSED, Keys};
use super::mistake::{Mistake, suggestion};
use super::value::{TomlValue, text};
use crate::slot::{Profile, SlotId};

/// Reads the slots if all ids are valid. A slot with a wrong profile stays, without one, so that its ports
/// are still proven.
pub(super) fn read(
    tables: Vec<Keys<'_>>,
    profiles: Option<&[Rc<Profile>]>,
    mistakes: &mut Vec<Mistake>,
) -> Option<BTreeMap<SlotId, Option<Rc<Profile>>>> {
    let mut slots = BTreeMap::new();
    let mut places: BTreeMap<SlotId, Range<usize>> = BTreeMap::new();
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
        keys.finish(mistakes);
        let (Some(ids), Some(span)) = (ids, ids_value.map(Spanned::span)) else {
            complete = false;
            continue;
        };
        if let Some((id, earlier)) = ids.iter().find_map(|id| Some((id, places.get(id)?.clone()))) {
            let mistake = Mistake::new(span.clone(), format!("slot {id} is declared twice"));
            mistakes.push(mistake.related(earlier, "first declared here"));
        }
        for id in ids {
            places.entry(id).or_insert_with(|| span.clone());
            slots.entry(id).or_insert_with(|| profile.clone());
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
