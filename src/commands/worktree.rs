//! What the verbs of a worktree begin with: which directory it is, and the pool that it has a slot in.

use anyhow::{Context as _, Result};
use camino::{Utf8Path, Utf8PathBuf};

use super::pool::{self, Declared};
use crate::cli::PoolArgs;
use crate::host;
use crate::host::index::Index;
use crate::host::root::Root;
use crate::invocation::Invocation;
use crate::lease;
use crate::observe::registry;
use crate::pools::{Entry, Origin};
use crate::registry::Registry;

/// A pool as the verbs of a worktree know it.
#[derive(Debug)]
pub(super) struct PoolOf {
    /// Its root.
    pub(super) root: Utf8PathBuf,
    /// Its name.
    pub(super) name: String,
    /// What the names of its slots' variables start with. An index that an older kinfra wrote does not say.
    pub(super) env_prefix: Option<String>,
    /// What declares it. `None` where the index knew the pool: the branch need not have the spec.
    pub(super) declared: Option<Declared>,
    /// The spec that the pool was applied from, where the index knew it.
    pub(super) origin: Option<Origin>,
}

/// The pool of a worktree: the one that it holds a slot in, whatever is checked out; else the one that the spec declares.
/// A spec or a root that was named beats the index of pools.
///
/// # Errors
/// What keeps the spec from being read, or its root from being one.
pub(super) fn pool_of(owner: &Utf8Path, args: &PoolArgs, invocation: &Invocation) -> Result<PoolOf> {
    if let Some(noted) = noted(owner, args, invocation) {
        return Ok(noted);
    }
    let declared = pool::declared(args, invocation)?;
    let root = declared.root(args, invocation)?;
    let (name, env_prefix) = (declared.spec.name.clone(), Some(declared.spec.env_prefix.clone()));
    Ok(PoolOf { root, name, env_prefix, declared: Some(declared), origin: None })
}

/// The pool in the index in which an owner holds a slot. What cannot be read is passed over: `plan` tells of it.
fn noted(owner: &Utf8Path, args: &PoolArgs, invocation: &Invocation) -> Option<PoolOf> {
    if pool::named_root(args).is_some() || pool::named_spec(args).is_some() {
        return None;
    }
    let files = Index::below(invocation.state.as_deref()?).files().ok()?;
    files.into_iter().find_map(|(name, text)| {
        let entry = Entry::parse(&name, &text.ok()?).ok()?;
        let (registry, _) = registry(&Root::open(entry.root()).ok()??).ok()?;
        lease::held_by(&registry, holder(&registry, owner))?;
        let root = entry.root().to_owned();
        let Entry { pool: name, env_prefix, origin, .. } = entry;
        Some(PoolOf { root, name, env_prefix, declared: None, origin: Some(origin) })
    })
}

/// The directory that stands for whoever runs kinfra: the worktree, else the current directory; by its canonical path.
///
/// # Errors
/// When it cannot be resolved.
pub(super) fn this_worktree(invocation: &Invocation) -> Result<Utf8PathBuf> {
    let here = &invocation.here;
    let top = host::git::top_of(here)?.unwrap_or(here);
    host::fs::canonical(top).with_context(|| format!("`{top}` cannot be resolved"))
}

/// The name by which a directory holds a slot: its own, or the one that an old tool gave it, which may lead through links.
pub(super) fn holder<'a>(registry: &'a Registry, owner: &'a Utf8Path) -> &'a str {
    let claims = registry.slots.values().filter_map(|entry| entry.claim.as_ref());
    let mut names =
        claims.map(|claim| claim.claimed_by.as_str()).filter(|_| registry.imported_from.is_some());
    let is_owner = |name: &&str| host::fs::canonical(Utf8Path::new(name)).is_ok_and(|path| path == owner);
    names.find(is_owner).unwrap_or(owner.as_str())
}
