//! The slot that this worktree holds, for the verbs that use it.

use anyhow::Result;
use camino::{Utf8Path, Utf8PathBuf};

use crate::claims::environment;
use crate::claims::environment::FILE;
use crate::claims::lease;
use crate::cli::PoolArgs;
use crate::commands::release::kept_fault;
use crate::dotenv::{self, Variables};
use crate::fault::Fault;
use crate::file::RelPath;
use crate::host;
use crate::host::fs::Found;
use crate::host::invocation::Invocation;
use crate::host::lock::LockPolicy;
use crate::host::root::Root;
use crate::registry::Entry;
use crate::report;
use crate::slot::SlotId;
use crate::which::by_worktree::{PoolOf, claims, holder, pool_of, this_worktree};

/// The most that an env file may be, in bytes.
const LIMIT: u64 = 16 << 20;

/// A slot that this worktree holds.
pub(crate) struct Held {
    pub(crate) slot: SlotId,
    pub(crate) entry: Entry,
    /// What the names of the pool's variables start with.
    pub(crate) prefix: String,
    /// The pool's name.
    pool: String,
    root: Root,
    /// The name by which the worktree holds it.
    holder: String,
}

/// Finds the slot. `None` when this worktree holds none.
///
/// # Errors
/// What keeps the pool from being found or read.
pub(crate) fn find(args: &PoolArgs, invocation: &Invocation) -> Result<Option<Held>> {
    let owner = this_worktree(invocation)?;
    let found = pool_of(&owner, args, invocation)?;
    let Some(root) = found.applied()? else { return Ok(None) };
    let PoolOf { root: _, name: pool, env_prefix, declared: _, origin: _ } = found;
    let (mut registry, _) = claims(&root)?;
    let holder = holder(&registry, &owner).to_owned();
    let slot = lease::held_by(&registry, &holder);
    let entry = slot.and_then(|slot| registry.slots.remove_entry(&slot));
    let prefix = env_prefix.unwrap_or_default();
    Ok(entry.map(|(slot, entry)| Held { slot, entry, prefix, pool, root, holder }))
}

/// What a verb says that needs a slot.
pub(crate) fn none(invocation: &Invocation) -> Fault {
    let worktree = this_worktree(invocation).unwrap_or_else(|_| invocation.here.clone());
    Fault::no_slot(format!("`{}` holds no slot: run `kinfra claim` first", worktree.as_str().escape_debug()))
}

impl Held {
    /// Lets the claim hold for its lease's length from now on. One that does not run out is left alone. `None` when the slot
    /// was taken away meanwhile.
    ///
    /// # Errors
    /// What keeps the registry from being saved.
    pub(crate) fn renew(self, policy: &LockPolicy<'_>) -> Result<Option<Self>> {
        if self.entry.claim.as_ref().is_none_or(|claim| claim.lease.is_none()) {
            return Ok(Some(self));
        }
        let Self { slot, prefix, pool, root, holder, .. } = self;
        let path = root.path().to_owned();
        let locked = root.lock(policy)?;
        let (mut registry, text) = claims(locked.root())?;
        let renewed = lease::renew(&mut registry, &holder, None, None, host::clock::now());
        let renewed =
            renewed.map_err(|kept| kept_fault(&kept, &registry))?.filter(|renewed| *renewed == slot);
        if renewed.is_none() {
            return Ok(None);
        }
        locked.save_registry(text.as_deref(), &registry.to_text()?)?;
        drop(locked);
        let (root, entry) = (Root::open(&path)?, registry.slots.remove(&slot));
        Ok(root.zip(entry).map(|(root, entry)| Self { slot, entry, prefix, pool, root, holder }))
    }

    /// The slot's directory. The root may have moved since the entry was written.
    pub(crate) fn dir(&self) -> Utf8PathBuf {
        self.root.path().join(self.slot.directory())
    }

    /// The variables of the slot.
    ///
    /// # Errors
    /// [`Fault`] when its env file is not fit for use.
    pub(crate) fn variables(&self) -> Result<Variables> {
        let text = env_text(&self.root, self.slot, &self.entry, &self.pool, &self.prefix)?;
        let read = dotenv::read(&text);
        let path = self.dir().join(FILE);
        let variables = read.map_err(|bad| {
            let unknown = unknown(self.slot, &format!("`{path}` {bad}"));
            Fault { advice: bad.advice.map(str::to_owned), ..unknown }
        })?;
        Ok(environment::with_slot(variables, self.slot, &self.dir()))
    }
}

/// The text of a slot's env file as it is, which Compose reads too, or where the pool has no such file, what the registry
/// knows.
///
/// # Errors
/// [`Fault`] when the file is not fit for use.
pub(crate) fn env_text(root: &Root, slot: SlotId, entry: &Entry, pool: &str, prefix: &str) -> Result<String> {
    let path = root.path().join(slot.directory()).join(FILE);
    if entry.pending.is_some() {
        return Err(unknown(slot, "an apply was cut short in it: run `kinfra apply`").into());
    }
    let found = match root.slot(slot)? {
        Found::This(dir) => dir.read(Utf8Path::new(FILE), LIMIT)?,
        Found::Nothing => Found::Nothing,
        Found::Other(obstacle) => Found::Other(obstacle),
    };
    let is_ours = |file: &RelPath| file.as_str() == FILE;
    match found {
        Found::This(content) => String::from_utf8(content.bytes)
            .map_err(|_| unknown(slot, &format!("`{path}` is not UTF-8 text")).into()),
        Found::Nothing if entry.files().any(is_ours) => {
            Err(unknown(slot, &format!("`{path}` is not there: `kinfra plan` says how it comes back")).into())
        }
        Found::Nothing => {
            let variables = environment::of_entry(slot, entry, pool, prefix);
            report::env::dotenv(&variables).map_err(|why| unknown(slot, &why).into())
        }
        Found::Other(obstacle) => Err(unknown(slot, &format!("`{path}` is {obstacle}")).into()),
    }
}

fn unknown(slot: SlotId, why: &str) -> Fault {
    Fault::refused(format!("the variables of slot {slot} are not known: {why}"))
}
