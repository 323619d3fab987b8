//! The machine → [`Observed`]: the registry, and what is on disk in the slot directories. Writes nothing, waits for nobody.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;

use crate::desired::{File, Pool};
use crate::digest::Digest;
use crate::fault::Fault;
use crate::host::fs::{Dir, Found};
use crate::host::root::Root;
use crate::registry::{Entry, Registry};
use crate::slot::{FileMode, Obstacle, RelPath, SlotId};

/// The most that is read of a file in a slot directory, in bytes.
const FILE_LIMIT: u64 = 256 << 20;

/// A pool as it is.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Observed {
    /// What kinfra owns.
    pub registry: Registry,
    /// The text that the registry was read from; `None` when there is none yet.
    pub registry_text: Option<String>,
    /// The directories of all slots that the spec or the registry names.
    pub dirs: BTreeMap<SlotId, SlotDir>,
}

/// A slot's directory as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SlotDir {
    /// There is none.
    Missing,
    /// It is there, with these of the files that were looked for.
    Present(BTreeMap<RelPath, FileState>),
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
/// [`Fault`] when the registry cannot be trusted.
pub fn observe(root: Option<&Root>, pool: &Pool) -> Result<Observed> {
    let Some(root) = root else { return Ok(Observed::default()) };
    let (registry, registry_text) = registry(root)?;
    let slots: BTreeSet<SlotId> = pool.slots.keys().chain(registry.slots.keys()).copied().collect();
    let look = |slot| Ok((slot, slot_dir(root, slot, pool, registry.slots.get(&slot))?));
    let dirs = slots.into_iter().map(look).collect::<Result<_>>()?;
    Ok(Observed { registry, registry_text, dirs })
}

/// Reads the registry of a root, and the text it was read from. One that was never there is empty.
///
/// # Errors
/// [`Fault`] when it cannot be trusted.
pub fn registry(root: &Root) -> Result<(Registry, Option<String>)> {
    let Some(text) = root.registry()? else { return Ok((Registry::default(), None)) };
    let registry = Registry::parse(&text).map_err(|corrupt| {
        Fault::unreadable(format!(
            "registry `{}` is corrupt: {corrupt}; nothing was changed",
            root.registry_path()
        ))
    })?;
    Ok((registry, Some(text)))
}

fn slot_dir(root: &Root, slot: SlotId, pool: &Pool, entry: Option<&Entry>) -> Result<SlotDir> {
    let dir = match root.slot(slot)? {
        Found::This(dir) => dir,
        Found::Nothing => return Ok(SlotDir::Missing),
        Found::Other(obstacle) => return Ok(SlotDir::Blocked(obstacle)),
    };
    let wanted = pool.slots.get(&slot).map(|slot| &slot.files);
    let known = entry.map(|entry| &entry.provisioned.files);
    let paths = wanted.into_iter().flat_map(BTreeMap::keys).chain(known.into_iter().flat_map(BTreeMap::keys));
    let paths: BTreeSet<&RelPath> = paths.collect();
    let look =
        |path: &RelPath| Ok((path.clone(), file(&dir, path, wanted.and_then(|files| files.get(path)))?));
    Ok(SlotDir::Present(paths.into_iter().map(look).collect::<Result<_>>()?))
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
