//! One run of a [`Plan`]: stage, announce, publish, commit.
//!
//! The registry is saved last, as the commit point. After a kill before it, the next apply adopts the new
//! files that are in place. A change or removal of existing files is announced in the registry first. After a
//! kill in the middle of one, the next apply completes it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::{Context as _, Error, Result, anyhow};
use camino::Utf8PathBuf;

use super::outcome::Outcome;
use crate::desired::{Pool, Slot};
use crate::digest::Digest;
use crate::fault::Fault;
use crate::file::RelPath;
use crate::host::change_slot::SlotFiles;
use crate::host::create_slot::{FileToCreate, Staging};
use crate::host::root::LockedRoot;
use crate::host::signals::Interrupt;
use crate::ledger::{Saver, Transaction};
use crate::observe::{FileState, Observed, SlotDir};
use crate::plan::{Action, Blocked, FileChange, Plan};
use crate::registry::{Entry, Pending, Provisioned, Registry};
use crate::slot::SlotId;

/// Runs a plan that was made from `observed`. The held lock keeps every other writer out.
pub fn apply(
    plan: &Plan,
    pool: &Pool,
    observed: &Observed,
    transaction: &mut Transaction,
    interrupt: &Interrupt,
) -> Outcome {
    let mut outcome = Outcome::default();
    let (root, mut saver) = transaction.parts();
    if let Err(error) = (Run { plan, pool, observed, root }).run(&mut outcome, &mut saver, interrupt) {
        outcome.fail(plan, error);
    }
    outcome
}

struct Run<'a> {
    plan: &'a Plan,
    pool: &'a Pool,
    observed: &'a Observed,
    root: &'a LockedRoot,
}

/// How far a run came before its commit.
struct Written {
    /// The registry with what is about to change or go.
    announced: Registry,
    /// The slots whose files are in place.
    published: BTreeSet<SlotId>,
}

impl Run<'_> {
    /// # Errors
    /// The error that keeps everything from being committed. The [`Outcome`] has the errors of single slots.
    fn run(&self, outcome: &mut Outcome, saver: &mut Saver<'_>, interrupt: &Interrupt) -> Result<()> {
        let mut staging = self.root.stage();
        for (slot, action) in self.plan.actions() {
            let staged =
                if interrupt.is_requested() { Ok(false) } else { self.stage(&mut staging, slot, action) };
            outcome.note(slot, action, staged);
        }
        staging.sync()?;
        self.drop_takers(outcome);
        let announced = self.announce(outcome, saver)?;
        let mut registry = announced.clone();
        for (slot, action) in std::mem::take(&mut outcome.done) {
            let done = if interrupt.is_requested() {
                Ok(false)
            } else {
                self.publish(&staging, slot, &action, &mut registry).map(|()| true)
            };
            outcome.note(slot, &action, done);
        }
        staging.finish()?;
        let published = outcome.done.keys().copied().collect();
        self.drop_takers(outcome);
        self.commit(outcome, &Written { announced, published }, registry, saver)
    }

    fn stage(&self, staging: &mut Staging<'_>, slot: SlotId, action: &Action) -> Result<bool> {
        let files = self.new_files(slot, action, |_| true);
        if !files.is_empty() {
            staging.stage(slot, &files)?;
        }
        Ok(true)
    }

    /// Backs up what will be overwritten, and saves what is about to change or go.
    fn announce(&self, outcome: &mut Outcome, saver: &mut Saver<'_>) -> Result<Registry> {
        let mut registry = self.observed.registry.clone();
        for (slot, action) in std::mem::take(&mut outcome.done) {
            let backed_up = self.back_up(slot, &action, &mut outcome.backups);
            if backed_up.is_ok() && action.changes_what_is_there() {
                self.announce_slot(&mut registry, slot, &action);
            }
            outcome.note(slot, &action, backed_up.map(|()| true));
        }
        if registry != self.observed.registry {
            saver.save(registry.clone())?;
        }
        Ok(registry)
    }

    fn back_up(&self, slot: SlotId, action: &Action, backups: &mut Vec<Utf8PathBuf>) -> Result<()> {
        let Action::Update { fields: _, files } = action else { return Ok(()) };
        for (path, _) in files.iter().filter(|(_, change)| **change == FileChange::Overwrite) {
            let dir = SlotFiles::open(self.root, slot)?.with_context(|| format!("slot {slot} vanished"))?;
            let found = self.found(slot, path).with_context(|| format!("`{path}` is not there"))?;
            backups.push(dir.back_up(path, found)?);
        }
        Ok(())
    }

    /// Enters the files that exist, as kinfra's own from now on, and the files that will replace them.
    fn announce_slot(&self, registry: &mut Registry, slot: SlotId, action: &Action) {
        let wanted = self.pool.slots.get(&slot);
        let Some(entry) = entry(registry, slot, wanted) else { return };
        let stays = |path: &RelPath| match action {
            Action::Update { fields: _, files } => files.get(path) != Some(&FileChange::Disown),
            Action::Remove { files, stays: _ } => files.contains(path),
            Action::Create(_) | Action::Adopt | Action::Restore(_) => true,
        };
        let goes = |path: &RelPath| match action {
            Action::Update { fields: _, files } => files.get(path) == Some(&FileChange::Remove),
            Action::Remove { files, stays: _ } => files.contains(path),
            Action::Create(_) | Action::Adopt | Action::Restore(_) => false,
        };
        let there = match self.observed.dir(slot) {
            SlotDir::Present { files, others: _ } => files.iter().collect(),
            SlotDir::Missing | SlotDir::Blocked(_) => Vec::new(),
        };
        let there = there.into_iter().filter_map(|(path, state)| match state {
            FileState::Present { digest, mode: _ } if stays(path) => Some((path.clone(), *digest)),
            FileState::Present { .. } | FileState::Missing | FileState::Blocked(_) => None,
        });
        // A file that is gone already may have left a directory, which only its path can find.
        entry.provisioned.files.retain(|path, _| goes(path));
        entry.provisioned.files.extend(there);
        entry.pending = Some(match (action, wanted) {
            (Action::Remove { .. }, _) | (_, None) => Pending::Remove,
            (_, Some(wanted)) => Pending::Files(wanted.provisioned().files),
        });
    }

    /// Puts a slot's files in place, and its entry into the registry that is saved at the end.
    fn publish(
        &self,
        staging: &Staging<'_>,
        slot: SlotId,
        action: &Action,
        registry: &mut Registry,
    ) -> Result<()> {
        let new = self.new_files(slot, action, |change| change == FileChange::Write);
        if !new.is_empty() {
            staging.publish(slot, &new)?;
        }
        match action {
            Action::Restore(_) => return Ok(()),
            Action::Remove { files, stays } => return self.remove_slot(slot, files, stays, registry),
            Action::Update { fields: _, files } => self.change_files(slot, files)?,
            Action::Create(_) | Action::Adopt => {}
        }
        let wanted = self.pool.slots.get(&slot).with_context(|| format!("slot {slot} is not declared"))?;
        if let Some(entry) = entry(registry, slot, Some(wanted)) {
            (entry.provisioned, entry.pending) = (wanted.provisioned(), None);
        }
        Ok(())
    }

    fn remove_slot(
        &self,
        slot: SlotId,
        files: &[RelPath],
        stays: &[String],
        registry: &mut Registry,
    ) -> Result<()> {
        if self.remove_files(slot, files)? {
            registry.slots.remove(&slot);
        } else if stays.is_empty() {
            let message = "something appeared in its directory, so it stays registered";
            return Err(Fault::refused(message).advise("run again").into());
        } else if let Some(entry) = registry.slot_mut(slot) {
            entry.provisioned.files.clear();
        }
        Ok(())
    }

    fn change_files(&self, slot: SlotId, files: &BTreeMap<RelPath, FileChange>) -> Result<()> {
        let changes =
            files.iter().filter(|(_, change)| !matches!(change, FileChange::Write | FileChange::Disown));
        for (path, change) in changes {
            let dir = SlotFiles::open(self.root, slot)?.with_context(|| format!("slot {slot} vanished"))?;
            match change {
                FileChange::Replace | FileChange::Overwrite => {
                    let found = self.found(slot, path).with_context(|| format!("`{path}` is not there"))?;
                    dir.replace(path, found)?;
                }
                FileChange::Remove => dir.remove(path, self.found(slot, path))?,
                FileChange::SetMode(_) => {
                    let wanted = self.pool.slots.get(&slot).and_then(|wanted| wanted.files.get(path));
                    dir.set_mode(path, wanted.with_context(|| format!("`{path}` is not declared"))?.mode)?;
                }
                FileChange::Write | FileChange::Disown => {}
            }
        }
        Ok(())
    }

    /// Removes a slot's files, then its directory if it is empty. Returns whether the directory is gone.
    fn remove_files(&self, slot: SlotId, files: &[RelPath]) -> Result<bool> {
        let Some(dir) = SlotFiles::open(self.root, slot)? else { return Ok(true) };
        for path in files {
            dir.remove(path, self.found(slot, path))?;
        }
        dir.remove_dir()
    }

    /// Saves what was done. A slot that was left out gets its old entry back. A slot that failed stays
    /// announced, so the next apply completes it. So does a published slot whose port stays with a slot that
    /// was left out.
    fn commit(
        &self,
        outcome: &Outcome,
        written: &Written,
        mut registry: Registry,
        saver: &mut Saver<'_>,
    ) -> Result<()> {
        let Written { announced, published } = written;
        let Outcome { left_out, failed, .. } = outcome;
        let untouched = left_out.difference(published).map(|slot| (slot, &self.observed.registry));
        let touched = failed.keys().chain(left_out.intersection(published)).map(|slot| (slot, announced));
        for (slot, before) in untouched.chain(touched) {
            match before.slots.get(slot) {
                Some(entry) => drop(registry.slots.insert(*slot, entry.clone())),
                None => drop(registry.slots.remove(slot)),
            }
        }
        if !registry.slots.is_empty() {
            let before = registry.applied_from.as_ref();
            registry.applied_from = Some(self.pool.applied_from.clone().with_keys_of(before));
        }
        if registry == *saver.saved() { saver.ensure_backup() } else { saver.save(registry) }
    }

    /// Fails each slot that would take a port of a failed slot, and leaves out each that would take one of a
    /// slot that was left out. Entries that stay keep their ports.
    fn drop_takers(&self, outcome: &mut Outcome) {
        for (slot, error) in self.takers(outcome, outcome.failed.keys()) {
            outcome.done.remove(&slot);
            outcome.failed.insert(slot, error);
        }
        for (slot, _) in self.takers(outcome, outcome.failed.keys().chain(&outcome.left_out)) {
            outcome.done.remove(&slot);
            outcome.left_out.insert(slot);
        }
    }

    /// The slots that would take a port of these slots if they stay as they are, each with an error that
    /// names the port.
    fn takers<'a>(
        &self,
        outcome: &Outcome,
        stay: impl Iterator<Item = &'a SlotId> + Clone,
    ) -> Vec<(SlotId, Error)> {
        if stay.clone().next().is_none() {
            return Vec::new();
        }
        let rest = self.plan.without(stay, self.pool, self.observed);
        let blocked = outcome.done.keys().filter_map(|slot| {
            let [Blocked::PortTaken { name, port, holder, .. }] = rest.slots.get(slot)?.blocked.as_slice()
            else {
                return None;
            };
            let name = name.as_str().to_uppercase();
            Some((*slot, anyhow!("{name} {port} is still slot {holder}'s, which was not applied")))
        });
        blocked.collect()
    }

    /// The hash that a file had when the plan was made.
    fn found(&self, slot: SlotId, path: &RelPath) -> Option<Digest> {
        match self.observed.dir(slot) {
            SlotDir::Present { files, others: _ } => match files.get(path) {
                Some(FileState::Present { digest, mode: _ }) => Some(*digest),
                Some(FileState::Missing | FileState::Blocked(_)) | None => None,
            },
            SlotDir::Missing | SlotDir::Blocked(_) => None,
        }
    }

    /// The files that an action writes. Of an update, only the changes that are `picked`.
    fn new_files(
        &self,
        slot: SlotId,
        action: &Action,
        picked: impl Fn(FileChange) -> bool,
    ) -> Vec<FileToCreate<'_>> {
        let is_written = |path: &RelPath| match action {
            Action::Create(paths) | Action::Restore(paths) => paths.contains(path),
            Action::Update { fields: _, files } => files.get(path).is_some_and(|change| {
                picked(*change)
                    && matches!(change, FileChange::Write | FileChange::Replace | FileChange::Overwrite)
            }),
            Action::Adopt | Action::Remove { .. } => false,
        };
        let files = self.pool.slots.get(&slot).into_iter().flat_map(|slot| &slot.files);
        let written = files.filter(|(path, _)| is_written(path));
        written.map(|(path, file)| FileToCreate { path, text: &file.text, mode: file.mode }).collect()
    }
}

/// The entry of a slot. A missing one is made if the slot is wanted. It has no ports until the slot is done,
/// because another entry may still have them.
fn entry<'a>(registry: &'a mut Registry, slot: SlotId, wanted: Option<&Slot>) -> Option<&'a mut Entry> {
    if let Some(wanted) = wanted {
        let without_ports =
            || Provisioned { ports: BTreeMap::new(), udp: BTreeSet::new(), ..wanted.provisioned() };
        registry.slots.entry(slot).or_insert_with(|| Arc::new(Entry::new(without_ports())));
    }
    registry.slot_mut(slot)
}
