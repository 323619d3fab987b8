//! The plan as people read it: one heading per slot, in slot order, then the totals.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display, Write as _};

use camino::Utf8Path;
use owo_colors::OwoColorize as _;

use super::commas::Commas;
use super::view::{Aim, View};
use crate::desired::{Outline, SlotOutline};
use crate::diff::{FieldChange, Remnant};
use crate::file::RelPath;
use crate::observe::ImportState;
use crate::plan::{Action, Blocked, FileChange, Flag, Kind, Plan, SlotPlan};
use crate::shown::{Paths, printable, word};
use crate::slot::SlotId;

/// The most slots that are shown one by one without `--verbose`.
pub(super) const LONG: usize = 100;

/// The plan: a heading per slot, details below the slots to create, `diffs` below the slots to change, then
/// the totals. A long plan has one line per action and profile instead, unless the view is verbose.
pub fn render(plan: &Plan, pool: &Outline, view: View<'_>, diffs: &BTreeMap<SlotId, String>) -> String {
    let mut text = String::new();
    if let Some(import) = &plan.import {
        let _ = write_import(&mut text, import, view.paths);
    }
    if plan.slots.len() > LONG && !view.verbose {
        let _ = summary(&mut text, plan, pool);
    } else {
        for (&slot, slot_plan) in &plan.slots {
            let _ = heading(&mut text, slot, slot_plan, pool, view);
            text.push_str(diffs.get(&slot).map_or("", String::as_str));
        }
    }
    if !plan.slots.is_empty() {
        text.push('\n');
    }
    let _ = totals(&mut text, plan, view);
    text
}

/// One line per action and profile, in the order of the first slot of each.
fn summary(text: &mut String, plan: &Plan, pool: &Outline) -> fmt::Result {
    let mut groups: BTreeMap<(String, String), BTreeSet<SlotId>> = BTreeMap::new();
    for (&id, slot_plan) in &plan.slots {
        let (before, after) = match (&slot_plan.action, slot_plan.blocked.as_slice()) {
            (Some(Action::Create(_)), _) => (format!("{} Would create", "+".green()), ""),
            (Some(Action::Adopt), _) => (format!("{} Would adopt", "+".green()), ""),
            (Some(Action::Update { .. }), _) => (format!("{} Would update", "~".yellow()), ""),
            (Some(Action::Restore(_)), _) => (format!("{} Would restore", "~".yellow()), ""),
            (Some(Action::Remove { .. }), _) => (format!("{} Would remove", "-".red()), ""),
            (None, []) => ("=".to_owned(), " already exist, skipping"),
            (None, _) => (symbol(slot_plan), " differ"),
        };
        let flags = slot_plan.flags().filter(|flags| !flags.is_empty());
        let flags = flags.map_or_else(String::new, |flags| format!(" ({})", Commas(flags.iter())));
        let profile = pool.slots.get(&id).map_or_else(String::new, |slot| format!(" ({})", slot.profile));
        groups.entry((before, format!("{profile}{after}{flags}"))).or_default().insert(id);
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by_key(|(_, slots)| slots.first().copied());
    for ((before, after), slots) in groups {
        writeln!(text, "  {before} {} slot(s){after}: {}", slots.len(), SlotId::list(&slots))?;
    }
    writeln!(text, "  Each slot by itself: -v")
}

/// What is said after a plan was saved: how to run it.
pub fn saved(path: &Utf8Path) -> String {
    format!("\nSaved the plan. To run exactly this plan: kinfra apply {}\n", word(path.as_str()))
}

/// What is said of a plan whose slots may have containers for all that is known.
pub fn trust(takes_docker_on_trust: bool) -> &'static str {
    if takes_docker_on_trust {
        "Docker was not asked whether these slots have containers: `kinfra apply` asks\n"
    } else {
        ""
    }
}

/// The slots whose action changed since a plan was shown, with their action now.
pub(super) fn changed(shown: &Plan, now: &Plan, pool: &Outline, view: View<'_>) -> String {
    let mut text = String::new();
    for (&slot, slot_plan) in &now.slots {
        if shown.slots.get(&slot).is_none_or(|shown| shown.action != slot_plan.action) {
            text.push('\n');
            let _ = heading(&mut text, slot, slot_plan, pool, view);
        }
    }
    text.trim_end().to_owned()
}

fn write_import(text: &mut String, import: &ImportState, paths: Paths<'_>) -> fmt::Result {
    match import {
        ImportState::Pending { path, sha256: _, slots, claimed } => {
            let path = paths.show(path);
            writeln!(
                text,
                "  {} Would import {slots} slot(s), {claimed} of them claimed, from {path}",
                "+".green()
            )
        }
        ImportState::Changed(path) => {
            let path = paths.show(path);
            writeln!(
                text,
                "  {} {path} changed after it was imported: kinfra no longer reads it",
                "!".yellow()
            )
        }
    }
}

fn heading(text: &mut String, id: SlotId, plan: &SlotPlan, pool: &Outline, view: View<'_>) -> fmt::Result {
    let blocked = (!plan.blocked.is_empty()).then(|| match view.aim {
        Aim::Destroy => stays(plan),
        Aim::Pool | Aim::Slots => blocked_text(plan),
    });
    let dir = || view.paths.show(&pool.dir(id));
    match (&plan.action, pool.slots.get(&id)) {
        (Some(Action::Create(_)), Some(slot)) => {
            writeln!(text, "  {} Would create slot {id} ({}) at {}", "+".green(), slot.profile, dir())?;
            details(text, slot)
        }
        (Some(Action::Adopt), Some(slot)) => {
            writeln!(text, "  {} Would adopt slot {id} ({}) at {}", "+".green(), slot.profile, dir())
        }
        (Some(Action::Update { fields, files }), _) => {
            let changes = fields.iter().map(|change| ShownField(change).to_string());
            let changes: Vec<String> =
                changes.chain(files.iter().map(|(path, change)| file_change(path, *change))).collect();
            let (verb, changes) = if changes.is_empty() {
                ("finish", "what was begun is in place already".to_owned())
            } else {
                ("update", Commas(changes.iter()).to_string())
            };
            writeln!(text, "  {} Would {verb} slot {id}: {changes}", "~".yellow())
        }
        (Some(Action::Remove { files: _, stays }), _) => {
            let stays = match stays.as_slice() {
                [] => String::new(),
                stays => format!(
                    ", but not {}, which kinfra did not write",
                    Commas(stays.iter().map(|name| printable(name)))
                ),
            };
            writeln!(text, "  {} Would remove slot {id}{stays}", "-".red())
        }
        (Some(Action::Restore(files)), _) => {
            let blocked = blocked.map_or_else(String::new, |blocked| format!("; {blocked}"));
            writeln!(text, "  {} Would restore slot {id}: {}{blocked}", "~".yellow(), Commas(files.iter()))
        }
        (_, _) => match blocked {
            None => writeln!(text, "  = Slot {id}: already exists, skipping"),
            Some(blocked) if plan.blocked.iter().any(|blocked| matches!(blocked, Blocked::Foreign(_))) => {
                writeln!(text, "  = Slot {id}: already exists, skipping: {blocked}")
            }
            Some(blocked) => writeln!(text, "  {} Slot {id}: {blocked}", symbol(plan)),
        },
    }
}

fn details(text: &mut String, slot: &SlotOutline) -> fmt::Result {
    let ports = slot.ports.iter().map(|(name, port)| format!("{}={port}", name.as_str().to_uppercase()));
    writeln!(text, "      ports    {}", Commas(ports))?;
    if slot.workers.is_empty() {
        return Ok(());
    }
    let workers = slot.workers.iter().map(|(kind, count)| format!("{kind}={count}"));
    writeln!(text, "      workers  {}", Commas(workers))
}

/// The sign of a blocked slot: `~` for a change, `-` for a removal, `!` where you must decide first.
fn symbol(plan: &SlotPlan) -> String {
    if plan.blocked.iter().any(|blocked| matches!(blocked, Blocked::PortTaken { .. })) {
        return "!".yellow().to_string();
    }
    match plan.flags().as_ref().and_then(BTreeSet::first) {
        Some(Flag::Update) if plan.blocked.iter().all(|blocked| blocked.kind() == Kind::Change) => {
            "~".yellow().to_string()
        }
        Some(Flag::Prune) if plan.blocked.iter().all(|blocked| blocked.kind() == Kind::Destroy) => {
            "-".red().to_string()
        }
        _ => "!".yellow().to_string(),
    }
}

/// The reasons why a slot is not removed.
pub(super) fn stays(plan: &SlotPlan) -> String {
    let reasons = plan.blocked.iter().filter(|blocked| !matches!(blocked, Blocked::Surplus { .. }));
    Commas(reasons.map(Reason)).to_string()
}

/// The blocked differences, with the flags that would allow them: "a.yml was edited by hand (--overwrite)".
fn blocked_text(plan: &SlotPlan) -> String {
    let reasons = Commas(plan.blocked.iter().map(Reason)).to_string();
    match plan.flags().filter(|flags| !flags.is_empty()) {
        Some(flags) => format!("{reasons} ({})", Commas(flags.iter())),
        None => reasons,
    }
}

/// A field of the registry's entry that changes: "ports.api 8001 → 8101".
struct ShownField<'a>(&'a FieldChange);

impl Display for ShownField<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let FieldChange { field, old, new } = self.0;
        // Another program may have written anything into the entry.
        let field = printable(&field.to_string());
        match (old.as_deref().map(printable), new.as_deref().map(printable)) {
            (Some(old), Some(new)) => write!(f, "{field} {old} → {new}"),
            (None, Some(new)) => write!(f, "{field} {new} is new"),
            (Some(_) | None, None) => write!(f, "{field} is no longer in slots.toml"),
        }
    }
}

/// What an update does to a file: "a.yml (new)".
fn file_change(path: &RelPath, change: FileChange) -> String {
    match change {
        FileChange::Write => format!("{path} (new)"),
        FileChange::Replace => path.to_string(),
        FileChange::Overwrite => format!("{path} (overwritten, a copy is kept)"),
        FileChange::SetMode(old) => format!("{path} (mode was {old})"),
        FileChange::Remove => format!("{path} (removed)"),
        FileChange::Disown => format!("{path} (left as it is, no longer kinfra's)"),
    }
}

struct Reason<'a>(&'a Blocked);

impl Display for Reason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Blocked::Foreign(path) => write!(f, "{path} differs"),
            Blocked::Field(change) => ShownField(change).fmt(f),
            Blocked::Outdated(path) => write!(f, "{path} is older than slots.toml"),
            Blocked::Absent(path) => write!(f, "{path} is not there yet"),
            Blocked::WrongMode(path, mode) => write!(f, "{path} has mode {mode}"),
            Blocked::Dropped(path) => write!(f, "{path} is no longer in slots.toml"),
            Blocked::Disowned(path) => {
                write!(f, "{path} is no longer in slots.toml, was edited by hand and would stay")
            }
            Blocked::Edited(path) => write!(f, "{path} was edited by hand"),
            Blocked::Obstructed(Some(path), obstacle) => write!(f, "{path} is {obstacle}: move it away"),
            Blocked::Obstructed(None, obstacle) => write!(f, "its directory is {obstacle}: move it away"),
            Blocked::Surplus { held: _ } => write!(f, "no longer in slots.toml"),
            Blocked::Leftover(names) => {
                let names = Commas(names.iter().map(|name| printable(name)));
                write!(f, "removed, but for {names}, which kinfra did not write: move it away")
            }
            Blocked::NotClean(slot, Remnant::DataOf(by)) => {
                write!(f, "it keeps the volumes of {}: `kinfra clean {slot}` removes them", printable(by))
            }
            Blocked::NotClean(slot, Remnant::Anything) => {
                write!(f, "it is not clean: `kinfra clean {slot}` first")
            }
            Blocked::Containers => {
                write!(f, "it has containers: `kinfra down` in its worktree first")
            }
            Blocked::Running => {
                write!(f, "it has containers that run with its files: `kinfra down` in its worktree first")
            }
            Blocked::ContainersUnknown(said) => {
                write!(f, "docker does not say whether it has containers ({})", printable(said))
            }
            Blocked::Held(holder) => write!(f, "held by {}", printable(holder)),
            Blocked::PortTaken { name, port, holder, flags: _, kind: _ } => {
                write!(f, "{} {port} is still slot {holder}'s", name.as_str().to_uppercase())
            }
        }
    }
}

/// The totals of a plan, in slots.
pub(super) struct Totals {
    pub(super) add: usize,
    pub(super) change: usize,
    pub(super) destroy: usize,
    /// How many slots are blocked, and the flags that would allow some of them.
    pub(super) blocked: BTreeMap<Kind, (usize, BTreeSet<Flag>)>,
}

impl Totals {
    pub(super) fn of(plan: &Plan) -> Self {
        let count = |kind| plan.actions().filter(|(_, action)| action.kind() == kind).count();
        let mut blocked: BTreeMap<Kind, (usize, BTreeSet<Flag>)> = BTreeMap::new();
        for slot in plan.slots.values() {
            if let Some(kind) = slot.blocked.iter().map(Blocked::kind).max() {
                let (slots, flags) = blocked.entry(kind).or_default();
                *slots += 1;
                flags.extend(slot.flags().into_iter().flatten());
            }
        }
        let (add, change, destroy) = (count(Kind::Add), count(Kind::Change), count(Kind::Destroy));
        Self { add, change, destroy, blocked }
    }
}

fn totals(text: &mut String, plan: &Plan, view: View<'_>) -> fmt::Result {
    if plan.is_empty() {
        return writeln!(
            text,
            "{}",
            match view.aim {
                Aim::Pool => "No changes. The pool is as slots.toml says.",
                Aim::Slots => "No changes to these slots.",
                Aim::Destroy => "No changes. The pool has no slots.",
            }
        );
    }
    let Totals { add, change, destroy, blocked } = Totals::of(plan);
    writeln!(text, "Plan: {add} to add, {change} to change, {destroy} to destroy.")?;
    if blocked.is_empty() {
        return Ok(());
    }
    let parts = blocked.iter().map(|(kind, (slots, flags))| {
        let flags = if flags.is_empty() { String::new() } else { format!(" ({})", Commas(flags.iter())) };
        format!("{slots} to {kind}{flags}")
    });
    writeln!(text, "Blocked: {}.", Commas(parts))?;
    if plan.is_refused(view.allowed) {
        writeln!(text, "All that was asked for is blocked.")?;
    }
    Ok(())
}
