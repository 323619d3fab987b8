//! A change in progress, and what saves it.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::change::Change;
use super::recorder::Recorder;
use super::stored::{Stored, read};
use crate::history::{Ended, What};
use crate::host::clock;
use crate::host::identity::random_bits;
use crate::host::lock::LockPolicy;
use crate::host::root::{LockedRoot, Root};
use crate::registry::{Registry, RegistryId};
use crate::slot::SlotId;
use crate::time::Time;

/// A change in progress. In the root the lock is held, so what was read of it is the present state. So it is
/// with a registry on a server up to the first save; a later one is made in the registry as it is then.
#[derive(Debug)]
pub struct Transaction {
    registry: Arc<Registry>,
    stored: Stored,
    /// The change on the server that has the registry, if one does. It ends before the lock of the root.
    pub(super) change: Option<Change>,
    locked: LockedRoot,
    recorder: Recorder,
}

/// What saves the registry of a [`Transaction`].
#[derive(Debug)]
pub struct Saver<'a> {
    registry: &'a mut Arc<Registry>,
    stored: &'a mut Stored,
    change: &'a mut Option<Change>,
    locked: &'a LockedRoot,
    recorder: &'a Recorder,
}

impl Transaction {
    /// Takes the lock of what is at the root's path. A root that is moved away during the wait for its lock
    /// is let go of.
    pub(super) fn lock(open: impl Fn() -> Result<Root>, policy: &LockPolicy<'_>) -> Result<LockedRoot> {
        loop {
            if let Some(locked) = open()?.lock(policy)? {
                return Ok(locked);
            }
        }
    }

    /// A change of the registry in a root. `command` is the verb, for the history.
    pub(super) fn of_file(locked: LockedRoot, known: Option<&Stored>, command: &str) -> Result<Self> {
        let (stored, recorder) = (read(locked.root(), known)?, Recorder::of(command));
        Ok(Self { registry: Arc::clone(&stored.registry), stored, change: None, locked, recorder })
    }

    /// A change of the registry on a server. `command` is the verb, for the history.
    pub(super) fn of_server(locked: LockedRoot, change: Change, command: &str) -> Self {
        let stored = Stored::on_server(Some(change.loaded().clone()));
        let (registry, recorder) = (Arc::clone(&stored.registry), Recorder::of(command));
        Self { registry, stored, change: Some(change), locked, recorder }
    }

    /// The registry, with the changes so far.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The registry, to be changed.
    pub fn registry_mut(&mut self) -> &mut Registry {
        Arc::make_mut(&mut self.registry)
    }

    /// The root, locked.
    pub fn locked(&self) -> &LockedRoot {
        &self.locked
    }

    /// The registry as stored.
    pub fn stored(&self) -> &Stored {
        &self.stored
    }

    /// The time by the clock that judges leases: that of the server, if one has the registry.
    pub fn now(&self) -> Time {
        self.change.as_ref().map_or_else(clock::now, Change::now)
    }

    /// Whether other users of the host change the same registry, each with a root of their own.
    pub fn is_shared(&self) -> bool {
        self.change.is_some()
    }

    /// Notes what the stack of a slot uses, for the other users of the host: with the next save.
    pub fn keep_uses(&mut self, slot: SlotId, content: &Value) {
        if let Some(change) = &mut self.change {
            change.keep_uses(slot, content);
        }
    }

    /// Saves the registry now, if it changed. Files that `work` writes after this belong to a durable change.
    ///
    /// # Errors
    /// [`Fault`](crate::fault::Fault) when another program saved meanwhile: its save is kept.
    pub fn save(&mut self) -> Result<()> {
        let Self { registry, stored, change, locked, recorder } = self;
        store(registry, stored, change, (locked, recorder))
    }

    /// Says how the claim of a slot ends, for the history.
    pub fn say_how_ended(&mut self, slot: SlotId, how: Ended) {
        self.recorder.say_how_ended(slot, how);
    }

    /// Puts something into the history that no registry shows.
    ///
    /// # Errors
    /// When a server has the history and does not take it.
    pub fn record(&self, slot: SlotId, what: What) -> Result<()> {
        let also = self.recorder.change_of(slot, what);
        if let Some(change) = &self.change {
            return change.record_also(&also);
        }
        self.locked.record_also(&also);
        Ok(())
    }

    /// Saves, and lets the lock on the server go.
    pub(super) fn finish(&mut self) -> Result<()> {
        self.save()?;
        self.change.as_mut().map_or(Ok(()), Change::unlock)
    }

    /// The root and the part that saves its registry, so that a caller can use both at once.
    pub fn parts(&mut self) -> (&LockedRoot, Saver<'_>) {
        let Self { registry, stored, change, locked, recorder } = self;
        (locked, Saver { registry, stored, change, locked, recorder })
    }
}

impl Saver<'_> {
    /// The registry as last saved.
    pub fn saved(&self) -> &Registry {
        &self.stored.registry
    }

    /// Saves a registry, if it is not the one that was saved last.
    ///
    /// # Errors
    /// [`Fault`](crate::fault::Fault) when another program saved meanwhile: its save is kept.
    pub fn save(&mut self, registry: Registry) -> Result<()> {
        let registry = Arc::new(registry);
        store(&registry, self.stored, self.change, (self.locked, self.recorder))?;
        *self.registry = registry;
        Ok(())
    }

    /// Makes the registry's backup, if a run that was cut short left none.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn ensure_backup(&self) -> Result<()> {
        self.stored.text.as_ref().map_or(Ok(()), |text| self.locked.ensure_backup(&text.text))
    }
}

/// Saves a registry, if it is not the one that was saved last. The first save gives it its id.
fn store(
    registry: &Arc<Registry>,
    stored: &mut Stored,
    change: &mut Option<Change>,
    (locked, recorder): (&LockedRoot, &Recorder),
) -> Result<()> {
    if *registry == stored.registry {
        return Ok(());
    }
    let mut registry = Arc::clone(registry);
    if registry.id.is_none() {
        Arc::make_mut(&mut registry).id = Some(stored.registry.id.map_or_else(new_id, Ok)?);
        if registry == stored.registry {
            return Ok(());
        }
    }
    let happened = recorder.change(stored, &registry);
    if let Some(change) = change {
        change.save(&stored.registry, &registry, happened.as_ref())?;
        stored.loaded = Some(change.loaded().clone());
    } else {
        let text =
            registry.to_text().context("the new registry would not be readable, so it was not saved")?;
        stored.text = Some(locked.save(stored.text.as_ref(), text, happened.as_ref())?);
    }
    stored.registry = registry;
    Ok(())
}

/// The id of a new registry.
pub(super) fn new_id() -> Result<RegistryId> {
    Ok(RegistryId::from_random(random_bits().context("could not make the registry's id")?))
}
