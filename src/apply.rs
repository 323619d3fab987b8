//! The only stage that changes a pool: runs a [`Plan`], one action at a time.
//!
//! Files come first, in three passes; the registry is saved last and once: it is the commit point. Killed anywhere
//! before it, the next apply adopts what is already in place.

use std::collections::BTreeMap;

use anyhow::{Context as _, Error, Result, anyhow};

use crate::desired::{Pool, Slot};
use crate::host::root::LockedRoot;
use crate::host::staging::NewFile;
use crate::observe::Observed;
use crate::plan::{Action, Blocked, Plan};
use crate::registry::Entry;
use crate::slot::{RelPath, SlotId};

/// What became of a plan.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The actions that were done, by slot.
    pub done: BTreeMap<SlotId, Action>,
    /// The slots whose action failed. They did not stop the others.
    pub failed: BTreeMap<SlotId, Error>,
}

/// Runs a plan that was made from `observed`, while nobody else can write.
///
/// # Errors
/// What keeps everything from being committed. A slot that fails alone is part of the [`Outcome`].
pub fn apply(plan: &Plan, pool: &Pool, observed: &Observed, root: &LockedRoot) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let mut pending = BTreeMap::new();
    let mut staging = root.stage();
    for (slot, action) in plan.actions() {
        let Some(wanted) = pool.slots.get(&slot) else { continue };
        let files = new_files(wanted, action);
        match if files.is_empty() { Ok(()) } else { staging.stage(slot, &files) } {
            Ok(()) => drop(pending.insert(slot, (action, wanted, files))),
            Err(error) => drop(outcome.failed.insert(slot, error)),
        }
    }
    staging.sync()?;
    outcome.fail_takers(plan, pool, observed);
    let mut published = Vec::new();
    for (slot, (action, wanted, files)) in pending {
        if outcome.failed.contains_key(&slot) {
            continue;
        }
        match if files.is_empty() { Ok(()) } else { staging.publish(slot, &files) } {
            Ok(()) => published.push((slot, action, wanted)),
            Err(error) => drop(outcome.failed.insert(slot, error)),
        }
    }
    staging.finish()?;
    outcome.fail_takers(plan, pool, observed);
    let mut registry = observed.registry.clone();
    for (slot, action, wanted) in published {
        if outcome.failed.contains_key(&slot) {
            continue;
        }
        match action {
            Action::Create(_) | Action::Adopt => {
                let provisioned = wanted.provisioned();
                match registry.slots.get_mut(&slot) {
                    Some(entry) => entry.provisioned = provisioned,
                    None => drop(registry.slots.insert(slot, Entry::new(provisioned))),
                }
            }
            Action::Restore(_) => {}
        }
        outcome.done.insert(slot, action.clone());
    }
    if plan.takes_over() || registry != observed.registry {
        let text =
            registry.to_text().context("the new registry would not be readable, so it was not saved")?;
        root.save_registry(observed.registry_text.as_deref(), &text)?;
    } else if let Some(text) = &observed.registry_text {
        root.ensure_backup(text)?;
    }
    Ok(outcome)
}

impl Outcome {
    /// Fails the slots that would take a port from one that failed: its entry stays as it is, and so does theirs.
    fn fail_takers(&mut self, plan: &Plan, pool: &Pool, observed: &Observed) {
        if self.failed.is_empty() {
            return;
        }
        let rest = plan.without(self.failed.keys(), pool, observed);
        for (slot, _) in plan.actions() {
            let blocked = rest.slots.get(&slot).map(|slot| slot.blocked.as_slice());
            if let Some([Blocked::PortTaken { name, port, holder, flags: _ }]) = blocked {
                let name = name.as_str().to_uppercase();
                let error = anyhow!("{name} {port} is still slot {holder}'s, which was not applied");
                self.failed.insert(slot, error);
            }
        }
    }
}

/// The files that an action writes.
fn new_files<'a>(slot: &'a Slot, action: &Action) -> Vec<NewFile<'a>> {
    let written = |paths: &[RelPath]| {
        let files = slot.files.iter().filter(|(path, _)| paths.contains(path));
        files.map(|(path, file)| NewFile { path, text: &file.text, mode: file.mode }).collect()
    };
    match action {
        Action::Create(paths) | Action::Restore(paths) => written(paths),
        Action::Adopt => Vec::new(),
    }
}
