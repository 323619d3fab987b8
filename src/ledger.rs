//! The ledger: where a pool's registry is kept, and the only way to change it.
//!
//! A change is one [`Ledger::transact`]. Under the lock it reads, decides and writes. Rendering, git, other
//! holders' directories, Docker and printing come before or after.

use anyhow::{Context as _, Result};
use camino::{Utf8Path, Utf8PathBuf};

use crate::claims::whereabouts::{Following, Moves};
use crate::fault::Fault;
use crate::host::lock::LockPolicy;
use crate::host::root::{LockedRoot, RegistryText, Root, unreadable};
use crate::registry::Registry;

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
    /// What it held, with each worktree under the path that git moved it to.
    pub registry: Registry,
    /// The root it was read from.
    pub root: Root,
    /// What the ledger itself said.
    stored: Stored,
    moves: Moves,
}

/// The registry as the ledger has it.
#[derive(Debug)]
struct Stored {
    registry: Registry,
    /// `None` where there is none yet.
    text: Option<RegistryText>,
}

/// A change in progress: the lock is held, and what was read is still so.
#[derive(Debug)]
pub struct Transaction {
    /// The registry, to be changed.
    pub registry: Registry,
    stored: Stored,
    locked: LockedRoot,
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

    fn look(&self, seen: Option<&Snapshot>, following: Following<'_>) -> Result<Option<Snapshot>> {
        let Self::File { root } = self;
        let Some(root) = Root::open(root)? else { return Ok(None) };
        let stored = stored(&root, seen.map(|seen| &seen.stored))?;
        if stored.text.is_none() {
            return Ok(None);
        }
        Ok(Some(Snapshot::new(root, stored, following)))
    }

    /// Changes the registry: takes the lock, reads again, lets `work` decide, and saves if the registry
    /// changed. `seen` is what the caller looked at before.
    ///
    /// # Errors
    /// [`Fault`] when the lock is not obtained, or another program saved meanwhile; then nothing is saved.
    /// What `work` says.
    pub fn transact<T>(
        &self,
        seen: &Snapshot,
        policy: &LockPolicy<'_>,
        work: impl FnOnce(&mut Transaction) -> Result<T>,
    ) -> Result<T> {
        let Self::File { root } = self;
        let root =
            Root::open(root)?.with_context(|| Fault::refused(format!("`{root}` is not there any more")))?;
        let locked = root.lock(policy)?;
        let stored = stored(locked.root(), Some(&seen.stored))?;
        let mut registry = stored.registry.clone();
        seen.moves.note_in(&mut registry);
        let mut transaction = Transaction { registry, stored, locked };
        let done = work(&mut transaction)?;
        transaction.save()?;
        Ok(done)
    }
}

impl Snapshot {
    fn new(root: Root, stored: Stored, following: Following<'_>) -> Self {
        let moves = Moves::find(&stored.registry, following);
        let mut registry = stored.registry.clone();
        moves.note_in(&mut registry);
        Self { registry, root, stored, moves }
    }

    /// The same moment, seen with other worktrees followed.
    #[must_use]
    pub fn following(self, following: Following<'_>) -> Self {
        let Self { registry: _, root, stored, moves: _ } = self;
        Self::new(root, stored, following)
    }
}

impl Transaction {
    /// The root, locked.
    pub fn locked(&self) -> &LockedRoot {
        &self.locked
    }

    /// Saves the registry now, if it changed. What `work` writes after this belongs to a change that is
    /// durable.
    ///
    /// # Errors
    /// [`Fault`] when another program saved meanwhile: its save is kept.
    pub fn save(&mut self) -> Result<()> {
        if self.registry == self.stored.registry {
            return Ok(());
        }
        let text = self.registry.to_text()?;
        let saved = self.locked.save(self.stored.text.as_ref(), &text)?;
        self.stored = Stored { registry: self.registry.clone(), text: Some(saved) };
        Ok(())
    }
}

/// Reads the registry of a root. A text that was read before need not be parsed again.
fn stored(root: &Root, before: Option<&Stored>) -> Result<Stored> {
    let Some(text) = root.read_registry()? else {
        return Ok(Stored { registry: Registry::default(), text: None });
    };
    let known = before.filter(|before| before.text.as_ref().is_some_and(|before| before.text == text.text));
    let registry = known.map_or_else(|| parse(root, &text.text), |known| Ok(known.registry.clone()))?;
    Ok(Stored { registry, text: Some(text) })
}

/// Reads the text of a root's registry.
fn parse(root: &Root, text: &str) -> Result<Registry, Fault> {
    let path = root.registry_path();
    Registry::parse(text).map_err(|corrupt| {
        if corrupt.is_newer {
            Fault::unreadable(format!("`{path}` cannot be read: {corrupt}"))
                .unchanged()
                .advise("upgrade kinfra")
        } else {
            unreadable(&format!("`{path}` is corrupt: {corrupt}"))
        }
    })
}
