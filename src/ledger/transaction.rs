//! The ledger: where a pool's registry is kept, and the only way to change it.
//!
//! A change is one [`Ledger::transact`]. Under the lock it reads, decides and writes. Rendering, git, other
//! holders' directories, Docker and printing come before or after the lock.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use camino::{Utf8Path, Utf8PathBuf};

use super::recorder::Recorder;
use super::stored::{Stored, read};
use crate::claims::whereabouts::{Following, Moves};
use crate::fault::Fault;
use crate::history::{Ended, What};
use crate::host::identity::random_bits;
use crate::host::lock::LockPolicy;
use crate::host::root::{LockedRoot, Root};
use crate::registry::{Registry, RegistryId};
use crate::slot::SlotId;

/// Where a pool's registry is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ledger {
    /// In the file `registry.json` of the pool's root.
    File {
        /// The root.
        root: Utf8PathBuf,
    },
}

/// The registry at one moment.
#[derive(Debug)]
pub struct Snapshot {
    /// Its content, with each worktree under the path that git moved it to.
    pub registry: Arc<Registry>,
    /// The root it was read from.
    pub root: Root,
    /// Its content as stored.
    stored: Stored,
    moves: Moves,
}

impl Snapshot {
    /// Whether nothing was saved between this and another look, as far as the text tells.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.stored.registry, &other.stored.registry)
    }
}

/// A change in progress: the lock is held, so the registry that was read is the present one.
#[derive(Debug)]
pub struct Transaction {
    registry: Arc<Registry>,
    stored: Stored,
    locked: LockedRoot,
    recorder: Recorder,
}

/// What saves the registry of a [`Transaction`].
#[derive(Debug)]
pub struct Saver<'a> {
    registry: &'a mut Arc<Registry>,
    stored: &'a mut Stored,
    locked: &'a LockedRoot,
    recorder: &'a Recorder,
}

impl Ledger {
    /// The ledger of the pool in a root.
    pub fn of(root: &Utf8Path) -> Self {
        Self::File { root: root.to_owned() }
    }

    /// Reads the registry. `None` where the pool was never applied.
    ///
    /// # Errors
    /// [`Fault`] when it cannot be trusted.
    pub fn read(&self, following: Following<'_>) -> Result<Option<Snapshot>> {
        self.look(None, following)
    }

    /// [`Ledger::read`] again. What did not change since `seen` is not parsed again.
    ///
    /// # Errors
    /// As [`Ledger::read`].
    pub fn read_since(&self, seen: &Snapshot, following: Following<'_>) -> Result<Option<Snapshot>> {
        self.look(Some(seen), following)
    }

    /// The registry's id. A registry that an older kinfra saved has none, and gets one.
    ///
    /// # Errors
    /// As [`Ledger::transact`].
    pub fn id(&self, seen: &Snapshot, policy: &LockPolicy<'_>) -> Result<RegistryId> {
        if let Some(id) = seen.registry.id {
            return Ok(id);
        }
        self.transact(seen, policy, |transaction| {
            let id = transaction.registry().id.map_or_else(new_id, Ok)?;
            transaction.registry_mut().id = Some(id);
            Ok(id)
        })
    }

    /// That the pool which was there is gone.
    pub fn missing(&self) -> Fault {
        let Self::File { root } = self;
        Fault::no_slot(format!("there is no pool in `{root}` any more")).advise("`kinfra apply` creates it")
    }

    fn look(&self, seen: Option<&Snapshot>, following: Following<'_>) -> Result<Option<Snapshot>> {
        let Self::File { root } = self;
        let Some(root) = Root::open(root)? else { return Ok(None) };
        let stored = read(&root, seen.map(|seen| &seen.stored))?;
        if stored.text.is_none() {
            return Ok(None);
        }
        Ok(Some(Snapshot::new(root, stored, following)))
    }

    /// Changes the registry: takes the lock, reads again, lets `work` decide, and saves if the registry
    /// changed. `seen` is the registry as the caller read it before.
    ///
    /// # Errors
    /// [`Fault`] when the lock is not obtained, or another program saved meanwhile; then nothing is saved.
    /// Also the errors of `work`.
    pub fn transact<T>(
        &self,
        seen: &Snapshot,
        policy: &LockPolicy<'_>,
        work: impl FnOnce(&mut Transaction) -> Result<T>,
    ) -> Result<T> {
        let Self::File { root } = self;
        let open = || Ok(Root::open(root)?.ok_or_else(|| self.missing())?);
        let mut transaction = Transaction::begin(open, policy, Some(&seen.stored))?;
        if !seen.moves.is_empty() {
            seen.moves.note_in(transaction.registry_mut());
        }
        transaction.end(work)
    }

    /// [`Ledger::transact`] for a pool that may not exist yet. Makes its root.
    ///
    /// # Errors
    /// As [`Ledger::transact`].
    pub fn create<T>(
        &self,
        policy: &LockPolicy<'_>,
        work: impl FnOnce(&mut Transaction) -> Result<T>,
    ) -> Result<T> {
        let Self::File { root } = self;
        Transaction::begin(|| Root::make(root), policy, None)?.end(work)
    }
}

/// A registry with each worktree under the path that git moved it to, and these moves.
pub fn followed(stored: &Arc<Registry>, following: Following<'_>) -> (Arc<Registry>, Moves) {
    let moves = Moves::find(stored, following);
    let mut registry = Arc::clone(stored);
    if !moves.is_empty() {
        moves.note_in(Arc::make_mut(&mut registry));
    }
    (registry, moves)
}

impl Snapshot {
    fn new(root: Root, stored: Stored, following: Following<'_>) -> Self {
        let (registry, moves) = followed(&stored.registry, following);
        Self { registry, root, stored, moves }
    }

    /// The same registry, with other worktrees followed.
    #[must_use]
    pub fn following(self, following: Following<'_>) -> Self {
        let Self { registry: _, root, stored, moves: _ } = self;
        Self::new(root, stored, following)
    }
}

impl Transaction {
    /// Takes the lock of what is at the root's path. A root that is moved away during the wait for its lock
    /// is let go of.
    fn begin(
        open: impl Fn() -> Result<Root>,
        policy: &LockPolicy<'_>,
        known: Option<&Stored>,
    ) -> Result<Self> {
        let locked = loop {
            if let Some(locked) = open()?.lock(policy)? {
                break locked;
            }
        };
        let stored = read(locked.root(), known)?;
        let recorder = Recorder::of(policy.command);
        Ok(Self { registry: Arc::clone(&stored.registry), stored, locked, recorder })
    }

    fn end<T>(mut self, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let done = work(&mut self)?;
        self.save()?;
        Ok(done)
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

    /// Saves the registry now, if it changed. Files that `work` writes after this belong to a durable change.
    ///
    /// # Errors
    /// [`Fault`] when another program saved meanwhile: its save is kept.
    pub fn save(&mut self) -> Result<()> {
        store(&self.registry, &mut self.stored, &self.locked, &self.recorder)
    }

    /// Says how the claim of a slot ends, for the history.
    pub fn say_how_ended(&mut self, slot: SlotId, how: Ended) {
        self.recorder.say_how_ended(slot, how);
    }

    /// Puts something into the history that no registry shows.
    pub fn record(&self, slot: SlotId, what: What) {
        self.locked.record_also(&self.recorder.change_of(slot, what));
    }

    /// The root and the part that saves its registry, so that a caller can use both at once.
    pub fn parts(&mut self) -> (&LockedRoot, Saver<'_>) {
        let Self { registry, stored, locked, recorder } = self;
        (locked, Saver { registry, stored, locked, recorder })
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
    /// [`Fault`] when another program saved meanwhile: its save is kept.
    pub fn save(&mut self, registry: Registry) -> Result<()> {
        let registry = Arc::new(registry);
        store(&registry, self.stored, self.locked, self.recorder)?;
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
    locked: &LockedRoot,
    recorder: &Recorder,
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
    let text = registry.to_text().context("the new registry would not be readable, so it was not saved")?;
    let change = recorder.change(stored, &registry);
    stored.text = Some(locked.save(stored.text.as_ref(), text, change.as_ref())?);
    stored.registry = registry;
    Ok(())
}

fn new_id() -> Result<RegistryId> {
    Ok(RegistryId::from_random(random_bits().context("could not make the registry's id")?))
}
