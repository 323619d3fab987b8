//! The values that a saved plan depends on, each with a name to show.

use std::collections::{BTreeMap, BTreeSet};

use crate::desired::{FileOutline, Outline, SlotOutline};
use crate::diff::{entry_fields, fields};
use crate::observe::{FileState, ImportState, Observed, SlotDir};
use crate::plan::{Action, Flag, Options, Plan};
use crate::registry::{Entry, Pending};
use crate::shown::count;
use crate::slot::SlotId;

/// Values by name.
pub(super) type Dependencies = BTreeMap<String, String>;

/// A value that changed after the plan was saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// The slot it belongs to; `None` for the pool.
    pub slot: Option<SlotId>,
    /// Its name.
    pub what: String,
    /// The value in the plan; `None` if there was none.
    pub old: Option<String>,
    /// The value now; `None` if it is gone.
    pub new: Option<String>,
}

/// The old tool's registry that a plan takes over.
pub(super) fn import(plan: &Plan) -> Dependencies {
    let import = plan.import.as_ref().and_then(|import| match import {
        ImportState::Pending { path, sha256, slots, claimed, outside: _ } => {
            let value = format!("{}, {claimed} of them claimed, sha256 {sha256}", count(*slots, "slot"));
            Some((format!("{path} to import"), value))
        }
        // An apply does not read it again.
        ImportState::Changed(_) => None,
    });
    import.into_iter().collect()
}

/// Adds the values that differ to `changes`.
pub(super) fn compare(
    changes: &mut Vec<Changed>,
    slot: Option<SlotId>,
    old: &Dependencies,
    new: &Dependencies,
) {
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    for what in names.into_iter().filter(|name| old.get(*name) != new.get(*name)) {
        let (old, new) = (old.get(what).cloned(), new.get(what).cloned());
        changes.push(Changed { slot, what: what.clone(), old, new });
    }
}

/// What slots.toml says of the pool.
pub(super) fn pool(desired: &Outline) -> Dependencies {
    let Outline { name, root, registry, slots: _, elsewhere: _, on_claim: _ } = desired;
    let registry = registry.as_ref().map(|url| ("registry", url.to_string()));
    let both = [("name", name.clone()), ("root", root.to_string())];
    both.into_iter().chain(registry).map(|(name, value)| (name.to_owned(), value)).collect()
}

/// What slots.toml says of a slot.
pub(super) fn declared(slot: &SlotOutline) -> Dependencies {
    let SlotOutline { profile, workers, ports: _, udp: _, files } = slot;
    let fields = fields(profile, workers, slot.host_ports());
    let fields = fields.into_iter().map(|(field, value)| (field.to_string(), value));
    let files = files.iter().map(|(path, FileOutline { sha256, mode })| {
        (path.to_string(), format!("sha256 {sha256} with mode {mode}"))
    });
    fields.chain(files).map(|(name, value)| (format!("{name} in slots.toml"), value)).collect()
}

/// What the actions of a plan depend on, in the registry and on disk.
pub(super) fn found(plan: &Plan, options: &Options, observed: &Observed) -> BTreeMap<SlotId, Dependencies> {
    let found = |(slot, action)| {
        let mut found = registered(slot, action, options, observed);
        found.extend(on_disk(observed.dir(slot)));
        (slot, found)
    };
    plan.actions().map(found).collect()
}

/// What an action depends on in the registry.
fn registered(slot: SlotId, action: &Action, options: &Options, observed: &Observed) -> Dependencies {
    let mut found = Dependencies::new();
    if let Some(entry) = observed.registry.slots.get(&slot) {
        let Entry { provisioned, pending, claim, status: _, started: _, peak_memory: _, unknown: _ } =
            &**entry;
        let fields = entry_fields(provisioned).into_iter().map(|(field, value)| (field.to_string(), value));
        let files = provisioned.files.iter();
        let files = files.map(|(path, digest)| (path.to_string(), format!("sha256 {digest}")));
        found.extend(fields.chain(files).map(|(name, value)| (format!("{name} in the registry"), value)));
        let pending = pending.as_ref().map(|pending| match pending {
            Pending::Files(_) => "a change",
            Pending::Remove => "its removal",
            Pending::Elsewhere => "another user's change",
        });
        found.extend(pending.map(|pending| ("unfinished".to_owned(), pending.to_owned())));
        // Creating and restoring take nothing from the holder.
        let minds = action.changes_what_is_there() && !options.allowed.contains(&Flag::IncludeClaimed);
        let holder = claim.as_ref().filter(|_| minds);
        found.extend(holder.map(|claim| ("held by".to_owned(), claim.claimed_by.to_string())));
    }
    found
}

/// What an action depends on in the slot's directory.
fn on_disk(dir: &SlotDir) -> Dependencies {
    match dir {
        SlotDir::Missing => Dependencies::new(),
        SlotDir::Blocked(obstacle) => Dependencies::from([("directory".to_owned(), obstacle.to_string())]),
        SlotDir::Present { files, others } => {
            let states = files.iter().filter_map(|(path, state)| {
                let state = match state {
                    FileState::Missing => return None,
                    FileState::Blocked(obstacle) => obstacle.to_string(),
                    FileState::Present { digest, mode } => format!("sha256 {digest} with mode {mode}"),
                };
                Some((format!("{path} on disk"), state))
            });
            let others = others.iter().map(|name| (format!("{name} on disk"), "not kinfra's".to_owned()));
            states.chain(others).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;
    use crate::file::{FileMode, Obstacle, RelPath};

    #[test]
    fn an_action_depends_on_all_that_is_in_the_slot() {
        let path = |text: &str| RelPath::new(text).unwrap();
        let there = FileState::Present { digest: Digest::of(b"x"), mode: FileMode::PRIVATE };
        let files = [("a", there), ("b", FileState::Missing), ("c", FileState::Blocked(Obstacle::Symlink))];
        let files = files.map(|(name, state)| (path(name), state)).into();
        let found = on_disk(&SlotDir::Present { files, others: vec!["notes".to_owned()] });
        let names: Vec<&str> = found.keys().map(String::as_str).collect();
        assert_eq!(names, ["a on disk", "c on disk", "notes on disk"]);
        assert_eq!(found["c on disk"], "a symbolic link");
        assert!(found["a on disk"].ends_with(" with mode 0600"), "{found:?}");
        assert_eq!(on_disk(&SlotDir::Missing).len(), 0);
        assert_eq!(on_disk(&SlotDir::Blocked(Obstacle::File))["directory"], "a file");
    }
}
