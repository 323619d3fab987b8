//! Whether this user trusts a pool. A slots.toml that came with a clone can name any root, and a registry
//! there can say anything; so only `kinfra apply`, or naming the root, makes a pool one of this user's.

use camino::Utf8Path;

use super::choice::PoolChoice;
use super::index::IndexEntry;
use crate::fault::Fault;
use crate::host::index::Index;
use crate::host::invocation::Invocation;

/// What this user has said of a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// It was applied, or its root is named for this run.
    Given,
    /// Nothing.
    NotGiven,
}

impl Trust {
    /// The trust in the pool of a root. Where the user's directory for state is not known, only a named root
    /// has it.
    pub fn of(root: &Utf8Path, choice: &PoolChoice, invocation: &Invocation) -> Self {
        let index = || invocation.state.as_deref().map(Index::below);
        let is_noted = || index().is_some_and(|index| index.has(&IndexEntry::file_name(root)));
        if choice.root().is_some() || is_noted() { Self::Given } else { Self::NotGiven }
    }

    /// What is to be said where the pool is only shown.
    pub fn note(self, root: &Utf8Path, origin: &str) -> Option<String> {
        let note =
            || format!("note: you have not applied {origin}: what its pool in `{root}` says is not yours\n");
        (self == Self::NotGiven).then(note)
    }

    /// Refuses a pool that this user has not applied.
    ///
    /// # Errors
    /// [`Fault`] says how to apply it.
    pub fn needed(self, root: &Utf8Path, origin: &str) -> Result<(), Fault> {
        match self {
            Self::Given => Ok(()),
            Self::NotGiven => {
                let what =
                    format!("you have not applied {origin}, and its pool in `{root}` is there already");
                Err(Fault::refused(what).advise(
                    "it can set variables of your shell and run commands: read it, then trust it with `kinfra apply`",
                ))
            }
        }
    }
}
