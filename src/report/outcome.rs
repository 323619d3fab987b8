//! What an apply did, slot by slot, and its totals.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use owo_colors::OwoColorize as _;

use super::plan::LONG;
use super::{Commas, Paths, printable};
use crate::apply::Outcome;
use crate::desired::Outline;
use crate::observe::ImportState;
use crate::plan::{Action, Kind, Plan};

/// The summary, which is printed always. Of a long plan, unless it is `verbose`, without the slots that were done.
pub fn render(outcome: &Outcome, plan: &Plan, pool: &Outline, paths: Paths<'_>, verbose: bool) -> String {
    let mut text = String::new();
    let _ = write(&mut text, outcome, plan, pool, paths, verbose);
    text
}

fn write(
    text: &mut String,
    outcome: &Outcome,
    plan: &Plan,
    pool: &Outline,
    paths: Paths<'_>,
    verbose: bool,
) -> fmt::Result {
    if let Some(ImportState::Pending { slots, .. }) = &plan.import {
        writeln!(text, "Imported {slots} slot(s)")?;
    }
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for (id, action) in &outcome.done {
        *counts.entry(verb(action)).or_default() += 1;
        if plan.slots.len() > LONG && !verbose {
            continue;
        }
        let profile = pool.slots.get(id).map_or("", |slot| slot.profile.as_str());
        write!(text, "{} slot {id}", verb(action))?;
        match action {
            Action::Create(_) | Action::Adopt => writeln!(text, " ({profile})")?,
            Action::Restore(files) => writeln!(text, ": {}", Commas(files.iter()))?,
            Action::Update { fields: _, files } if files.is_empty() => writeln!(text)?,
            Action::Update { fields: _, files } => writeln!(text, ": {}", Commas(files.keys()))?,
            Action::Remove { files: _, stays } if stays.is_empty() => writeln!(text)?,
            Action::Remove { files: _, stays } => {
                let stays = Commas(stays.iter().map(|name| printable(name)));
                writeln!(text, ", but for {stays}: it stays registered until that is moved away")?;
            }
        }
    }
    for backup in &outcome.backups {
        writeln!(text, "Kept what was overwritten as {}", paths.show(backup))?;
    }
    for (id, error) in &outcome.failed {
        writeln!(text, "{} slot {id}: {error:#}", "Failed".red())?;
    }
    for id in &outcome.left_out {
        writeln!(text, "Interrupted before slot {id}")?;
    }
    for verb in ["Created", "Adopted", "Restored", "Updated", "Removed"] {
        if let Some(count) = counts.get(verb) {
            writeln!(text, "{verb} {count} slot(s)")?;
        }
    }
    let skipped = plan.slots.len() - outcome.done.len() - outcome.failed.len() - outcome.left_out.len();
    if skipped > 0 {
        writeln!(text, "Skipped {skipped} existing slot(s)")?;
    }
    if !outcome.failed.is_empty() {
        writeln!(text, "Failed {} slot(s)", outcome.failed.len())?;
    }
    let end =
        if outcome.failed.is_empty() && outcome.left_out.is_empty() { "complete" } else { "incomplete" };
    let count = |kind| outcome.done.values().filter(|action| action.kind() == kind).count();
    let (added, changed, destroyed) = (count(Kind::Add), count(Kind::Change), count(Kind::Destroy));
    writeln!(text, "\nApply {end}! {added} added, {changed} changed, {destroyed} destroyed.")
}

/// What is there still after a pool was destroyed, and why; of volumes the names, or what Docker said instead.
pub fn stays(plan: &Plan, pool: &Outline, volumes: Result<&[String], &str>) -> String {
    let mut text = String::new();
    for (slot, slot_plan) in plan.slots.iter().filter(|(_, slot_plan)| !slot_plan.blocked.is_empty()) {
        let _ = writeln!(text, "Slot {slot} stays: {}", super::plan::stays(slot_plan));
    }
    match volumes {
        Ok([]) => {}
        Ok(names) => {
            let names = Commas(names.iter().map(|name| printable(name)));
            let _ = writeln!(text, "Volumes of removed slots stay, `docker volume rm` removes them: {names}");
        }
        Err(said) => {
            let _ = writeln!(text, "Docker does not say which volumes stay: {}", printable(said));
        }
    }
    let _ = writeln!(text, "The registry, its backup and the lock stay in `{}`", pool.root);
    text
}

fn verb(action: &Action) -> &'static str {
    match action {
        Action::Create(_) => "Created",
        Action::Adopt => "Adopted",
        Action::Restore(_) => "Restored",
        Action::Update { .. } => "Updated",
        Action::Remove { .. } => "Removed",
    }
}
