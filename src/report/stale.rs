//! What keeps a saved plan from being run.

use std::collections::{BTreeMap, BTreeSet};

use super::plan::LONG;
use super::printable;
use crate::saved::Changed;
use crate::slot::SlotId;

/// How many digits of a hash tell two apart.
const DIGITS: usize = 12;

/// Whose values became what: old and new. No slot is the pool.
type Line = (BTreeSet<Option<SlotId>>, String);

/// The values that a saved plan depends on and that are others now, with old and new: a line for all slots where the same
/// became the same, and one for all where more than a hundred became different things.
pub fn changes(changes: &[Changed]) -> String {
    let mut groups: BTreeMap<(&str, String), BTreeSet<Option<SlotId>>> = BTreeMap::new();
    for Changed { slot, what, old, new } in changes {
        let value = |value: &Option<String>| value.as_deref().map_or("nothing".to_owned(), short);
        let became = format!("{} → {}", value(old), value(new));
        groups.entry((what.as_str(), became)).or_default().insert(*slot);
    }
    let mut lines: BTreeMap<&str, Vec<Line>> = BTreeMap::new();
    for ((what, became), slots) in groups {
        lines.entry(what).or_default().push((slots, became));
    }
    let mut lines: Vec<_> = lines
        .into_iter()
        .flat_map(|(what, lines)| {
            let lines = if lines.len() > LONG { together(lines) } else { lines };
            lines.into_iter().map(move |(slots, became)| (slots, what, became))
        })
        .collect();
    lines.sort_by(|(one, ..), (other, ..)| one.first().cmp(&other.first()));
    let line = |(slots, what, became)| format!("\n  {}: {}: {became}", of(&slots), printable(what));
    lines.into_iter().map(line).collect()
}

/// One line in the place of many, with the first of them.
fn together(mut lines: Vec<Line>) -> Vec<Line> {
    lines.sort_by(|(one, _), (other, _)| one.first().cmp(&other.first()));
    let first = lines.first().map_or_else(String::new, |(slots, became)| format!("{}: {became}", of(slots)));
    let slots = lines.into_iter().flat_map(|(slots, _)| slots).collect();
    vec![(slots, format!("another in each, in {first}"))]
}

/// Whose values they are: "the pool", "slot 3", "slots 1-4".
fn of(slots: &BTreeSet<Option<SlotId>>) -> String {
    let slots: BTreeSet<SlotId> = slots.iter().copied().flatten().collect();
    match slots.len() {
        0 => "the pool".to_owned(),
        1 => format!("slot {}", SlotId::list(&slots)),
        _ => format!("slots {}", SlotId::list(&slots)),
    }
}

/// A value with the beginning of each hash in it.
fn short(value: &str) -> String {
    let is_hash = |word: &str| word.len() == 64 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    let words = value.split(' ').map(|word| word.get(..DIGITS).filter(|_| is_hash(word)).unwrap_or(word));
    printable(&words.collect::<Vec<_>>().join(" "))
}
