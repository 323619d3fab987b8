//! The registered slots, and the slot of one worktree: holder, claim time, lease.

use std::collections::BTreeMap;
use std::time::Duration;

use camino::Utf8Path;
use comfy_table::Cell;
use serde_json::{Map, Value, json};

use super::document::{FORMAT_VERSION, document};
use super::stack_state;
use super::table::{lines, number, table};
use crate::claims::listing::Listed;
use crate::claims::standing::Standing;
use crate::identifier::PortName;
use crate::port::Port;
use crate::registry::{Claim, Entry, Lease};
use crate::shown::{Paths, printable};
use crate::slot::SlotId;
use crate::stack::observe::examine::Examined;
use crate::stack::observe::sight::Sight;
use crate::stack::observe::stacks::Looked;
use crate::time::Time;

/// The columns of the table that are left out where it is too wide, the first one first.
const LEFT_OUT: [&str; 5] = ["Lease", "Branch", "Profile", "Port", "Since"];

/// The longest name that the other lines of `status` make room for.
const LONGEST_NAME: usize = 20;

/// How the slots are shown.
#[derive(Debug, Clone, Copy)]
pub struct SlotsView<'a> {
    /// The port to show. Without one, each slot shows its first port.
    pub primary: Option<&'a PortName>,
    /// The current time.
    pub now: Time,
    /// How paths are shown.
    pub paths: Paths<'a>,
    /// How wide a line may be, if that is limited.
    pub columns: Option<usize>,
}

/// The slots in numeric order. Where the table would be too wide, it has fewer columns.
pub fn text(slots: &Looked, view: SlotsView<'_>) -> String {
    let mut without = 0;
    loop {
        let text = table_of(slots, view, LEFT_OUT.get(..without).unwrap_or(&LEFT_OUT));
        let width = text.lines().map(|line| line.chars().count()).max().unwrap_or_default();
        if without == LEFT_OUT.len() || view.columns.is_none_or(|columns| width <= columns) {
            return text;
        }
        without += 1;
    }
}

fn table_of(slots: &Looked, view: SlotsView<'_>, without: &[&str]) -> String {
    let SlotsView { primary, now, paths, columns: _ } = view;
    let Looked { slots, sights, elsewhere: _ } = slots;
    let known = slots.iter().find_map(|listed| listed.entry.provisioned.ports.keys().next());
    let Some(primary) = primary.or(known) else { return String::new() };
    let port_title = format!("{} Port", primary.as_str().to_uppercase());
    let header = ["Slot", "Profile", "Port", "Claimed By", "Branch", "Since", "Lease", "Status"];
    let is_shown = |column: &&str| !without.contains(column);
    let titles = header.into_iter().filter(is_shown);
    let mut table = table(titles.map(|title| if title == "Port" { &port_title } else { title }));
    let names = names(slots, paths);
    let dash = || "-".to_owned();
    for Listed { slot, entry, standing, branch } in slots {
        let claim = entry.claim.as_ref();
        let row = [
            number(slot),
            Cell::new(entry.provisioned.profile.as_str()),
            number(entry.provisioned.ports.get(primary).map_or_else(dash, Port::to_string)),
            Cell::new(names.get(slot).cloned().unwrap_or_else(dash)),
            Cell::new(branch.as_deref().map_or_else(dash, printable)),
            Cell::new(claim.and_then(|claim| since(claim, now)).unwrap_or_else(dash)),
            Cell::new(claim.and_then(|claim| claim.lease).map_or_else(dash, |lease| left(lease, now))),
            Cell::new(status(entry, *standing, sight_of(sights, *slot))),
        ];
        let cells = header.iter().zip(row).filter(|(column, _)| is_shown(column));
        table.add_row(cells.map(|(_, cell)| cell).collect::<Vec<_>>());
    }
    lines(&table)
}

/// The message for a root without slots.
pub fn none(root: &Utf8Path, origin: &str, paths: Paths<'_>) -> String {
    format!("No slots in {} yet: `kinfra apply` creates those of {origin}\n", paths.show(root))
}

/// The holders' names by slot: the last component, or the path if two holders share a name.
fn names(slots: &[Listed], paths: Paths<'_>) -> BTreeMap<SlotId, String> {
    let claims = slots.iter().filter_map(|listed| Some((listed.slot, listed.entry.claim.as_ref()?)));
    let unknown = Utf8Path::new("unknown");
    let held: Vec<(SlotId, &Utf8Path)> =
        claims.map(|(slot, claim)| (slot, claim.claimed_by.directory().unwrap_or(unknown))).collect();
    let shown = |(slot, path): &(SlotId, &Utf8Path)| {
        let alike = held.iter().filter(|(_, other)| other.file_name() == path.file_name()).count();
        let name = path
            .file_name()
            .filter(|_| alike == 1)
            .map_or_else(|| paths.show(path).into_string(), str::to_owned);
        (*slot, printable(&name))
    };
    held.iter().map(shown).collect()
}

/// The status of a slot. An unfinished apply comes first, then a claim that is over, then its stack.
fn status(entry: &Entry, standing: Option<Standing>, sight: &Sight) -> String {
    let over = |word: &str| {
        if sight.glances().is_empty() {
            return word.to_owned();
        }
        format!("{word}, {}", stack_state::of_stack(sight))
    };
    match standing {
        _ if entry.pending.is_some() => "unfinished".to_owned(),
        Some(Standing::Orphaned) => over("orphaned"),
        Some(Standing::Expired) => over("expired"),
        Some(Standing::Held) | None => stack_state::of_slot(entry, sight),
    }
}

fn sight_of(sights: &BTreeMap<SlotId, Sight>, slot: SlotId) -> &Sight {
    sights.get(&slot).unwrap_or(&Sight::NeverStarted)
}

/// How long ago a claim was made. A foreign value that is no time is shown as it is.
fn since(claim: &Claim, now: Time) -> Option<String> {
    let at = claim.claimed_at.as_deref()?;
    Some(Time::parse(at).map_or_else(|_| printable(at), |at| ago(at, now)))
}

/// The rest of a lease, in its two largest units.
fn left(lease: Lease, now: Time) -> String {
    if lease.until <= now {
        return format!("ran out {}", ago(lease.until, now));
    }
    let parts = parts(lease.until.since(now));
    parts.iter().take(2).map(String::as_str).collect()
}

/// How long ago a time was, in the largest unit.
pub(super) fn ago(then: Time, now: Time) -> String {
    let passed = now.since(then);
    match parts(passed).first() {
        Some(largest) if passed >= Duration::from_mins(1) => format!("{largest} ago"),
        Some(_) | None => "just now".to_owned(),
    }
}

/// A duration in days, hours, minutes and seconds, without leading zeros.
fn parts(duration: Duration) -> Vec<String> {
    let seconds = duration.as_secs();
    let counts =
        [(seconds / 86_400, 'd'), (seconds / 3600 % 24, 'h'), (seconds / 60 % 60, 'm'), (seconds % 60, 's')];
    let parts = counts.into_iter().skip_while(|(count, unit)| *count == 0 && *unit != 's');
    parts.map(|(count, unit)| format!("{count}{unit}")).collect()
}

/// The slots under the registry's own field names. A claimed slot has the state of its holder, too.
pub fn json(Looked { slots, sights, elsewhere: _ }: &Looked) -> Value {
    let slot = |listed: &Listed| {
        let mut slot = slot_json(listed);
        slot.insert("stack".to_owned(), stack_state::json(sight_of(sights, listed.slot)));
        slot
    };
    let slots: Vec<Map<String, Value>> = slots.iter().map(slot).collect();
    json!({ "format_version": FORMAT_VERSION, "slots": slots })
}

fn slot_json(listed: &Listed) -> Map<String, Value> {
    let Listed { slot, entry, standing, branch } = listed;
    let Value::Object(mut object) = entry.to_json(*slot) else { return Map::new() };
    if let (Some(claim), Some(standing)) = (&entry.claim, standing) {
        let standing = match standing {
            Standing::Held => "held",
            Standing::Expired => "expired",
            Standing::Orphaned => "orphaned",
        };
        object
            .insert("worktree".to_owned(), json!(claim.claimed_by.directory().and_then(Utf8Path::file_name)));
        object.insert("branch".to_owned(), json!(branch));
        object.insert("standing".to_owned(), json!(standing));
    }
    object
}

/// The slot of a worktree, every port as a URL.
pub fn status_text(listed: &Listed, examined: &Examined, now: Time, paths: Paths<'_>) -> String {
    let Listed { slot, entry, standing, branch } = listed;
    let claim = entry.claim.as_ref();
    let dir = Utf8Path::new(&entry.provisioned.infrastructure_path);
    let mut facts = vec![("files".to_owned(), paths.show(dir).into_string())];
    let mut fact =
        |name: &str, value: Option<String>| facts.extend(value.map(|value| (name.to_owned(), value)));
    fact("branch", branch.as_deref().map(printable));
    fact(
        "since",
        claim.and_then(|claim| {
            let at = Time::parse(claim.claimed_at.as_deref()?).ok()?;
            Some(format!("{}, {}", at.to_the_minute(), ago(at, now)))
        }),
    );
    fact(
        "lease",
        claim.and_then(|claim| claim.lease).map(|lease| {
            let left = left(lease, now);
            if lease.until <= now {
                format!("{}, {left}: `kinfra renew`", lease.length)
            } else {
                format!("{}, {left} left", lease.length)
            }
        }),
    );
    fact("note", claim.and_then(|claim| claim.note.as_deref()).map(printable));
    fact("claim id", claim.and_then(|claim| claim.claim_id).map(|id| id.to_string()));
    let brings = if matches!(examined.sight, Sight::WasUp(_)) { ": `kinfra up` brings it back" } else { "" };
    fact("status", Some(status(entry, *standing, &examined.sight) + brings));
    if let Sight::Unknown(reason) = &examined.sight {
        facts.push(("docker".to_owned(), printable(reason)));
    }
    facts.extend(examined.elsewhere.iter().map(|elsewhere| ("engine".to_owned(), elsewhere.to_string())));
    facts.extend(stack_state::services(examined));
    let urls = examined.urls.iter();
    facts.extend(urls.map(|(name, url)| (name.as_str().to_uppercase(), printable(url))));
    // A long name moves its own line only.
    let widths = facts.iter().map(|(name, _)| name.chars().count()).filter(|width| *width <= LONGEST_NAME);
    let width = widths.max().unwrap_or_default();
    let facts = facts.iter().map(|(name, value)| format!("      {name:width$}  {value}\n"));
    let taken = stack_state::taken(examined).into_iter().map(|taken| format!("warning: {taken}\n"));
    let (facts, taken) = (facts.collect::<String>(), taken.collect::<String>());
    format!("Slot {slot} ({}) is yours\n{facts}{taken}", entry.provisioned.profile)
}

/// The message for a worktree that holds no slot.
pub fn status_none(worktree: &Utf8Path, paths: Paths<'_>) -> String {
    let worktree = printable(paths.show(worktree).as_str());
    format!("{worktree} holds no slot: `kinfra claim` takes one\n")
}

/// The slot of a worktree as one JSON document. Without a slot, `slot_id` is null.
pub fn status_json(listed: Option<&(Listed, Examined)>) -> String {
    let mut object = Map::from_iter([("format_version".to_owned(), json!(FORMAT_VERSION))]);
    match listed {
        Some((listed, examined)) => {
            object.extend(slot_json(listed));
            object.insert("stack".to_owned(), stack_state::examined_json(examined));
            object.insert("taken_ports".to_owned(), stack_state::taken_json(examined));
            let urls = examined.urls.iter().map(|(name, url)| (name.to_string(), json!(url)));
            object.insert("urls".to_owned(), Value::Object(urls.collect()));
        }
        None => object.extend([("slot_id".to_owned(), Value::Null)]),
    }
    document(&Value::Object(object))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Span;

    #[test]
    fn times_are_told_by_their_largest_unit() {
        let now = Time::parse("2026-03-10T12:00:00Z").unwrap();
        for (then, told) in [
            ("2026-03-10T12:00:00Z", "just now"),
            ("2026-03-10T11:59:01Z", "just now"),
            ("2026-03-10T11:59:00Z", "1m ago"),
            ("2026-03-10T10:00:01Z", "1h ago"),
            ("2026-03-08T12:00:00Z", "2d ago"),
            // The clock was set back since then.
            ("2036-03-08T12:00:00Z", "just now"),
        ] {
            assert_eq!(ago(Time::parse(then).unwrap(), now), told, "{then}");
        }
        let length = Span::parse("8h").unwrap();
        for (until, told) in [
            ("2026-03-12T15:04:05Z", "2d3h"),
            ("2026-03-10T20:00:00Z", "8h0m"),
            ("2026-03-10T19:59:59Z", "7h59m"),
            ("2026-03-10T12:00:59Z", "59s"),
            ("2026-03-10T12:00:00.5Z", "0s"),
            ("2026-03-10T12:00:00Z", "ran out just now"),
            ("2026-03-10T09:00:00Z", "ran out 3h ago"),
        ] {
            let until = Time::parse(until).unwrap();
            assert_eq!(left(Lease { length, until }, now), told);
        }
    }
}
