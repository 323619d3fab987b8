//! A pool as it is: its registry, the files in the slot directories, and which slots have containers.

use std::collections::BTreeSet;
use std::collections::btree_map::{self, BTreeMap};
use std::fmt::Display;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};

use super::containers::Containers;
use crate::desired::{File, Pool};
use crate::digest::Digest;
use crate::fault::Fault;
use crate::file::{FileMode, Obstacle, RelPath};
use crate::host;
use crate::host::fs::{Dir, Found};
use crate::host::root::Root;
use crate::ledger::Stored;
use crate::names::is_derived;
use crate::registry::migrate;
use crate::registry::{Claim, Registry};
use crate::slot::SlotId;

/// The most that is read of a file in a slot directory, in bytes.
const FILE_LIMIT: u64 = 256 << 20;

/// The most that an old tool's registry may be, in bytes.
const OLD_REGISTRY_LIMIT: u64 = 64 << 20;

/// A pool as it is.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Observed {
    /// What kinfra owns.
    pub registry: Registry,
    /// Whether the pool was applied in this root.
    pub is_applied: bool,
    /// Whether users share the registry, and one of them has applied it already.
    pub is_shared: bool,
    /// The state of the old tool's registry, if it needs attention.
    pub import: Option<ImportState>,
    /// The directories of all slots that the spec or the registry names.
    pub dirs: BTreeMap<SlotId, SlotDir>,
    /// Which slots have containers, if Docker was asked.
    pub containers: Containers,
}

/// The state of an old tool's registry that the spec imports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImportState {
    /// The pool has no registry yet, so this one is taken over. [`Observed::registry`] holds the result.
    Pending {
        /// Its path.
        path: Utf8PathBuf,
        /// The hash of its text.
        sha256: Digest,
        /// How many slots it has.
        slots: usize,
        /// How many of them are claimed.
        claimed: usize,
        /// The holders outside the pool's repository, whose claims are not taken over.
        #[serde(default, skip_serializing_if = "<[String]>::is_empty")]
        outside: Box<[String]>,
    },
    /// It changed after it was taken over.
    Changed(Utf8PathBuf),
}

/// A slot's directory as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SlotDir {
    /// There is none.
    Missing,
    /// It exists.
    Present {
        /// The files that the spec or the registry names.
        files: BTreeMap<RelPath, FileState>,
        /// What else is in it. Listed only if the spec dropped the slot.
        others: Vec<String>,
    },
    /// Something else has its place.
    Blocked(Obstacle),
}

/// A file as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileState {
    /// There is none.
    Missing,
    /// It exists.
    Present {
        /// The hash of its content.
        digest: Digest,
        /// Its permissions.
        mode: FileMode,
    },
    /// Something else has its place, or the place of a directory above it.
    Blocked(Obstacle),
}

impl Observed {
    /// The directory of a slot. An unknown slot has none.
    pub fn dir(&self, slot: SlotId) -> &SlotDir {
        self.dirs.get(&slot).unwrap_or(&SlotDir::Missing)
    }
}

/// Looks at the directory of every slot that the registry or the pool names.
///
/// # Errors
/// [`Fault`] if the registry that is to be taken over cannot be trusted.
pub fn observe(stored: Stored, root: Option<&Root>, pool: &Pool) -> Result<Observed> {
    let (is_applied, is_anywhere) = (stored.is_there(), stored.is_anywhere());
    let is_shared = stored.text.is_none() && is_anywhere;
    let mut registry = Arc::unwrap_or_clone(stored.registry);
    let import = match &pool.import {
        None => None,
        Some(path) if is_anywhere => changed_since(&registry, path),
        Some(path) => {
            let unreadable =
                || Fault::unreadable(format!("`{path}`, named by `import` of slots.toml, cannot be read"));
            let old = host::fs::read_named(path, OLD_REGISTRY_LIMIT).with_context(unreadable)?;
            match old {
                None => None,
                Some(old) => {
                    let (taken_over, outside) = take_over(&old, path, pool)?;
                    registry = taken_over;
                    Some(pending(&registry, path, &old, outside))
                }
            }
        }
    };
    let dirs = root.map_or(Ok(BTreeMap::new()), |root| slot_dirs(root, pool, &registry))?;
    Ok(Observed { registry, is_applied, is_shared, import, dirs, containers: Containers::NotAsked })
}

/// Whether an old tool's registry changed after this one took it over. One that cannot be read no longer
/// matters.
fn changed_since(registry: &Registry, path: &Utf8Path) -> Option<ImportState> {
    let then = registry.imported_from.as_ref().filter(|then| then.path == path.as_str())?;
    let now = host::fs::read_named(path, OLD_REGISTRY_LIMIT).ok().flatten()?;
    (then.sha256 != Digest::of(&now)).then(|| ImportState::Changed(path.to_owned()))
}

fn pending(registry: &Registry, path: &Utf8Path, old: &[u8], outside: Vec<String>) -> ImportState {
    let claimed = registry.slots.values().filter(|entry| entry.claim.is_some()).count();
    let (path, sha256, slots) = (path.to_owned(), Digest::of(old), registry.slots.len());
    ImportState::Pending { path, sha256, slots, claimed, outside: outside.into() }
}

/// The text of a slot's file, for people to read; `None` if there is no such file.
pub fn text(root: &Root, slot: SlotId, path: &RelPath) -> Result<Option<String>> {
    let Found::This(dir) = root.slot(slot)? else { return Ok(None) };
    Ok(match dir.read(path.as_path(), FILE_LIMIT)? {
        Found::This(content) => Some(String::from_utf8_lossy(&content.bytes).into_owned()),
        Found::Nothing | Found::Other(_) => None,
    })
}

/// Looks at every slot directory, named by the pool or not. For a registry that cannot be read.
pub fn look_at_slots(root: &Root, pool: &Pool) -> Result<Observed> {
    let registry = Registry::default();
    let mut dirs = slot_dirs(root, pool, &registry)?;
    for slot in root.slots()? {
        if let btree_map::Entry::Vacant(place) = dirs.entry(slot) {
            place.insert(slot_dir(root, slot, pool, &registry)?);
        }
    }
    Ok(Observed { dirs, ..Observed::default() })
}

fn slot_dirs(root: &Root, pool: &Pool, registry: &Registry) -> Result<BTreeMap<SlotId, SlotDir>> {
    let slots: BTreeSet<SlotId> = pool.slots.keys().chain(registry.slots.keys()).copied().collect();
    slots.into_iter().map(|slot| Ok((slot, slot_dir(root, slot, pool, registry)?))).collect()
}

/// The registry that an old tool's becomes, and the holders whose claims it does not have. A project's import
/// gives no slot to what is outside its repository: such a worktree would get that project's variables.
fn take_over(old: &[u8], path: &Utf8Path, pool: &Pool) -> Result<(Registry, Vec<String>)> {
    let corrupt = |what: &dyn Display| {
        Fault::unreadable(format!("`{path}`, named by `import` of slots.toml, is corrupt: {what}"))
            .advise("fix it, or take `import` out of slots.toml to begin without it")
    };
    let text = std::str::from_utf8(old).map_err(|error| corrupt(&error))?;
    // A directory that cannot be examined keeps its claim.
    let is_directory = |path: &str| host::fs::may_be_directory(Utf8Path::new(path));
    let own = pool.project.as_deref().map(|project| (project, host::git::confirmed_repository_of(project)));
    let may_hold =
        |claim: &Claim| own.as_ref().is_none_or(|(project, own)| is_within(claim, project, own.as_deref()));
    let imported = migrate::import(text, path.as_str(), pool, is_directory, may_hold);
    let (registry, outside) = imported.map_err(|error| corrupt(&error))?;
    Ok((registry, outside.into_values().map(|claim| claim.claimed_by.to_string()).collect()))
}

/// Whether the holder of a claim is in a project, or is a worktree of its repository.
fn is_within(claim: &Claim, project: &Utf8Path, own: Option<&Utf8Path>) -> bool {
    let gitdir = claim.claimed_gitdir.as_deref().map(Utf8Path::new);
    let is_of_own = |gitdir| own.is_some() && host::git::repository_of_linked(gitdir) == own;
    let Some(directory) = claim.claimed_by.directory() else { return gitdir.is_none() };
    let directory = host::fs::real(directory);
    let is_there = match own {
        Some(own) => host::git::repository_of(&directory).as_deref() == Some(own),
        None => directory.starts_with(host::fs::real(project)),
    };
    is_there && gitdir.is_none_or(is_of_own)
}

fn slot_dir(root: &Root, slot: SlotId, pool: &Pool, registry: &Registry) -> Result<SlotDir> {
    let dir = match root.slot(slot)? {
        Found::This(dir) => dir,
        Found::Nothing => return Ok(SlotDir::Missing),
        Found::Other(obstacle) => return Ok(SlotDir::Blocked(obstacle)),
    };
    let wanted = pool.slots.get(&slot).map(|slot| &slot.files);
    let known = registry.slots.get(&slot).into_iter().flat_map(|entry| entry.files());
    let paths: BTreeSet<&RelPath> = wanted.into_iter().flat_map(BTreeMap::keys).chain(known).collect();
    let others = if wanted.is_some() {
        Vec::new()
    } else {
        let others = dir.others(&paths.iter().map(|path| path.as_path()).collect())?;
        others.into_iter().filter(|name| !is_derived(name)).collect()
    };
    let look =
        |path: &RelPath| Ok((path.clone(), file(&dir, path, wanted.and_then(|files| files.get(path)))?));
    Ok(SlotDir::Present { files: paths.into_iter().map(look).collect::<Result<_>>()?, others })
}

fn file(dir: &Dir, path: &RelPath, wanted: Option<&File>) -> Result<FileState> {
    let content = match dir.read(path.as_path(), FILE_LIMIT)? {
        Found::Nothing => return Ok(FileState::Missing),
        Found::Other(obstacle) => return Ok(FileState::Blocked(obstacle)),
        Found::This(content) => content,
    };
    // Most files are as they should be, and comparing costs much less than hashing.
    let digest = match wanted {
        Some(wanted) if wanted.text.as_bytes() == content.bytes => wanted.digest,
        _ => Digest::of(&content.bytes),
    };
    Ok(FileState::Present { digest, mode: content.mode })
}
