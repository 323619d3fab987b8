//! What a claim writes for its worktree, and takes back: the slot's variables in the worktree, and the files of `[claim]` in
//! the slot's directory.
//!
//! The registry lists them by their hashes before they are written, so each of them is not there, or is the one that is
//! listed, or somebody changed it: then it is theirs and stays. Whatever was cut short, the same verb completes it.

use std::collections::BTreeMap;

use anyhow::{Result, anyhow};
use camino::{Utf8Path, Utf8PathBuf};

use crate::desired::File;
use crate::digest::Digest;
use crate::environment::FILE;
use crate::fault::Fault;
use crate::host::fs::Found;
use crate::host::replace::SlotFiles;
use crate::host::root::{LockedRoot, Root};
use crate::host::staging::NewFile;
use crate::host::worktree::WorktreeDir;
use crate::registry::{Claim, ClaimFiles};
use crate::slot::{RelPath, SlotId};

/// The most that a file of a claim may be in a slot's directory, in bytes.
const LIMIT: u64 = 256 << 20;

/// What a claim is to write.
#[derive(Debug)]
pub struct Texts {
    /// The worktree's env file: none where the directory cannot have one.
    pub env: String,
    /// The files in the slot's directory.
    pub slot: BTreeMap<RelPath, File>,
}

/// What stands at the place of a file.
enum Place {
    Free,
    /// The file that is listed.
    Ours,
    /// Something else.
    Theirs,
}

/// A slot, its directory, and the worktree that holds it.
pub struct Site<'a> {
    /// The root, locked.
    pub root: &'a LockedRoot,
    /// The slot.
    pub slot: SlotId,
    /// The worktree, absolute.
    pub worktree: &'a Utf8Path,
}

impl Site<'_> {
    /// Checks that a new claim can write its file into the worktree.
    ///
    /// # Errors
    /// [`Fault`] when something is in its place, or nothing can be written there.
    pub fn check(&self) -> Result<()> {
        let path = self.worktree.join(FILE);
        let refuse = |why: &str| Fault::refused(format!("nothing was claimed: {why}"));
        let dir = WorktreeDir::open(self.worktree)
            .ok_or_else(|| refuse(&format!("`{}` cannot be opened", printable(self.worktree))))?;
        match dir.look(FILE)? {
            Found::Nothing if dir.is_writable() => Ok(()),
            Found::Nothing => {
                Err(refuse(&format!("`{}` may not be written to", printable(self.worktree))).into())
            }
            Found::This(_) => Err(refuse(&format!(
                "`{}` is there and kinfra did not write it: move it away, for the slot's variables go there",
                printable(&path)
            ))
            .into()),
            Found::Other(obstacle) => {
                Err(refuse(&format!("`{}` is {obstacle}: move it away", printable(&path))).into())
            }
        }
    }

    /// Takes back what the claim wrote that it would now write otherwise, and says what it is to list before
    /// [`Site::write`]. What somebody changed, or put in a file's place, is theirs: it is not listed.
    pub fn prepare(&self, before: &ClaimFiles, texts: &Texts) -> Result<ClaimFiles> {
        let (mut env, mut slot) = (texts.env_hash(), texts.slot_hashes());
        for (path, digest) in &before.worktree {
            if env.get(path) != Some(digest) {
                self.remove_from_worktree(path, *digest)?;
            }
        }
        for (path, digest) in &before.slot {
            if slot.get(path) != Some(digest) {
                self.remove_from_slot(path, *digest)?;
            }
        }
        let dir = WorktreeDir::open(self.worktree);
        for (path, digest) in std::mem::take(&mut env) {
            let found = dir.as_ref().map(|dir| dir.look(path.as_str())).transpose()?;
            if found.is_some_and(|found| !matches!(place(&found, digest), Place::Theirs)) {
                env.insert(path, digest);
            }
        }
        for (path, digest) in std::mem::take(&mut slot) {
            if !matches!(place(&in_slot(self.root.root(), self.slot, &path)?, digest), Place::Theirs) {
                slot.insert(path, digest);
            }
        }
        Ok(ClaimFiles { worktree: env, slot })
    }

    /// Writes what is listed and not there yet.
    ///
    /// # Errors
    /// What keeps it from being written; the claim stands, and claiming again completes it.
    pub fn write(&self, listed: &ClaimFiles, texts: &Texts) -> Result<()> {
        if let (true, Some(dir)) = (!listed.worktree.is_empty(), WorktreeDir::open(self.worktree))
            && matches!(dir.look(FILE)?, Found::Nothing)
        {
            dir.write_new(FILE, &texts.env)?;
        }
        let mut missing = Vec::new();
        for (path, file) in texts.slot.iter().filter(|(path, _)| listed.slot.contains_key(*path)) {
            if matches!(in_slot(self.root.root(), self.slot, path)?, Found::Nothing) {
                missing.push(NewFile { path, text: &file.text, mode: file.mode });
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        let mut staging = self.root.stage();
        staging.stage(self.slot, &missing)?;
        staging.sync()?;
        staging.publish(self.slot, &missing)?;
        staging.finish()
    }

    /// Keeps the worktree's file out of what git shows.
    ///
    /// # Errors
    /// When git's own list cannot be written.
    pub fn exclude_from_git(&self) -> Result<()> {
        WorktreeDir::open(self.worktree).map_or(Ok(()), |dir| dir.exclude_from_git(FILE))
    }

    /// Takes back what the claim wrote, before the registry forgets it. What somebody changed stays; where.
    ///
    /// # Errors
    /// What keeps it from being removed; the claim stands, and releasing again completes it.
    pub fn take_back(&self, claim: &Claim) -> Result<Vec<Utf8PathBuf>> {
        let ClaimFiles { worktree, slot } = &claim.files;
        let mut left = Vec::new();
        for (path, digest) in worktree {
            if !self.remove_from_worktree(path, *digest)? {
                left.push(self.worktree.join(path.as_path()));
            }
        }
        for (path, digest) in slot {
            if !self.remove_from_slot(path, *digest)? {
                left.push(self.root.root().path().join(self.slot.directory()).join(path.as_path()));
            }
        }
        Ok(left)
    }

    /// Says whether the file is gone.
    fn remove_from_worktree(&self, path: &RelPath, expected: Digest) -> Result<bool> {
        // Nothing else is ever listed: what an edited registry names is not kinfra's to remove.
        if path.as_str() != FILE {
            return Ok(false);
        }
        WorktreeDir::open(self.worktree).map_or(Ok(true), |dir| dir.remove(FILE, expected))
    }

    fn remove_from_slot(&self, path: &RelPath, expected: Digest) -> Result<bool> {
        let found = in_slot(self.root.root(), self.slot, path)?;
        match place(&found, expected) {
            Place::Theirs => return Ok(false),
            Place::Free | Place::Ours => {}
        }
        let Some(dir) = SlotFiles::open(self.root, self.slot)? else { return Ok(true) };
        let there = matches!(found, Found::This(_)).then_some(expected);
        dir.remove(path, there).map_err(|error| anyhow!("slot {}: {error:#}", self.slot))?;
        Ok(true)
    }
}

/// The first of the files of `[claim]` that is in the directory of a slot which nobody holds: it was changed, and stayed.
pub fn leftover<'a>(
    root: &Root,
    slot: SlotId,
    mut paths: impl Iterator<Item = &'a RelPath>,
) -> Result<Option<RelPath>> {
    paths.try_fold(None, |found: Option<RelPath>, path| {
        if found.is_some() || matches!(in_slot(root, slot, path)?, Found::Nothing) {
            return Ok(found);
        }
        Ok(Some(path.clone()))
    })
}

impl Texts {
    fn env_hash(&self) -> BTreeMap<RelPath, Digest> {
        RelPath::new(FILE).into_iter().map(|path| (path, Digest::of(self.env.as_bytes()))).collect()
    }

    fn slot_hashes(&self) -> BTreeMap<RelPath, Digest> {
        self.slot.iter().map(|(path, file)| (path.clone(), file.digest)).collect()
    }
}

fn in_slot(root: &Root, slot: SlotId, path: &RelPath) -> Result<Found<Digest>> {
    let content = match root.slot(slot)? {
        Found::This(dir) => dir.read(path.as_path(), LIMIT)?,
        Found::Nothing => Found::Nothing,
        Found::Other(obstacle) => Found::Other(obstacle),
    };
    Ok(match content {
        Found::This(content) => Found::This(Digest::of(&content.bytes)),
        Found::Nothing => Found::Nothing,
        Found::Other(obstacle) => Found::Other(obstacle),
    })
}

fn place(found: &Found<Digest>, expected: Digest) -> Place {
    match found {
        Found::Nothing => Place::Free,
        Found::This(digest) if *digest == expected => Place::Ours,
        Found::This(_) | Found::Other(_) => Place::Theirs,
    }
}

/// A path for a message: one line, whatever is in it.
fn printable(path: &Utf8Path) -> String {
    path.as_str().escape_debug().to_string()
}
