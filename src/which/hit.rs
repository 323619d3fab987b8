//! What a search in the index of pools comes to.

use anyhow::{Error, Result};
use camino::{Utf8Path, Utf8PathBuf};

use super::by_worktree::{FoundPool, Search};
use super::spec_file::Declared;
use crate::fault::Fault;
use crate::ledger::{Ledger, Snapshot};

/// The result of a search in the index of pools.
#[derive(Default)]
pub(super) struct Hit {
    /// The pool that was looked for.
    pub(super) found: Option<FoundPool>,
    /// The registries of the others.
    pub(super) seen: Vec<(Ledger, Snapshot)>,
    /// Why a pool cannot be read. It may be the one.
    pub(super) unreadable: Option<Error>,
    /// The roots that did not answer. One may be that of the pool.
    pub(super) silent: Vec<Utf8PathBuf>,
}

impl Hit {
    /// The pool that was found, or else the declared one. The embedded pool is declared everywhere, so it
    /// never replaces a pool that cannot be read.
    pub(super) fn or_declared(
        self,
        declared: impl FnOnce() -> Result<Declared>,
        search: &Search<'_>,
    ) -> Result<FoundPool> {
        let Self { found, seen, unreadable, silent } = self;
        let unreadable = unreadable.or_else(|| silent.first().map(|root| no_answer(root).into()));
        if let Some(found) = found {
            return Ok(found);
        }
        let declared = declared()?;
        match unreadable {
            Some(error) if declared.path.is_none() => Err(error.context(
                "no slots.toml is here, and a pool that may have this worktree's claim cannot be read",
            )),
            _ => Ok(FoundPool::declared(declared, search)?.knowing(seen, silent)),
        }
    }
}

pub(super) fn no_answer(root: &Utf8Path) -> Fault {
    Fault::unreadable(format!("the pool in `{root}` does not answer"))
        .advise("is its disk there? If not, name the pool that you mean with --root")
}
