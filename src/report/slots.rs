//! The registered slots, and the slot of one worktree: holder, claim time, lease.

use std::collections::BTreeMap;
use std::time::Duration;

use camino::Utf8Path;
use serde_json::{Map, Value, json};

use super::document::{FORMAT_VERSION, document, line};
use super::holder_names::names;
use super::other_hosts::with_other_hosts;
use super::table::{Cell, READABLE, Shorten, Table, colored, fitting, number};
use super::{attention, stack_state};
use crate::claims::listing::Listed;
use crate::claims::standing::Standing;
use crate::identifier::{Owner, PortName};
use crate::ledger::OtherHosts;
use crate::memory::Memory;
use crate::port::Port;
use crate::registry::{Claim, Entry, Lease};
use crate::shown::{Paths, printable, width};
use crate::slot::SlotId;
use crate::stack::observe::examine::Examined;
use crate::stack::observe::sight::Sight;
use crate::stack::observe::stacks::Looked;
use crate::time::Time;

#[cfg(test)]
#[path = "slots_tests.rs"]
mod tests;

/// The columns of the table, and where their cells are shortened.
const COLUMNS: [(&str, Shorten); 9] = [
    ("Slot", Shorten::Never),
    ("Profile", Shorten::Never),
    ("Status", Shorten::End),
    ("Port", Shorten::Never),
    ("Claimed By", Shorten::Middle),
    ("Branch", Shorten::Middle),
    ("Since", Shorten::Never),
    ("Used", Shorten::Never),
    ("Lease", Shorten::Never),
];

/// The columns that are left out where the table is too wide, the first one first.
const LEFT_OUT: [&str; 6] = ["Profile", "Used", "Since", "Lease", "Branch", "Port"];

/// The longest name that the other lines of `status` make room for.
const LONGEST_NAME: usize = 20;

/// How the slots are shown.
#[derive(Debug, Clone, Copy)]
pub struct SlotsView<'a> {
    /// The port to show. Without one, each slot shows its first port.
    pub primary: Option<&'a PortName>,
    /// The current time.
    pub now: Time,
    /// The time by the clock that judges leases.
    pub judged_at: Time,
    /// How paths are shown.
    pub paths: Paths<'a>,
    /// How wide a line may be, if that is limited.
    pub columns: Option<usize>,
    /// Whether the slots that need attention come first.
    pub is_worst_first: bool,
}

/// How the slot of a worktree is shown.
#[derive(Debug, Clone, Copy)]
pub struct StatusView<'a> {
    /// The current time.
    pub now: Time,
    /// The time by the clock that judges leases.
    pub judged_at: Time,
    /// How paths are shown.
    pub paths: Paths<'a>,
    /// A time as the user's clock shows it.
    pub local: fn(Time) -> String,
    /// Whether the id of the claim is shown.
    pub shows_id: bool,
    /// Whether what does not run comes first.
    pub is_worst_first: bool,
}

/// The slots in numeric order. Columns that say nothing are left out. A terminal that has room shows the
/// address of each slot's port. Where the table is too wide, names are shortened first, then it has fewer
/// columns.
pub fn text(slots: &Looked, view: SlotsView<'_>) -> String {
    let known = slots.slots.iter().find_map(|listed| listed.entry.provisioned.ports.keys().next());
    let Some(primary) = view.primary.or(known) else { return String::new() };
    let with = |shows, without: &[&str]| table_of(slots, (primary, shows), view, without);
    let roomy = view.columns.and_then(|columns| with(Shows::Address, &[]).within(columns, 2 * READABLE));
    roomy.unwrap_or_else(|| fitting(view.columns, &LEFT_OUT, |without| with(Shows::Port, without)))
}

/// What the column of the port shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shows {
    Port,
    Address,
}

fn table_of(
    slots: &Looked,
    (primary, shows): (&PortName, Shows),
    view: SlotsView<'_>,
    without: &[&str],
) -> Table {
    let SlotsView { primary: _, now, judged_at, paths, columns: _, is_worst_first } = view;
    let Looked { slots, sights, elsewhere: _, addresses } = slots;
    let names = names(slots, paths);
    let dash = || "-".to_owned();
    let mut ordered: Vec<&Listed> = slots.iter().collect();
    if is_worst_first {
        let rank = |it: &&Listed| attention::rank(&it.entry, it.standing, sight_of(sights, it.slot));
        ordered.sort_by_key(rank);
    }
    let rows: Vec<[Cell; 9]> = ordered
        .into_iter()
        .map(|listed @ Listed { slot, entry, standing, branch, last_used: _ }| {
            let (claim, sight) = (entry.claim.as_ref(), sight_of(sights, *slot));
            [
                number(slot),
                Cell::new(entry.provisioned.profile.as_str()),
                Cell::new(status(entry, *standing, sight))
                    .colored(attention::of_slot(entry, *standing, sight)),
                match addresses.get(slot).filter(|_| shows == Shows::Address) {
                    Some(address) => Cell::new(address.shown()),
                    None => number(entry.provisioned.ports.get(primary).map_or_else(dash, Port::to_string)),
                },
                Cell::new(names.get(slot).map_or("-", String::as_str)),
                Cell::new(branch.as_deref().unwrap_or("-")),
                Cell::new(claim.and_then(|claim| since(claim, judged_at)).unwrap_or_else(dash)),
                Cell::new(last_used(listed, sight, now).map_or_else(dash, |at| ago(at, now))),
                Cell::new(
                    claim.and_then(|claim| claim.lease).map_or_else(dash, |lease| left(lease, judged_at)),
                ),
            ]
        })
        .collect();
    let is_held = slots.iter().any(|listed| listed.entry.claim.is_some());
    let says_nothing = |title: &str| match title {
        "Branch" => slots.iter().all(|listed| listed.branch.is_none()),
        "Since" => !is_held,
        "Used" => slots.iter().all(|listed| listed.last_used.is_none()),
        "Lease" => {
            slots.iter().all(|listed| listed.entry.claim.as_ref().is_none_or(|claim| claim.lease.is_none()))
        }
        _ => false,
    };
    let shown = COLUMNS.map(|(title, _)| !without.contains(&title) && !says_nothing(title));
    let upper = primary.as_str().to_uppercase();
    let port_title = if shows == Shows::Address { upper } else { format!("{upper} Port") };
    let title = |title: &str| if title == "Port" { port_title.clone() } else { title.to_owned() };
    let columns = COLUMNS.into_iter().zip(shown).filter(|(_, is_shown)| *is_shown);
    let mut table = Table::new(columns.map(|((name, shorten), _)| (title(name), shorten)));
    for row in rows {
        let cells = row.into_iter().zip(shown).filter(|(_, is_shown)| *is_shown);
        table.add_row(cells.map(|(cell, _)| cell));
    }
    table
}

/// The message for a root without slots.
pub fn none(root: &Utf8Path, origin: &str, paths: Paths<'_>) -> String {
    format!("No slots in {} yet: `kinfra apply` creates those of {origin}\n", paths.show(root))
}

/// The status of a slot. An unfinished apply comes first, then a claim that is over, then its stack.
pub(super) fn status(entry: &Entry, standing: Option<Standing>, sight: &Sight) -> String {
    let over = |word: &str| {
        if sight.glances().is_empty() {
            return word.to_owned();
        }
        format!("{word}, {}", stack_state::of_stack(sight))
    };
    match standing {
        _ if entry.pending.is_some() => "unfinished".to_owned(),
        Some(Standing::Orphaned) => over("orphaned"),
        Some(Standing::Missing) => over("missing"),
        Some(Standing::Expired) => over("expired"),
        Some(Standing::Held) | None => stack_state::of_slot(entry, sight),
    }
}

fn sight_of(sights: &BTreeMap<SlotId, Sight>, slot: SlotId) -> &Sight {
    sights.get(&slot).unwrap_or(&Sight::NeverStarted)
}

/// When a stack was last used: by a verb, or because a container of it started.
fn last_used(listed: &Listed, sight: &Sight, now: Time) -> Option<Time> {
    let started = sight.youngest().map(|up_for| now.before(up_for));
    listed.last_used.map(|used| started.map_or(used, |started| used.max(started)))
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
    parts(lease.until.since(now)).take(2).collect()
}

/// How long ago a time was, in the largest unit.
pub(super) fn ago(then: Time, now: Time) -> String {
    let passed = now.since(then);
    match parts(passed).next() {
        Some(largest) if passed >= Duration::from_mins(1) => format!("{largest} ago"),
        Some(_) | None => "just now".to_owned(),
    }
}

/// A duration in days, hours, minutes and seconds, without leading zeros.
fn parts(duration: Duration) -> impl Iterator<Item = String> {
    let seconds = duration.as_secs();
    let counts =
        [(seconds / 86_400, 'd'), (seconds / 3600 % 24, 'h'), (seconds / 60 % 60, 'm'), (seconds % 60, 's')];
    let parts = counts.into_iter().skip_while(|(count, unit)| *count == 0 && *unit != 's');
    parts.map(|(count, unit)| format!("{count}{unit}"))
}

/// The slots under the registry's own field names. A claimed slot has the state of its holder, too.
pub fn json(Looked { slots, sights, elsewhere: _, addresses }: &Looked) -> Value {
    let slot = |listed: &Listed| {
        let mut slot = slot_json(listed);
        slot.insert("stack".to_owned(), stack_state::json(sight_of(sights, listed.slot)));
        let url = addresses.get(&listed.slot);
        slot.insert("url".to_owned(), json!(url.map(|url| &url.plain)));
        slot.insert("host_url".to_owned(), json!(url.and_then(|url| url.hosted.as_ref())));
        slot
    };
    let slots: Vec<Map<String, Value>> = slots.iter().map(slot).collect();
    json!({ "format_version": FORMAT_VERSION, "slots": slots })
}

/// The same in one line, with when it was so if the server does not answer.
pub fn json_line(looked: &Looked, seen_at: Option<Time>) -> String {
    line(&with_other_hosts(json(looked), &OtherHosts::new(), seen_at))
}

/// How a claim stands, in one word.
pub(super) const fn standing_word(standing: Standing) -> &'static str {
    match standing {
        Standing::Held => "held",
        Standing::Expired => "expired",
        Standing::Missing => "missing",
        Standing::Orphaned => "orphaned",
    }
}

fn slot_json(listed: &Listed) -> Map<String, Value> {
    let Listed { slot, entry, standing, branch, last_used } = listed;
    let Value::Object(mut object) = entry.to_json(*slot) else { return Map::new() };
    if let (Some(claim), Some(standing)) = (&entry.claim, standing) {
        let standing = standing_word(*standing);
        object
            .insert("worktree".to_owned(), json!(claim.claimed_by.directory().and_then(Utf8Path::file_name)));
        object.insert("branch".to_owned(), json!(branch));
        object.insert("standing".to_owned(), json!(standing));
        object.extend(last_used.map(|at| ("last_used".to_owned(), json!(at))));
    }
    object
}

/// The slot of a worktree, every port as a URL. The id of its claim is only for those who ask for it.
pub fn status_text(listed: &Listed, examined: &Examined, view: StatusView<'_>) -> String {
    let StatusView { now, judged_at, paths, local, shows_id, is_worst_first } = view;
    let Listed { slot, entry, standing, branch, last_used: _ } = listed;
    let claim = entry.claim.as_ref();
    let dir = Utf8Path::new(&entry.provisioned.infrastructure_path);
    let mut facts = vec![("files".to_owned(), paths.show(dir).into_string())];
    let mut fact =
        |name: &str, value: Option<String>| facts.extend(value.map(|value| (name.to_owned(), value)));
    fact("owner", claim.and_then(|claim| claim.claim_owner.as_ref()).map(ToString::to_string));
    fact("branch", branch.as_deref().map(printable));
    fact(
        "since",
        claim.and_then(|claim| {
            let at = Time::parse(claim.claimed_at.as_deref()?).ok()?;
            Some(format!("{}, {}", local(at), ago(at, judged_at)))
        }),
    );
    fact("last used", last_used(listed, &examined.sight, now).map(|at| ago(at, now)));
    fact(
        "lease",
        claim.and_then(|claim| claim.lease).map(|lease| {
            let left = left(lease, judged_at);
            if lease.until <= judged_at {
                format!("{}, {left}: `kinfra renew`", lease.length)
            } else {
                format!("{}, {left} left", lease.length)
            }
        }),
    );
    fact("note", claim.and_then(|claim| claim.note.as_deref()).map(printable));
    let id = claim.filter(|_| shows_id).and_then(|claim| claim.claim_id);
    fact("claim id", id.map(|id| id.to_string()));
    let brings = if matches!(examined.sight, Sight::WasUp(_)) { ": `kinfra up` brings it back" } else { "" };
    let stack = status(entry, *standing, &examined.sight);
    let stack = colored(&stack, attention::of_slot(entry, *standing, &examined.sight));
    fact("stack", Some(stack + brings));
    if let Sight::Unknown(reason) = &examined.sight {
        facts.push(("docker".to_owned(), printable(reason)));
    }
    facts.extend(examined.elsewhere.iter().map(|elsewhere| ("engine".to_owned(), elsewhere.to_string())));
    facts.extend(memory(examined.declared_memory, entry.peak_memory).map(|it| ("memory".to_owned(), it)));
    let services = stack_state::services(examined);
    let at = if is_worst_first { 0 } else { facts.len() };
    facts.splice(at..at, services);
    let urls = examined.urls.iter();
    facts.extend(urls.map(|(name, url)| (name.as_str().to_uppercase(), printable(url.shown()))));
    // A long name moves its own line only.
    let widths = facts.iter().map(|(name, _)| width(name)).filter(|width| *width <= LONGEST_NAME);
    let column = widths.max().unwrap_or_default();
    let space = |name: &str| " ".repeat(column.saturating_sub(width(name)));
    let facts = facts.iter().map(|(name, value)| format!("      {name}{}  {value}\n", space(name)));
    let taken = stack_state::taken(examined).into_iter().map(|taken| format!("warning: {taken}\n"));
    let (facts, taken) = (facts.collect::<String>(), taken.collect::<String>());
    format!("Slot {slot} ({}) is yours\n{facts}{taken}", entry.provisioned.profile)
}

/// What a stack may use by its profile, and what its earlier runs used.
fn memory(declared: Option<Memory>, peak: Option<Memory>) -> Option<String> {
    let declared = declared.map(|declared| format!("{declared} declared"));
    let peak = peak.map(|peak| format!("earlier runs used at most {}", peak.rounded_up()));
    let known: Vec<String> = declared.into_iter().chain(peak).collect();
    (!known.is_empty()).then(|| known.join(", "))
}

/// The message for a worktree that holds no slot.
pub fn status_none(worktree: &Utf8Path, owner: Option<&Owner>, paths: Paths<'_>) -> String {
    let worktree = printable(paths.show(worktree).as_str());
    match owner {
        Some(owner) => format!("{worktree} holds no slot for {owner}\n"),
        None => format!("{worktree} holds no slot: `kinfra claim` takes one\n"),
    }
}

/// The slot of a worktree as one JSON document. Without a slot, `slot_id` is null. `seen_at` is when it was
/// so, if the server does not answer.
pub fn status_json(listed: Option<&(Listed, Examined)>, seen_at: Option<Time>) -> String {
    let mut object = Map::from_iter([("format_version".to_owned(), json!(FORMAT_VERSION))]);
    match listed {
        Some((listed, examined)) => {
            object.extend(slot_json(listed));
            object.insert("stack".to_owned(), stack_state::examined_json(examined));
            object.insert("taken_ports".to_owned(), stack_state::taken_json(examined));
            let declared = examined.declared_memory.map(|memory| json!(memory));
            object.extend(declared.map(|memory| ("declared_memory".to_owned(), memory)));
            let urls = examined.urls.iter();
            let hosted =
                urls.clone().filter_map(|(name, url)| Some((name.to_string(), json!(url.hosted.as_ref()?))));
            let urls = urls.map(|(name, url)| (name.to_string(), json!(url.plain)));
            object.insert("urls".to_owned(), Value::Object(urls.collect()));
            object.insert("host_urls".to_owned(), Value::Object(hosted.collect()));
        }
        None => object.extend([("slot_id".to_owned(), Value::Null)]),
    }
    object.extend(seen_at.map(|at| ("seen_at".to_owned(), json!(at))));
    document(&Value::Object(object))
}
