//! The summary of an apply: what it did, slot by slot, and its totals.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};

use anyhow::Error;
use owo_colors::OwoColorize as _;

use super::commas::Commas;
use super::plan::LONG;
use super::plan_blocked::stays as stays_in;
use super::view::{Aim, View};
use crate::apply::Outcome;
use crate::desired::Outline;
use crate::fault::advice_of;
use crate::observe::ImportState;
use crate::plan::{Action, Kind, Plan};
use crate::registry::Registry;
use crate::shown::{count, printable};
use crate::slot::SlotId;

#[cfg(test)]
#[path = "outcome_tests.rs"]
mod tests;

/// The summary, printed in any case. `registry` is the one before the apply. The summary of a long plan
/// leaves out the slots that were done, unless the view is verbose.
pub fn render(outcome: &Outcome, plan: &Plan, pool: &Outline, registry: &Registry, view: View<'_>) -> String {
    let is_long = plan.slots.len() > LONG && !view.verbose;
    let mut text = String::new();
    let _ = imported(&mut text, outcome, plan);
    if !is_long {
        let _ = done(&mut text, outcome, pool);
    }
    text.push_str(&holders(outcome, registry));
    for backup in &outcome.backups {
        let _ = writeln!(text, "Kept what was overwritten as {}", view.paths.show(backup));
    }
    let _ = not_done(&mut text, outcome, is_long);
    let _ = counts(&mut text, outcome, plan, view.aim);
    let _ = last_line(&mut text, outcome, plan, view);
    text
}

fn imported(text: &mut String, outcome: &Outcome, plan: &Plan) -> fmt::Result {
    match (&plan.import, &outcome.error) {
        (Some(ImportState::Pending { slots, .. }), None) => {
            writeln!(text, "Imported {}", count(*slots, "slot"))
        }
        _ => Ok(()),
    }
}

/// A line for each slot that was done.
fn done(text: &mut String, outcome: &Outcome, pool: &Outline) -> fmt::Result {
    for (id, action) in &outcome.done {
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
    Ok(())
}

/// The slots that failed, each with its error and advice, and those that an interrupt came before.
fn not_done(text: &mut String, outcome: &Outcome, is_long: bool) -> fmt::Result {
    let failures = outcome.failed.iter().map(|(id, error)| (*id, failure(error)));
    for (slots, error) in grouped(failures, is_long) {
        writeln!(text, "{} {slots}: {error}", "Failed".red())?;
    }
    for (slots, _) in grouped(outcome.left_out.iter().map(|id| (*id, String::new())), is_long) {
        writeln!(text, "Interrupted before {slots}")?;
    }
    Ok(())
}

/// How many slots had which action, and how many stayed as they are.
fn counts(text: &mut String, outcome: &Outcome, plan: &Plan, aim: Aim) -> fmt::Result {
    for word in ["Created", "Adopted", "Restored", "Updated", "Removed"] {
        let done = outcome.done.values().filter(|action| verb(action) == word).count();
        match word {
            _ if done == 0 => {}
            // A script may look for this sentence.
            "Created" => writeln!(text, "Created {done} slot(s)")?,
            _ => writeln!(text, "{word} {}", count(done, "slot"))?,
        }
    }
    let stay = plan.slots.values().filter(|slot| slot.action.is_none()).count();
    match aim {
        _ if stay == 0 => {}
        Aim::Pool | Aim::Slots => writeln!(text, "Skipped {stay} existing slot(s)")?,
        Aim::Destroy => writeln!(text, "Kept {}", count(stay, "slot"))?,
    }
    if !outcome.failed.is_empty() {
        writeln!(text, "Failed {}", count(outcome.failed.len(), "slot"))?;
    }
    Ok(())
}

fn last_line(text: &mut String, outcome: &Outcome, plan: &Plan, view: View<'_>) -> fmt::Result {
    if plan.is_refused(view.allowed) && outcome.error.is_none() {
        let verb = if view.aim == Aim::Destroy { "Destroy" } else { "Apply" };
        return writeln!(text, "\n{verb} refused: all that was asked for is blocked. Nothing was changed.");
    }
    if !plan.has_work() && outcome.error.is_none() && view.aim != Aim::Destroy {
        let blocked = plan.slots.iter().filter(|(_, slot)| !slot.blocked.is_empty());
        let blocked: BTreeSet<SlotId> = blocked.map(|(slot, _)| *slot).collect();
        return match blocked.len() {
            // The plan said so.
            0 => Ok(()),
            1 => writeln!(text, "\nNothing was changed: {} is blocked.", SlotId::named(&blocked)),
            _ => writeln!(text, "\nNothing was changed: {} are blocked.", SlotId::named(&blocked)),
        };
    }
    let Outcome { done: _, failed, left_out, backups: _, error } = outcome;
    let is_complete = failed.is_empty() && left_out.is_empty() && error.is_none();
    let end = if is_complete { "complete" } else { "incomplete" };
    let [added, changed, destroyed] =
        [Kind::Add, Kind::Change, Kind::Destroy].map(|kind| outcome.count(kind));
    match view.aim {
        Aim::Pool | Aim::Slots => {
            writeln!(text, "\nApply {end}! {added} added, {changed} changed, {destroyed} destroyed.")
        }
        Aim::Destroy => writeln!(text, "\nDestroy {end}! {destroyed} destroyed."),
    }
}

/// What comes after an apply, if it made a slot that can be claimed.
pub fn next(outcome: &Outcome) -> &'static str {
    let is_new = outcome.error.is_none() && outcome.count(Kind::Add) > 0;
    if is_new { "Next: `kinfra claim` in a worktree takes a slot\n" } else { "" }
}

/// The holders of slots that changed. The files that a claim wrote still describe the old slot.
fn holders(outcome: &Outcome, registry: &Registry) -> String {
    let changed = outcome.done.iter().filter(|(_, action)| matches!(action, Action::Update { .. }));
    let holders = changed.filter_map(|(slot, _)| Some((slot, registry.slots.get(slot)?.claim.as_ref()?)));
    let lines = holders.map(|(slot, claim)| {
        let holder = printable(&claim.claimed_by.to_string());
        format!("Slot {slot} is held by {holder}: `kinfra claim` there brings its .env.sandbox up to date\n")
    });
    lines.collect()
}

/// Why a slot failed, with the advice on a line of its own.
fn failure(error: &Error) -> String {
    let advice = advice_of(error).map_or_else(String::new, |advice| format!("\n  help: {advice}"));
    format!("{error:#}{advice}")
}

/// A text for each slot or, in a long plan, for all slots that have the same text.
fn grouped(said: impl Iterator<Item = (SlotId, String)>, is_long: bool) -> Vec<(String, String)> {
    if !is_long {
        return said.map(|(id, text)| (format!("slot {id}"), text)).collect();
    }
    let mut groups: BTreeMap<String, BTreeSet<SlotId>> = BTreeMap::new();
    for (id, text) in said {
        groups.entry(text.replace(&format!("{}/", id.directory()), "slot-N/")).or_default().insert(id);
    }
    let group = |(text, slots): (String, BTreeSet<SlotId>)| (SlotId::named(&slots), text);
    groups.into_iter().map(group).collect()
}

/// What is left after a pool was destroyed, and why. `volumes` has names, or what Docker said instead.
/// `names` is what else is in the root.
pub fn stays(
    plan: &Plan,
    outcome: &Outcome,
    pool: &Outline,
    volumes: Result<&[String], &str>,
    names: &[String],
) -> String {
    let mut text = String::new();
    let blocked = plan.slots.iter().filter(|(_, slot_plan)| !slot_plan.blocked.is_empty());
    let mut reasons: BTreeMap<SlotId, String> =
        blocked.map(|(slot, slot_plan)| (*slot, stays_in(slot_plan))).collect();
    reasons.extend(outcome.kept().map(|(slot, names)| {
        let names = Commas(names.iter().map(|name| printable(name)));
        (slot, format!("{names} in it, which kinfra did not write"))
    }));
    for (slot, reason) in reasons {
        let _ = writeln!(text, "Kept slot {slot}: {reason}");
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
    let names = Commas(names.iter().map(|name| format!("`{}`", printable(name)))).to_string();
    let with = if names.is_empty() { names } else { format!(", with {names}") };
    let _ =
        writeln!(text, "The registry, its backup, the journal and the lock stay in `{}`{with}", pool.root);
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
