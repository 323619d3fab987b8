//! The only stage that changes a pool: runs a [`Plan`], one action at a time.
//!
//! New files come first, in three passes, and the registry is saved last: it is the commit point. Killed anywhere before
//! it, the next apply adopts what is already in place. What changes or removes files that were there is announced in the
//! registry before the first of them is touched: killed half-way, the next apply completes it.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Error, Result, anyhow, bail};
use camino::Utf8PathBuf;

use crate::desired::{Pool, Slot};
use crate::digest::Digest;
use crate::file::RelPath;
use crate::host::replace::SlotFiles;
use crate::host::root::LockedRoot;
use crate::host::signals::Interrupt;
use crate::host::staging::{FileToCreate, Staging};
use crate::observe::{FileState, Observed, SlotDir};
use crate::plan::{Action, Blocked, FileChange, Kind, Plan};
use crate::registry::{Entry, Pending, Provisioned, Registry};
use crate::slot::SlotId;

/// What became of a plan.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The actions that were done, by slot.
    pub done: BTreeMap<SlotId, Action>,
    /// The slots whose action failed. They did not stop the others.
    pub failed: BTreeMap<SlotId, Error>,
    /// The slots whose turn did not come before somebody asked kinfra to stop.
    pub left_out: BTreeSet<SlotId>,
    /// Where the copies of overwritten files are.
    pub backups: Vec<Utf8PathBuf>,
    /// What kept everything from being committed.
    pub error: Option<Error>,
}

/// Runs a plan that was made from `observed`, while nobody else can write.
pub fn apply(
    plan: &Plan,
    pool: &Pool,
    observed: &Observed,
    root: &LockedRoot,
    interrupt: &Interrupt,
) -> Outcome {
    let mut outcome = Outcome::default();
    if let Err(error) = (Run { plan, pool, observed, root }).run(&mut outcome, interrupt) {
        outcome.fail(plan, error);
    }
    outcome
}

/// One run of one plan.
struct Run<'a> {
    plan: &'a Plan,
    pool: &'a Pool,
    observed: &'a Observed,
    root: &'a LockedRoot,
}

impl Run<'_> {
    /// # Errors
    /// What keeps everything from being committed. A slot that fails alone is part of the [`Outcome`].
    fn run(&self, outcome: &mut Outcome, interrupt: &Interrupt) -> Result<()> {
        let mut staging = self.root.stage();
        for (slot, action) in self.plan.actions() {
            let staged =
                if interrupt.is_requested() { Ok(false) } else { self.stage(&mut staging, slot, action) };
            outcome.note(slot, action, staged);
        }
        staging.sync()?;
        self.drop_takers(outcome);
        let announced = self.announce(outcome)?;
        let mut registry = announced
            .as_ref()
            .map_or_else(|| self.observed.registry.clone(), |(registry, _)| registry.clone());
        for (slot, action) in std::mem::take(&mut outcome.done) {
            let done = if interrupt.is_requested() {
                Ok(false)
            } else {
                self.publish(&staging, slot, &action, &mut registry)
            };
            outcome.note(slot, &action, done);
        }
        staging.finish()?;
        let published = outcome.done.keys().copied().collect();
        self.drop_takers(outcome);
        self.commit(outcome, &published, registry, announced.as_ref())
    }

    fn stage(&self, staging: &mut Staging<'_>, slot: SlotId, action: &Action) -> Result<bool> {
        let files = self.new_files(slot, action, |_| true);
        if !files.is_empty() {
            staging.stage(slot, &files)?;
        }
        Ok(true)
    }

    /// Keeps copies of what is overwritten, and saves what is about to change or go. The registry that was saved, and its
    /// text; `None` when nothing that is there changes.
    fn announce(&self, outcome: &mut Outcome) -> Result<Option<(Registry, String)>> {
        let mut registry = self.observed.registry.clone();
        for (slot, action) in std::mem::take(&mut outcome.done) {
            let backed_up = self.back_up(slot, &action, &mut outcome.backups);
            if backed_up.is_ok() && action.changes_what_is_there() {
                self.announce_slot(&mut registry, slot, &action);
            }
            outcome.note(slot, &action, backed_up.map(|()| true));
        }
        if registry == self.observed.registry {
            return Ok(None);
        }
        let text = self.save(&registry, self.observed.registry_text.as_deref())?;
        Ok(Some((registry, text)))
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

    /// Notes what is there, as kinfra's own from now on, and what is to be.
    fn announce_slot(&self, registry: &mut Registry, slot: SlotId, action: &Action) {
        let wanted = self.pool.slots.get(&slot);
        let Some(entry) = entry(registry, slot, wanted) else { return };
        let stays = |path: &RelPath| match action {
            Action::Update { fields: _, files } => files.get(path) != Some(&FileChange::Disown),
            Action::Remove { files, stays: _ } => files.contains(path),
            Action::Create(_) | Action::Adopt | Action::Restore(_) => true,
        };
        let there = match self.observed.dir(slot) {
            SlotDir::Present { files, others: _ } => files.iter().collect(),
            SlotDir::Missing | SlotDir::Blocked(_) => Vec::new(),
        };
        let there = there.into_iter().filter_map(|(path, state)| match state {
            FileState::Present { digest, mode: _ } if stays(path) => Some((path.clone(), *digest)),
            FileState::Present { .. } | FileState::Missing | FileState::Blocked(_) => None,
        });
        entry.provisioned.files = there.collect();
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
    ) -> Result<bool> {
        let new = self.new_files(slot, action, |change| change == FileChange::Write);
        if !new.is_empty() {
            staging.publish(slot, &new)?;
        }
        match action {
            Action::Restore(_) => return Ok(true),
            Action::Create(_) | Action::Adopt => {}
            Action::Update { fields: _, files } => self.change_files(slot, files)?,
            Action::Remove { files, stays } => {
                if self.remove_slot(slot, files)? {
                    registry.slots.remove(&slot);
                } else if stays.is_empty() {
                    bail!("something appeared in its directory: it stays registered, run again");
                } else if let Some(entry) = registry.slots.get_mut(&slot) {
                    entry.provisioned.files.clear();
                }
                return Ok(true);
            }
        }
        let wanted = self.pool.slots.get(&slot).with_context(|| format!("slot {slot} is not declared"))?;
        if let Some(entry) = entry(registry, slot, Some(wanted)) {
            (entry.provisioned, entry.pending) = (wanted.provisioned(), None);
        }
        Ok(true)
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

    /// Removes a slot's files and then, if nothing else is in it, its directory. Says whether that is gone.
    fn remove_slot(&self, slot: SlotId, files: &[RelPath]) -> Result<bool> {
        let Some(dir) = SlotFiles::open(self.root, slot)? else { return Ok(true) };
        for path in files {
            dir.remove(path, self.found(slot, path))?;
        }
        dir.remove_dir()
    }

    /// Saves what was done. Slots whose turn did not come are as if they had never been announced; those that failed, or
    /// that were published before a slot whose port they take was left out, stay announced, for the next apply to
    /// complete.
    fn commit(
        &self,
        outcome: &Outcome,
        published: &BTreeSet<SlotId>,
        mut registry: Registry,
        announced: Option<&(Registry, String)>,
    ) -> Result<()> {
        let Outcome { left_out, failed, .. } = outcome;
        let untouched = left_out.difference(published).map(|slot| (slot, &self.observed.registry));
        let before = announced.map_or(&self.observed.registry, |(registry, _)| registry);
        let touched = failed.keys().chain(left_out.intersection(published)).map(|slot| (slot, before));
        for (slot, before) in untouched.chain(touched) {
            match before.slots.get(slot) {
                Some(entry) => drop(registry.slots.insert(*slot, entry.clone())),
                None => drop(registry.slots.remove(slot)),
            }
        }
        let (saved, text) = match announced {
            Some((saved, text)) => (saved, Some(text)),
            None => (&self.observed.registry, self.observed.registry_text.as_ref()),
        };
        if registry != *saved || (announced.is_none() && self.plan.takes_over()) {
            self.save(&registry, text.map(String::as_str))?;
        } else if let Some(text) = text {
            self.root.ensure_backup(text)?;
        }
        Ok(())
    }

    fn save(&self, registry: &Registry, read: Option<&str>) -> Result<String> {
        let text =
            registry.to_text().context("the new registry would not be readable, so it was not saved")?;
        self.root.save_registry(read, &text)?;
        Ok(text)
    }

    /// Fails the slots that would take a port from one that failed, and leaves out those that would take one from a slot
    /// that was left out: its entry stays as it is, and so does theirs.
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

    /// The slots that would take a port which stays another's when these slots stay as they are, and which port it is.
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

    /// The hash of a file when the plan was made.
    fn found(&self, slot: SlotId, path: &RelPath) -> Option<Digest> {
        match self.observed.dir(slot) {
            SlotDir::Present { files, others: _ } => match files.get(path) {
                Some(FileState::Present { digest, mode: _ }) => Some(*digest),
                Some(FileState::Missing | FileState::Blocked(_)) | None => None,
            },
            SlotDir::Missing | SlotDir::Blocked(_) => None,
        }
    }

    /// The files that an action writes, of those that an update changes the ones that are `picked`.
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

impl Outcome {
    /// How many actions of a kind were done.
    pub fn count(&self, kind: Kind) -> usize {
        self.done.values().filter(|action| action.kind() == kind).count()
    }

    /// The slots that were removed but for what kinfra did not write: they stay registered.
    pub fn kept(&self) -> impl Iterator<Item = (SlotId, &[String])> {
        self.done.iter().filter_map(|(slot, action)| match action {
            Action::Remove { files: _, stays } if !stays.is_empty() => Some((*slot, stays.as_slice())),
            Action::Remove { .. }
            | Action::Create(_)
            | Action::Adopt
            | Action::Restore(_)
            | Action::Update { .. } => None,
        })
    }

    /// Notes that nothing of it was committed.
    fn fail(&mut self, plan: &Plan, error: Error) {
        self.done.clear();
        for (slot, _) in plan.actions().filter(|(slot, _)| !self.left_out.contains(slot)) {
            let not_committed = || anyhow!("not committed: the next apply completes it");
            self.failed.entry(slot).or_insert_with(not_committed);
        }
        self.error = Some(error);
    }

    /// Notes how far a slot came: `false` when its turn did not come.
    fn note(&mut self, slot: SlotId, action: &Action, done: Result<bool>) {
        match done {
            Ok(true) => drop(self.done.insert(slot, action.clone())),
            Ok(false) => drop(self.left_out.insert(slot)),
            Err(error) => drop(self.failed.insert(slot, error)),
        }
    }
}

/// The entry of a slot, made if it is wanted and there is none. It holds no port before the slot is done: another may hold
/// that still.
fn entry<'a>(registry: &'a mut Registry, slot: SlotId, wanted: Option<&Slot>) -> Option<&'a mut Entry> {
    if let Some(wanted) = wanted {
        let without_ports = || Provisioned { ports: BTreeMap::new(), ..wanted.provisioned() };
        registry.slots.entry(slot).or_insert_with(|| Entry::new(without_ports()));
    }
    registry.slots.get_mut(&slot)
}
