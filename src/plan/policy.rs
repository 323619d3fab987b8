//! What to do about the differences of one slot, given what is allowed.

use std::collections::{BTreeMap, BTreeSet};

use super::action::{Action, FileChange};
use super::blocked::Blocked;
use super::options::Flag;
use super::slot_plan::SlotPlan;
use crate::diff::{Difference, Field, FieldChange, FileDifference, Registration, Unfinished};
use crate::file::RelPath;
use crate::observe::{Containers, InUse};
use crate::slot::SlotId;

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;

/// Decides about one slot. It changes as a whole or not at all. Missing files come back in any case.
pub(super) fn decide(
    slot: SlotId,
    difference: &Difference,
    containers: &Containers,
    allowed: &BTreeSet<Flag>,
) -> SlotPlan {
    if let Some(obstacle) = difference.obstacle {
        return SlotPlan { action: None, blocked: vec![Blocked::Obstructed(None, obstacle)] };
    }
    // An earlier apply had approval for what it began.
    let mut allowed = allowed.clone();
    match difference.unfinished {
        Some(Unfinished::Removal) if difference.registration == Registration::Surplus => {
            allowed.insert(Flag::Prune);
        }
        Some(Unfinished::Change | Unfinished::Removal) => {
            allowed.extend([Flag::Update, Flag::IncludeClaimed]);
        }
        Some(Unfinished::Elsewhere) | None => {}
    }
    match &difference.registration {
        Registration::Unregistered | Registration::Imported => take_whole(difference, &allowed),
        Registration::Shared(fields) if fields.is_empty() => take_whole(difference, &allowed),
        Registration::Shared(fields) | Registration::Registered(fields) => {
            keep(slot, fields, difference, containers, &allowed)
        }
        Registration::Surplus => remove(slot, difference, containers, &allowed),
    }
}

/// A slot whose files kinfra did not write: takes it as a whole or not at all.
fn take_whole(difference: &Difference, allowed: &BTreeSet<Flag>) -> SlotPlan {
    let blocked = reasons(difference, |path, difference| match difference {
        FileDifference::Same | FileDifference::Lost | FileDifference::Absent => None,
        FileDifference::Blocked(obstacle) => Some(Blocked::Obstructed(Some(path), obstacle)),
        FileDifference::Outdated
        | FileDifference::WrongMode(_)
        | FileDifference::Dropped
        | FileDifference::Disowned
        | FileDifference::Edited => Some(Blocked::Foreign(path)),
    });
    if !blocked.is_empty() {
        return update_if_allowed(&[], difference, blocked, allowed);
    }
    let missing: Vec<RelPath> = with(difference, |file| *file != FileDifference::Same);
    let action = if missing.is_empty() { Action::Adopt } else { Action::Create(missing) };
    SlotPlan { action: Some(action), blocked }
}

/// A slot of kinfra's own: restores what it lost, and changes it if that is allowed.
fn keep(
    slot: SlotId,
    fields: &[FieldChange],
    difference: &Difference,
    containers: &Containers,
    allowed: &BTreeSet<Flag>,
) -> SlotPlan {
    let mut blocked: Vec<Blocked> = fields.iter().cloned().map(Blocked::Field).collect();
    blocked.extend(reasons(difference, |path, difference| match difference {
        FileDifference::Same | FileDifference::Lost => None,
        FileDifference::Absent => Some(Blocked::Absent(path)),
        FileDifference::Outdated => Some(Blocked::Outdated(path)),
        FileDifference::WrongMode(mode) => Some(Blocked::WrongMode(path, mode)),
        FileDifference::Dropped => Some(Blocked::Dropped(path)),
        FileDifference::Disowned => Some(Blocked::Disowned(path)),
        FileDifference::Edited => Some(Blocked::Edited(path)),
        FileDifference::Blocked(obstacle) => Some(Blocked::Obstructed(Some(path), obstacle)),
    }));
    if blocked.is_empty() && difference.unfinished.is_none() {
        let lost = with(difference, |file| *file == FileDifference::Lost);
        return SlotPlan { action: (!lost.is_empty()).then_some(Action::Restore(lost)), blocked };
    }
    // Containers would keep the old ports in use.
    if fields.iter().any(|change| matches!(change.field, Field::Port(_))) {
        blocked.extend(in_use(slot, containers, Blocked::Containers));
    } else if !is_begun(difference) && !blocked.is_empty() && !allowed.contains(&Flag::IncludeClaimed) {
        // They run with the files as they were.
        blocked.extend(in_use(slot, containers, Blocked::Running));
    }
    update_if_allowed(fields, difference, blocked, allowed)
}

/// A slot that the spec dropped: removes it if that is allowed.
fn remove(
    slot: SlotId,
    difference: &Difference,
    containers: &Containers,
    allowed: &BTreeSet<Flag>,
) -> SlotPlan {
    let files = with(difference, |file| matches!(file, FileDifference::Dropped));
    let edited = with(difference, |file| {
        matches!(file, FileDifference::Disowned | FileDifference::Edited | FileDifference::Blocked(_))
    });
    let mut stays: Vec<String> = edited.iter().map(RelPath::to_string).collect();
    stays.extend(difference.others.iter().cloned());
    if difference.unfinished == Some(Unfinished::Removal) && files.is_empty() && !stays.is_empty() {
        return SlotPlan { action: None, blocked: vec![Blocked::Leftover(stays)] };
    }
    let mut blocked = vec![Blocked::Surplus { held: difference.claimed_by.is_some() }];
    blocked.extend(in_use(slot, containers, Blocked::Containers));
    // What remains goes with the data, and what was begun had that choice.
    let is_free_to_go = allowed.contains(&Flag::Data) || is_begun(difference);
    let remnant = difference.remnant.clone().filter(|_| !is_free_to_go);
    blocked.extend(remnant.map(|remnant| Blocked::NotClean(slot, remnant)));
    if is_allowed(&blocked, allowed) {
        return SlotPlan { action: Some(Action::Remove { files, stays }), blocked: Vec::new() };
    }
    blocked.extend(difference.claimed_by.clone().map(Blocked::Held));
    SlotPlan { action: None, blocked }
}

/// Whether an earlier run of this root began a change of the slot.
fn is_begun(difference: &Difference) -> bool {
    matches!(difference.unfinished, Some(Unfinished::Change | Unfinished::Removal))
}

/// Why a slot is blocked that has containers, or for all that is known may have some.
fn in_use(slot: SlotId, containers: &Containers, why: Blocked) -> Option<Blocked> {
    match containers.of(slot)? {
        InUse::No => None,
        InUse::Yes => Some(why),
        InUse::Unknown(said) => Some(Blocked::ContainersUnknown(said.clone())),
    }
}

/// Updates a slot if every difference may be changed.
fn update_if_allowed(
    fields: &[FieldChange],
    difference: &Difference,
    mut blocked: Vec<Blocked>,
    allowed: &BTreeSet<Flag>,
) -> SlotPlan {
    if let Some(holder) = &difference.claimed_by {
        blocked.push(Blocked::Held(holder.clone()));
    }
    if is_allowed(&blocked, allowed) {
        let is_ours = matches!(difference.registration, Registration::Registered(_));
        let changes =
            difference.files.iter().filter_map(|(path, file)| Some((path.clone(), change(*file, is_ours)?)));
        let action = Action::Update { fields: fields.to_vec(), files: changes.collect() };
        return SlotPlan { action: Some(action), blocked: Vec::new() };
    }
    let lost = with(difference, |file| *file == FileDifference::Lost);
    SlotPlan { action: (!lost.is_empty()).then_some(Action::Restore(lost)), blocked }
}

fn is_allowed(blocked: &[Blocked], allowed: &BTreeSet<Flag>) -> bool {
    blocked.iter().all(|blocked| {
        blocked.flags().is_some_and(|flags| {
            flags.iter().all(|flag| {
                allowed.contains(flag) || (*flag == Flag::Update && allowed.contains(&Flag::Overwrite))
            })
        })
    })
}

/// What an update does to a file. It backs up what kinfra did not write.
fn change(difference: FileDifference, is_ours: bool) -> Option<FileChange> {
    Some(match difference {
        FileDifference::Same | FileDifference::Blocked(_) => return None,
        FileDifference::Lost | FileDifference::Absent => FileChange::Write,
        FileDifference::Outdated if is_ours => FileChange::Replace,
        FileDifference::Outdated | FileDifference::Edited => FileChange::Overwrite,
        FileDifference::WrongMode(mode) => FileChange::SetMode(mode),
        FileDifference::Dropped if is_ours => FileChange::Remove,
        FileDifference::Dropped | FileDifference::Disowned => FileChange::Disown,
    })
}

fn reasons(
    difference: &Difference,
    reason: impl Fn(RelPath, FileDifference) -> Option<Blocked>,
) -> Vec<Blocked> {
    difference.files.iter().filter_map(|(path, difference)| reason(path.clone(), *difference)).collect()
}

/// The files whose difference passes a test.
fn with(difference: &Difference, is: impl Fn(&FileDifference) -> bool) -> Vec<RelPath> {
    let files: BTreeMap<_, _> = difference.files.iter().filter(|(_, file)| is(file)).collect();
    files.into_keys().cloned().collect()
}
