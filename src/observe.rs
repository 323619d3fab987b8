//! The machine → [`Observed`]: the registry, and what is on disk in the slot directories. Writes nothing, waits for nobody.

use std::collections::BTreeSet;
use std::collections::btree_map::{self, BTreeMap};
use std::fmt::Display;

use anyhow::{Context as _, Result};
use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};

use crate::desired::{File, Pool};
use crate::digest::Digest;
use crate::fault::Fault;
use crate::file::{FileMode, Obstacle, RelPath};
use crate::host;
use crate::host::docker;
use crate::host::docker::Answer;
use crate::host::fs::{Dir, Found};
use crate::host::root::{Root, unreadable};
use crate::json::Corrupt;
use crate::registry::migrate;
use crate::registry::{Entry, Registry};
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
    /// The text that the registry was read from; `None` when there is none yet.
    pub registry_text: Option<String>,
    /// How it stands with the old tool's registry, if it needs attention.
    pub import: Option<ImportState>,
    /// The directories of all slots that the spec or the registry names.
    pub dirs: BTreeMap<SlotId, SlotDir>,
    /// Which slots have containers, where that was asked.
    pub containers: Containers,
}

/// Which slots have containers, running or not.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Containers {
    /// Nobody asked: only work on what is there needs to know.
    #[default]
    NotAsked,
    /// These have, and no others. Without Docker none has.
    Of(BTreeSet<SlotId>),
    /// Docker would not tell, and said this.
    Unknown(String),
}

/// How it stands with the registry of an old tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImportState {
    /// There is no registry yet, so it will be taken over: [`Observed::registry`] is what would come of it.
    Pending {
        /// Where it is.
        path: Utf8PathBuf,
        /// The hash of its text.
        sha256: Digest,
        /// How many slots it brings.
        slots: usize,
        /// How many of them are claimed.
        claimed: usize,
    },
    /// It was taken over and has changed since.
    Changed(Utf8PathBuf),
}

/// A slot's directory as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SlotDir {
    /// There is none.
    Missing,
    /// It is there.
    Present {
        /// The files that were looked for.
        files: BTreeMap<RelPath, FileState>,
        /// What else is in it, looked for only where the spec no longer has the slot.
        others: Vec<String>,
    },
    /// Something else is in its place.
    Blocked(Obstacle),
}

/// A file as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileState {
    /// There is none.
    Missing,
    /// It is there.
    Present {
        /// The hash of its content.
        digest: Digest,
        /// Its permissions.
        mode: FileMode,
    },
    /// Something else is in its place, or on the way to it.
    Blocked(Obstacle),
}

impl Observed {
    /// The directory of a slot; missing for one that was not looked for.
    pub fn dir(&self, slot: SlotId) -> &SlotDir {
        self.dirs.get(&slot).unwrap_or(&SlotDir::Missing)
    }
}

/// Looks at the registry and at the directory of every slot that it or the pool names.
///
/// # Errors
/// [`Fault`] when the registry, or the one to be taken over, cannot be trusted.
pub fn observe(root: Option<&Root>, pool: &Pool) -> Result<Observed> {
    let (mut registry, registry_text) = root.map_or(Ok((Registry::default(), None)), self::registry)?;
    let mut import = None;
    if let Some(path) = &pool.import {
        let old = host::fs::read_named(path, OLD_REGISTRY_LIMIT);
        if registry_text.is_some() {
            // Taken over long ago, or never: whether it can be read no longer matters.
            let then = registry.imported_from.as_ref().filter(|then| then.path == path.as_str());
            let changed =
                then.zip(old.ok().flatten()).is_some_and(|(then, old)| then.sha256 != Digest::of(&old));
            import = changed.then(|| ImportState::Changed(path.clone()));
        } else {
            let unreadable =
                || Fault::unreadable(format!("`{path}`, named by `import` of slots.toml, cannot be read"));
            if let Some(old) = old.with_context(unreadable)? {
                registry = take_over(&old, path, pool)?;
                let claimed = registry.slots.values().filter(|entry| entry.claim.is_some()).count();
                let (path, sha256, slots) = (path.clone(), Digest::of(&old), registry.slots.len());
                import = Some(ImportState::Pending { path, sha256, slots, claimed });
            }
        }
    }
    let dirs = root.map_or(Ok(BTreeMap::new()), |root| slot_dirs(root, pool, &registry))?;
    Ok(Observed { registry, registry_text, import, dirs, containers: Containers::NotAsked })
}

/// The text of a file of a slot, for people to read; `None` if there is none.
pub fn text(root: &Root, slot: SlotId, path: &RelPath) -> Result<Option<String>> {
    let Found::This(dir) = root.slot(slot)? else { return Ok(None) };
    Ok(match dir.read(path.as_path(), FILE_LIMIT)? {
        Found::This(content) => Some(String::from_utf8_lossy(&content.bytes).into_owned()),
        Found::Nothing | Found::Other(_) => None,
    })
}

/// Asks which slots have containers, running or not. Without Docker none has.
pub fn containers(pool: &Pool, registry: &Registry) -> Containers {
    let projects = match docker::projects() {
        Answer::Is(projects) => projects,
        Answer::NoCommand | Answer::NoDaemon => return Containers::Of(BTreeSet::new()),
        Answer::Failed(said) => return Containers::Unknown(said),
    };
    let slots = pool.slots.keys().chain(registry.slots.keys());
    Containers::Of(slots.filter(|slot| projects.contains(&pool.project(**slot))).copied().collect())
}

/// Looks at the slot directories alone, also at those that the pool does not name, for when the registry cannot be read.
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

/// What the registry of an old tool becomes.
fn take_over(old: &[u8], path: &Utf8Path, pool: &Pool) -> Result<Registry> {
    let corrupt = |what: &dyn Display| {
        let advice = "fix it, or take `import` out of slots.toml to begin without it";
        Fault::unreadable(format!("`{path}`, named by `import` of slots.toml, is corrupt: {what}"))
            .advise(advice)
    };
    let text = std::str::from_utf8(old).map_err(|error| corrupt(&error))?;
    // A claim is not lost because its directory could not be looked at.
    let is_directory = |path: &str| host::fs::may_be_directory(Utf8Path::new(path));
    Ok(migrate::import(text, path.as_str(), pool, is_directory).map_err(|error| corrupt(&error))?)
}

/// Reads the registry of a root, and the text it was read from. One that was never there is empty.
///
/// # Errors
/// [`Fault`] when it cannot be trusted.
pub fn registry(root: &Root) -> Result<(Registry, Option<String>)> {
    let Some(text) = root.registry()? else { return Ok((Registry::default(), None)) };
    let path = root.registry_path();
    let corrupt = |corrupt: Corrupt| {
        if corrupt.is_newer {
            let newer = Fault::unreadable(format!("`{path}` cannot be read: {corrupt}")).unchanged();
            return newer.advise("upgrade kinfra");
        }
        unreadable(&format!("`{path}` is corrupt: {corrupt}"))
    };
    let registry = Registry::parse(&text).map_err(corrupt)?;
    Ok((registry, Some(text)))
}

fn slot_dir(root: &Root, slot: SlotId, pool: &Pool, registry: &Registry) -> Result<SlotDir> {
    let dir = match root.slot(slot)? {
        Found::This(dir) => dir,
        Found::Nothing => return Ok(SlotDir::Missing),
        Found::Other(obstacle) => return Ok(SlotDir::Blocked(obstacle)),
    };
    let wanted = pool.slots.get(&slot).map(|slot| &slot.files);
    let known = registry.slots.get(&slot).into_iter().flat_map(Entry::files);
    let paths: BTreeSet<&RelPath> = wanted.into_iter().flat_map(BTreeMap::keys).chain(known).collect();
    let others = match wanted {
        Some(_) => Vec::new(),
        None => dir.others(&paths.iter().map(|path| path.as_path()).collect())?,
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
    // Most files are as they should be, and comparing is much cheaper than hashing.
    let digest = match wanted {
        Some(wanted) if wanted.text.as_bytes() == content.bytes => wanted.digest,
        _ => Digest::of(&content.bytes),
    };
    Ok(FileState::Present { digest, mode: content.mode })
}
