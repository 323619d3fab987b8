//! The message of a stale plan: what changed since it was made, with old and new values.

use std::collections::{BTreeMap, BTreeSet};

use anstream::adapter::strip_str;
use anyhow::Error;

use super::plan::{LONG, changed};
use super::view::View;
use crate::desired::Outline;
use crate::fault::Fault;
use crate::plan::Plan;
use crate::provision::{NotRun, Stale};
use crate::saved::Changed;
use crate::shown::printable;
use crate::slot::SlotId;

/// How many digits of a hash are shown.
const DIGITS: usize = 12;

/// The slots whose value changed, and "old → new". `None` is the pool.
type Line = (BTreeSet<Option<SlotId>>, String);

/// The error of a plan that was not carried out. `shown` is that plan.
pub fn error(why: NotRun, shown: &Plan, pool: &Outline, view: View<'_>) -> Error {
    match why {
        NotRun::Stale(stale) => fault(&stale, shown, pool, view).into(),
        NotRun::Failed(error) => error,
    }
}

fn fault(stale: &Stale, shown: &Plan, pool: &Outline, view: View<'_>) -> Fault {
    let nothing = "nothing was done";
    // Errors have no colours.
    let changed = |now| strip_str(&changed(shown, now, pool, view)).to_string();
    match stale {
        Stale::Shown(now) => {
            let (root, changed) = (&pool.root, changed(now));
            let message = format!("the pool in `{root}` changed since the plan was made: {nothing}{changed}");
            Fault::refused(message).advise("run again")
        }
        Stale::Applied => Fault::refused("the saved plan was applied already: nothing is left of it to do"),
        Stale::Values(changes) => {
            let changes = self::changes(changes);
            Fault::refused(format!("the saved plan is stale: {nothing}{changes}")).advise("plan again")
        }
        Stale::Actions(now) => {
            let changed = changed(now);
            Fault::refused(format!("the saved plan is stale: {nothing}{changed}")).advise("plan again")
        }
        Stale::Blocked(now) => {
            let blocked = now.slots.iter().filter(|(_, slot)| !slot.blocked.is_empty());
            let blocked = SlotId::list(&blocked.map(|(slot, _)| *slot).collect());
            let changed = changed(now);
            Fault::refused(format!("the saved plan is blocked: {nothing}{changed}"))
                .advise(format!("do what these lines say, or plan with --exclude {blocked}"))
        }
    }
}

/// The values that changed, one a line. Slots with the same change share a line. More than a hundred
/// different changes of one value share a line, too.
fn changes(changes: &[Changed]) -> String {
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

/// One line for many, with the first of them as the example.
fn together(mut lines: Vec<Line>) -> Vec<Line> {
    lines.sort_by(|(one, _), (other, _)| one.first().cmp(&other.first()));
    let first = lines.first().map_or_else(String::new, |(slots, became)| format!("{}: {became}", of(slots)));
    let slots = lines.into_iter().flat_map(|(slots, _)| slots).collect();
    vec![(slots, format!("a different change in each, such as {first}"))]
}

/// The owners of a value: "the pool", "slot 3", "slots 1-4".
fn of(slots: &BTreeSet<Option<SlotId>>) -> String {
    let slots: BTreeSet<SlotId> = slots.iter().copied().flatten().collect();
    if slots.is_empty() { "the pool".to_owned() } else { SlotId::named(&slots) }
}

/// A value with its hashes shortened.
fn short(value: &str) -> String {
    let is_hash = |word: &str| word.len() == 64 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    let words = value.split(' ').map(|word| word.get(..DIGITS).filter(|_| is_hash(word)).unwrap_or(word));
    printable(&words.collect::<Vec<_>>().join(" "))
}
