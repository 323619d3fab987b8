//! What containers wrote into the worktree of a slot.

use camino::{Utf8Path, Utf8PathBuf};

use super::admission::uses::Uses;
use crate::host::fs;

/// What belongs to another user than the worktree does, in the files and directories of the worktree that the
/// last start of the slot's stack lets containers write to. `dir` is the slot's directory.
pub fn of_another_user(dir: &Utf8Path, worktree: &Utf8Path) -> Vec<Utf8PathBuf> {
    let Ok(Some(uses)) = Uses::read(dir) else { return Vec::new() };
    let mounts = uses.model.services.values().flat_map(|service| &service.volumes);
    let written = mounts.filter(|mount| !mount.read_only).filter_map(|mount| mount.bind());
    let mut within: Vec<Utf8PathBuf> = written.filter(|path| path.starts_with(worktree)).collect();
    within.sort();
    within.dedup_by(|path, above| path.starts_with(&*above));
    within.iter().flat_map(|path| fs::of_another_user(path, worktree)).collect()
}
