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
use crate::pools::Entry;
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
    /// What declares it, as far as that is known. Where the index knew the pool that is the spec that it was applied from, if
    /// it is still to be had: what is checked out need not have it.
    pub(super) declared: Option<Declared>,
    /// How the output names the spec.
    pub(super) origin: String,
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
    PoolOf::declared(pool::declared(args, invocation)?, args, invocation)
}

/// The pool that is shown here, and put in order: the one that the spec here declares. Where there is none, the one in which
/// this worktree holds a slot comes before the embedded one.
///
/// # Errors
/// What keeps the spec from being read, or its root from being one.
pub(super) fn pool_here(args: &PoolArgs, invocation: &Invocation) -> Result<PoolOf> {
    let declared = pool::declared(args, invocation)?;
    if declared.path.is_none()
        && let Some(noted) = noted(&this_worktree(invocation)?, args, invocation)
    {
        return Ok(noted);
    }
    PoolOf::declared(declared, args, invocation)
}

impl PoolOf {
    fn declared(declared: Declared, args: &PoolArgs, invocation: &Invocation) -> Result<Self> {
        let root = declared.root(args, invocation)?;
        let (name, env_prefix) = (declared.spec.name.clone(), Some(declared.spec.env_prefix.clone()));
        let origin = declared.origin.clone();
        Ok(Self { root, name, env_prefix, declared: Some(declared), origin })
    }
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
        let spec = origin.spec.as_deref().map(Utf8Path::new);
        let (declared, origin) = (pool::read_again(spec, invocation).ok(), pool::origin(spec, invocation));
        Some(PoolOf { root, name, env_prefix, declared, origin })
    })
}

/// The directory that stands for whoever runs kinfra: the worktree, else the current directory; by its canonical path.
///
/// # Errors
/// When it cannot be resolved.
pub(super) fn this_worktree(invocation: &Invocation) -> Result<Utf8PathBuf> {
    worktree_of(&invocation.here)
}

/// The worktree that a directory is in, else the directory itself; by its canonical path.
///
/// # Errors
/// When it cannot be resolved.
pub(super) fn worktree_of(directory: &Utf8Path) -> Result<Utf8PathBuf> {
    let top = host::git::top_of(directory)?.unwrap_or(directory);
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
