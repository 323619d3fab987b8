//! What a plan leaves as it is, and why.

use std::fmt::{self, Display};

use super::commas::Commas;
use super::view::Aim;
use crate::diff::{FieldChange, Remnant};
use crate::file::RelPath;
use crate::plan::{Blocked, SlotPlan};
use crate::shown::{count, printable};

/// The reasons why a slot is not removed.
pub(super) fn stays(plan: &SlotPlan) -> String {
    let reasons = plan.blocked.iter().filter(|blocked| !matches!(blocked, Blocked::Surplus { .. }));
    Commas(reasons.map(Reason)).to_string()
}

/// What is blocked in a slot, with the flags that would allow it: "a.yml was edited by hand (--overwrite)".
/// `None` if nothing is.
pub(super) fn text(plan: &SlotPlan, aim: Aim) -> Option<String> {
    if plan.blocked.is_empty() {
        return None;
    }
    if aim == Aim::Destroy {
        return Some(stays(plan));
    }
    let (outdated, others): (Vec<_>, Vec<_>) =
        plan.blocked.iter().partition(|blocked| matches!(blocked, Blocked::Outdated(_)));
    // Where the first of several files would stand, all of them do.
    let place = plan.blocked.iter().take_while(|blocked| !matches!(blocked, Blocked::Outdated(_))).count();
    let mut reasons: Vec<String> = others.into_iter().map(|blocked| Reason(blocked).to_string()).collect();
    match outdated.as_slice() {
        [] => {}
        [one] => reasons.insert(place, Reason(one).to_string()),
        several => reasons.insert(place, outdated_files(several)),
    }
    let skips = plan.blocked.iter().any(|blocked| matches!(blocked, Blocked::Foreign(_)));
    let before = if skips { "already exists, skipping: " } else { "" };
    let flags = plan.flags().filter(|flags| !flags.is_empty());
    let flags = flags.map_or_else(String::new, |flags| format!(" ({})", Commas(flags.iter())));
    Some(format!("{before}{}{flags}", Commas(reasons.iter())))
}

/// Several files in one sentence.
fn outdated_files(outdated: &[&Blocked]) -> String {
    let path =
        |blocked: &&Blocked| if let Blocked::Outdated(path) = blocked { Some(path.clone()) } else { None };
    let paths: Vec<RelPath> = outdated.iter().filter_map(path).collect();
    format!("{} differ from slots.toml ({})", count(outdated.len(), "file"), Commas(paths.iter()))
}

/// A field of the registry's entry that changes: "ports.api 8001 → 8101".
pub(super) struct ShownField<'a>(pub(super) &'a FieldChange);

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

struct Reason<'a>(&'a Blocked);

impl Display for Reason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Blocked::Foreign(path) => write!(f, "{path} differs"),
            Blocked::Field(change) => ShownField(change).fmt(f),
            Blocked::Outdated(path) => write!(f, "{path} differs from slots.toml"),
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
