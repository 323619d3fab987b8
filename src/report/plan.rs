//! The plan as people read it: one heading per slot, in slot order, then the totals.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};

use camino::Utf8Path;
use owo_colors::OwoColorize as _;

use super::commas::Commas;
use super::plan_blocked::{self, ShownField};
use super::view::{Aim, View};
use super::wrap::wrapped;
use crate::desired::{Outline, SlotOutline};
use crate::file::RelPath;
use crate::observe::ImportState;
use crate::plan::{Action, Blocked, FileChange, Flag, Kind, Plan, SlotPlan};
use crate::shown::{Paths, count, printable, word};
use crate::slot::SlotId;

#[cfg(test)]
#[path = "plan_tests.rs"]
pub(super) mod tests;

/// The most slots that are shown one by one without `--verbose`.
pub(super) const LONG: usize = 100;

/// The plan: a heading per slot, details below the slots to create, `diffs` below the slots to change, then
/// the totals. Slots that are blocked alike share a heading. A long plan has one line per action and profile
/// instead, unless the view is verbose. Where there is nothing to do, one line says so.
pub fn render(plan: &Plan, pool: &Outline, view: View<'_>, diffs: &BTreeMap<SlotId, String>) -> String {
    let mut text = String::new();
    if let Some(import) = &plan.import {
        text.push_str(&shown(|text| write_import(text, import, view.paths), view));
    }
    if let Some(url) = &pool.registry {
        let before = view.replaced.map_or_else(String::new, |before| format!(", in place of {before}"));
        text.push_str(&shown(|text| writeln!(text, "  Registry: {url}{before}"), view));
    }
    for (host, slots) in &pool.elsewhere {
        let slots = capital(&SlotId::named(slots));
        text.push_str(&shown(
            |text| writeln!(text, "  {slots} of {host}: made by `kinfra apply` there"),
            view,
        ));
    }
    if plan.is_empty() && !view.names_skipped {
        return text + &shown(|text| totals(text, plan, view), view);
    }
    if plan.slots.len() > LONG && !view.verbose {
        text.push_str(&shown(|text| summary(text, plan, pool), view));
    } else {
        let _ = headings(&mut text, plan, pool, view, diffs);
    }
    text.push_str(&shown(|text| files(text, plan, pool), view));
    if !plan.slots.is_empty() {
        text.push('\n');
    }
    text + &shown(|text| totals(text, plan, view), view)
}

/// What is said before a plan, a line for each notice.
pub fn warnings(notices: [&Vec<String>; 2]) -> String {
    notices.into_iter().flatten().flat_map(|notice| ["warning: ", notice, "\n"]).collect()
}

/// Where a first apply writes: the root, and each file by its path.
fn files(text: &mut String, plan: &Plan, pool: &Outline) -> fmt::Result {
    let is_new = |slot: &SlotPlan| matches!(slot.action, Some(Action::Create(_)));
    if plan.slots.is_empty() || !plan.slots.values().all(is_new) {
        return Ok(());
    }
    let files: BTreeSet<&RelPath> = pool.slots.values().flat_map(|slot| slot.files.keys()).collect();
    write!(text, "  Files of each slot in {}: {}", pool.root, Commas(files.iter()))?;
    if !pool.on_claim.is_empty() {
        write!(text, "; once it is claimed: {}", Commas(pool.on_claim.iter()))?;
    }
    writeln!(text)
}

/// A heading per slot, or per group of slots that are blocked alike, each with its diff. An equal diff is
/// shown once.
fn headings(
    text: &mut String,
    plan: &Plan,
    pool: &Outline,
    view: View<'_>,
    diffs: &BTreeMap<SlotId, String>,
) -> fmt::Result {
    let diff_of = |slot| diffs.get(&slot).map_or("", String::as_str);
    let alike = |slot: SlotId, slot_plan: &SlotPlan| {
        let blocked = plan_blocked::text(slot_plan, view.aim).filter(|_| slot_plan.action.is_none())?;
        Some((blocked, diff_of(slot)))
    };
    let mut groups: BTreeMap<(String, &str), BTreeSet<SlotId>> = BTreeMap::new();
    for (&slot, slot_plan) in &plan.slots {
        if let Some(alike) = alike(slot, slot_plan) {
            groups.entry(alike).or_default().insert(slot);
        }
    }
    let mut diffs_shown: BTreeMap<&str, SlotId> = BTreeMap::new();
    let mut ordered: Vec<(&SlotId, &SlotPlan)> = plan.slots.iter().collect();
    if view.is_worst_first {
        ordered.sort_by_key(|(_, slot_plan)| slot_plan.blocked.is_empty());
    }
    for (&slot, slot_plan) in ordered {
        match alike(slot, slot_plan) {
            None => text.push_str(&shown(|text| heading(text, slot, slot_plan, pool, view), view)),
            Some(alike) => {
                let Some(slots) = groups.remove(&alike) else { continue };
                let slots = capital(&SlotId::named(&slots));
                let line = |text: &mut String| writeln!(text, "  {} {slots}: {}", "!".yellow(), alike.0);
                text.push_str(&shown(line, view));
            }
        }
        match (diff_of(slot), diffs_shown.get(diff_of(slot))) {
            ("", _) => {}
            (_, Some(first)) => writeln!(text, "      (the diff of slot {first})")?,
            (diff, None) => {
                text.push_str(diff);
                diffs_shown.insert(diff, slot);
            }
        }
    }
    Ok(())
}

/// The lines of a slot, as people read them: paths with `~`, and broken where the terminal ends.
fn shown(lines: impl FnOnce(&mut String) -> fmt::Result, view: View<'_>) -> String {
    let mut text = String::new();
    let _ = lines(&mut text);
    wrapped(&view.paths.in_text(&text), view.columns)
}

/// A text that begins a sentence.
fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().into_iter().flat_map(char::to_uppercase).chain(chars).collect()
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
            (None, _) => ("!".yellow().to_string(), " blocked"),
        };
        let flags = slot_plan.flags().filter(|flags| !flags.is_empty());
        let flags = flags.map_or_else(String::new, |flags| format!(" ({})", Commas(flags.iter())));
        let profile = pool.slots.get(&id).map_or_else(String::new, |slot| format!(" ({})", slot.profile));
        groups.entry((before, format!("{profile}{after}{flags}"))).or_default().insert(id);
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by_key(|(_, slots)| slots.first().copied());
    for ((before, after), slots) in groups {
        writeln!(text, "  {before} {}{after}: {}", count(slots.len(), "slot"), SlotId::list(&slots))?;
    }
    writeln!(text, "  Each slot by itself: -v")
}

/// What is said after a plan was saved: how to run it.
pub fn saved(path: &Utf8Path) -> String {
    format!("\nSaved the plan. To run exactly this plan: kinfra apply {}\n", word(path.as_str()))
}

/// What is said of a plan for a registry on a server that this user has not applied.
pub fn asked(is_of_registry: bool) -> &'static str {
    if is_of_registry {
        ""
    } else {
        "The server of the registry was not asked, because you have not applied it: others may have slots there\n"
    }
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
        ImportState::Pending { path, sha256: _, slots, claimed, outside } => {
            let path = paths.show(path);
            writeln!(
                text,
                "  {} Would import {}, {claimed} of them claimed, from {path}",
                "+".green(),
                count(*slots, "slot")
            )?;
            outside.iter().try_for_each(|holder| {
                let holder = printable(holder);
                writeln!(text, "  {} no claim of `{holder}`, which is outside this repository", "!".yellow())
            })
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
    let blocked = plan_blocked::text(plan, view.aim);
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
            Some(blocked) => writeln!(text, "  {} Slot {id}: {blocked}", "!".yellow()),
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
        return writeln!(text, "{}", nothing_to_do(plan, view.aim));
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
    let is_outdated = |slot: &SlotPlan| slot.blocked.iter().any(|what| matches!(what, Blocked::Outdated(_)));
    if let Some(before) = view.applied_from.filter(|_| plan.slots.values().any(is_outdated)) {
        writeln!(text, "The pool was last applied from {before}.")?;
    }
    if plan.is_refused(view.allowed) {
        writeln!(text, "All that was asked for is blocked.")?;
    }
    Ok(())
}

/// That nothing is to be done.
fn nothing_to_do(plan: &Plan, aim: Aim) -> String {
    let slots: BTreeSet<SlotId> = plan.slots.keys().copied().collect();
    match (aim, slots.len()) {
        (Aim::Destroy, _) | (_, 0) => "No changes: the pool has no slots.".to_owned(),
        (_, 1) => format!("No changes: {} is as slots.toml says.", SlotId::named(&slots)),
        (Aim::Pool, all) => format!("No changes: all {all} slots are as slots.toml says."),
        (Aim::Slots, _) => format!("No changes: {} are as slots.toml says.", SlotId::named(&slots)),
    }
}
