//! What stacks have on the engines, and what of it no worktree holds.

use super::finding::{Findings, Severity};
use crate::registry::Registry;
use crate::shown::word;
use crate::stack::leftovers::{Group, Leftovers, Owner, Place, look};

const SUBJECT: &str = "stacks";

/// Names what each slot has, and what is left of slots and pools that are gone.
pub(super) fn check_leftovers(place: Place<'_>, registry: Option<&Registry>, findings: &mut Findings) {
    let leftovers = match look(place, registry) {
        Ok(leftovers) => leftovers,
        Err(error) => return findings.failure(Severity::Warning, SUBJECT, &error),
    };
    for (engine, said) in &leftovers.silent {
        let found = format!("the engine `{engine}` does not say what is left behind: {said}");
        findings.warning(SUBJECT, found, "start it; slots that were started there cannot be cleaned before");
    }
    for (owner, group) in &leftovers.groups {
        name(owner, group, findings);
    }
    name_others(&leftovers, findings);
}

fn name(owner: &Owner, group: &Group, findings: &mut Findings) {
    let clean = "`kinfra clean --all` removes what no worktree holds";
    match owner {
        Owner::Held(slot) => {
            let holder = group.holder.as_ref().map_or_else(String::new, |holder| format!(" by `{holder}`"));
            findings.fine(SUBJECT, format!("slot {slot} is held{holder}: {}", group.all()));
        }
        Owner::Free(slot) if group.is_kept_data() => {
            let of = group.left.as_ref().map(|left| left.by.to_string()).unwrap_or_default();
            findings.fine(SUBJECT, format!("slot {slot} keeps the data of `{of}`: {}", group.labelled()));
        }
        Owner::Free(_) => {
            findings.warning(SUBJECT, format!("{owner} is free, and has {}", group.labelled()), clean);
        }
        Owner::SlotGone(_) | Owner::PoolGone(..) => {
            let what = group.labelled();
            if what != "nothing" {
                findings.warning(SUBJECT, format!("of {owner}: {what}"), clean);
            }
        }
        Owner::Another(root) => {
            let command = format!("`kinfra clean --all --root {}` cleans there", word(root.as_str()));
            findings.fine(SUBJECT, format!("{owner} has {}: {command}", group.all()));
        }
        Owner::Unknown(..) => {
            let advice = "look there, and remove it with `docker` if no one needs it";
            findings.warning(SUBJECT, format!("{}: of {owner}", group.all()), advice);
        }
    }
}

/// Names what only has the name of a slot's project.
fn name_others(leftovers: &Leftovers, findings: &mut Findings) {
    for (owner, tied) in leftovers.named() {
        let (kind, name) = (tied.thing.kind.word(), &tied.thing.name);
        let found = format!("{kind} `{name}` has the name or the labels of {owner}, and may be another's");
        findings.warning(SUBJECT, found, format!("`docker {kind} rm {}`, if no one needs it", word(name)));
    }
}
