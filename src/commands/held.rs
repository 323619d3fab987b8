//! The slot that this worktree holds, for the verbs that use it.

use anyhow::Result;
use camino::{Utf8Path, Utf8PathBuf};

use super::claim::applied;
use super::pool;
use crate::cli::PoolArgs;
use crate::dotenv::{self, Variables};
use crate::environment::{self, FILE};
use crate::fault::Fault;
use crate::host::fs::Found;
use crate::host::root::Root;
use crate::invocation::Invocation;
use crate::observe::registry;
use crate::registry::Entry;
use crate::slot::{RelPath, SlotId};

/// The most that an env file may be, in bytes.
const LIMIT: u64 = 16 << 20;

/// A slot that this worktree holds.
pub(super) struct Held {
    pub(super) slot: SlotId,
    pub(super) entry: Entry,
    /// What the names of the pool's variables start with.
    pub(super) prefix: String,
    /// The pool's name.
    pool: String,
    root: Root,
}

/// Finds the slot. `None` when this worktree holds none.
///
/// # Errors
/// What keeps the pool from being found or read.
pub(super) fn find(args: &PoolArgs, invocation: &Invocation) -> Result<Option<Held>> {
    let declared = pool::declared(args, invocation)?;
    let owner = pool::this_worktree(invocation)?;
    let Some(root) = applied(&declared.root(args, invocation)?)? else { return Ok(None) };
    let (registry, _) = registry(&root)?;
    let holder = pool::holder(&registry, &owner).to_owned();
    let is_held = |entry: &Entry| entry.claim.as_ref().is_some_and(|claim| claim.claimed_by == holder);
    let held = registry.slots.into_iter().find(|(_, entry)| is_held(entry));
    let (pool, prefix) = (declared.spec.name, declared.spec.env_prefix);
    Ok(held.map(|(slot, entry)| Held { slot, entry, prefix, pool, root }))
}

/// What a verb says that needs a slot.
pub(super) fn none(invocation: &Invocation) -> Fault {
    let worktree = pool::this_worktree(invocation).unwrap_or_else(|_| invocation.here.clone());
    Fault::no_slot(format!("`{}` holds no slot: run `kinfra claim` first", worktree.as_str().escape_debug()))
}

impl Held {
    /// The slot's directory. The root may have moved since the entry was written.
    pub(super) fn dir(&self) -> Utf8PathBuf {
        self.root.path().join(self.slot.directory())
    }

    /// The variables of the slot: those of its env file as it is, which Compose reads too, or where the pool has no such
    /// file, what the registry knows.
    ///
    /// # Errors
    /// [`Fault`] when the file is not fit for use.
    pub(super) fn variables(&self) -> Result<Variables> {
        let (slot, path) = (self.slot, self.dir().join(FILE));
        let refuse = |why: &str| Fault::refused(format!("the variables of slot {slot} are not known: {why}"));
        if self.entry.pending.is_some() {
            return Err(refuse("an apply was cut short in it: run `kinfra apply`").into());
        }
        let found = match self.root.slot(slot)? {
            Found::This(dir) => dir.read(Utf8Path::new(FILE), LIMIT)?,
            Found::Nothing => Found::Nothing,
            Found::Other(obstacle) => Found::Other(obstacle),
        };
        let is_ours = |file: &RelPath| file.as_str() == FILE;
        let variables = match found {
            Found::This(content) => {
                let text = String::from_utf8(content.bytes)
                    .map_err(|_| refuse(&format!("`{path}` is not UTF-8 text")))?;
                dotenv::read(&text).map_err(|mistake| refuse(&format!("`{path}` {mistake}")))?
            }
            Found::Nothing if self.entry.files().any(is_ours) => {
                return Err(refuse(&format!("`{path}` is not there: `kinfra apply` restores it")).into());
            }
            Found::Nothing => environment::of_entry(slot, &self.entry, &self.pool, &self.prefix),
            Found::Other(obstacle) => return Err(refuse(&format!("`{path}` is {obstacle}")).into()),
        };
        Ok(environment::with_slot(variables, slot, &self.dir()))
    }
}
