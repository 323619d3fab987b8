//! `[[profiles]]`: the size classes of slots.

use std::rc::Rc;

use toml::Spanned;

use super::keys::{Keys, user_key};
use super::mistake::Mistake;
use super::value::{number, text};
use crate::identifier::{ProfileName, WorkerKind};
use crate::slot::{Profile, Workers};

pub(super) fn read(tables: Vec<Keys<'_>>, mistakes: &mut Vec<Mistake>) -> Option<Vec<Rc<Profile>>> {
    let mut profiles: Vec<Spanned<Rc<Profile>>> = Vec::new();
    let mut complete = true;
    for mut keys in tables {
        let name = keys.require("name");
        let span = name.map_or(keys.span(), Spanned::span);
        let name = name.and_then(|value| text(value, "`name`", mistakes, ProfileName::new));
        let workers = match keys.get("workers") {
            None => Some(Workers::new()),
            Some(value) => Keys::of(value, "`workers`", mistakes).and_then(|keys| workers(keys, mistakes)),
        };
        keys.finish(mistakes);
        let (Some(name), Some(workers)) = (name, workers) else {
            complete = false;
            continue;
        };
        if let Some(earlier) = profiles.iter().find(|earlier| earlier.get_ref().name == name) {
            let mistake = Mistake::new(span.clone(), format!("profile `{name}` is declared twice"));
            mistakes.push(mistake.related(earlier.span(), "first declared here"));
        }
        profiles.push(Spanned::new(span, Rc::new(Profile { name, workers })));
    }
    complete.then(|| profiles.into_iter().map(Spanned::into_inner).collect())
}

fn workers(keys: Keys<'_>, mistakes: &mut Vec<Mistake>) -> Option<Workers> {
    let read = keys.entries().map(|(kind, value)| {
        let count = number(value, "a number of workers", 0..=u16::MAX, mistakes);
        let kind = user_key(&kind, WorkerKind::new, mistakes);
        Some((kind?, count?))
    });
    read.collect::<Vec<_>>().into_iter().collect()
}
