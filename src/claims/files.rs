//! The files that a claim writes and a release removes: the slot's variables in the worktree, and the files
//! of `[claim]` in the slot's directory.
//!
//! kinfra recognises its own files. The first line of the env file has the hash of the rest, and the registry
//! lists the hashes of the other files before they are written. So a file is missing, unchanged, or changed
//! by hand. A changed file stays. Running the same verb again completes a run that was cut short.

use std::collections::BTreeMap;

use anyhow::{Error, Result, anyhow, bail};
use camino::{Utf8Path, Utf8PathBuf};

use super::held_by::{Directory, held_by, held_by_mark};
use super::whereabouts::look_at;
use crate::desired::File;
use crate::digest::Digest;
use crate::fault::Fault;
use crate::file::{Obstacle, RelPath};
use crate::host::change_slot::SlotFiles;
use crate::host::create_slot::FileToCreate;
use crate::host::fs::Found;
use crate::host::root::{LockedRoot, Root};
use crate::host::worktree_file::WorktreeDir;
use crate::names::ENV_FILE;
use crate::registry::{Claim, Registry};
use crate::slot::SlotId;

/// The most that a file of a claim may be in a slot's directory, in bytes.
const LIMIT: u64 = 256 << 20;

/// The text between the directory and the hash in the first line of a worktree's env file.
const END: &str = ": by `kinfra claim`, until `kinfra release`. To change it, change slots.toml.";

/// The files of `[claim]`, by the hash of each.
pub type ByDigest = BTreeMap<RelPath, Digest>;

/// The texts that a claim writes.
#[derive(Debug)]
pub struct Texts {
    /// The worktree's env file. `None` if the worktree is made only afterwards.
    pub env: Option<String>,
    /// The files in the slot's directory. `None` if the spec is unknown; then they stay as they are.
    pub slot: Option<BTreeMap<RelPath, File>>,
}

/// What is at the path of a file.
enum InPlace {
    Nothing,
    /// The file that is listed.
    Ours,
    /// Something else.
    Foreign,
}

/// A worktree's directory, opened before the lock is taken. Otherwise a hanging disk would block every other
/// holder.
#[derive(Debug)]
pub struct HolderDir {
    path: Utf8PathBuf,
    /// `None` if it is not there.
    dir: Result<Option<WorktreeDir>>,
}

impl HolderDir {
    /// Opens a holder's directory, if it is there. What keeps it from being opened is said where it is used.
    pub fn open(path: &Utf8Path) -> Self {
        Self { path: path.to_owned(), dir: WorktreeDir::open(path) }
    }

    /// A directory in which a claim writes nothing: an owner has it, of which there can be several.
    pub fn apart(path: &Utf8Path) -> Self {
        Self { path: path.to_owned(), dir: Ok(None) }
    }

    /// The holder of a claim. One that is not known has no directory, and one whose path another directory
    /// has. The claim of an owner wrote nothing there.
    pub fn of(claim: &Claim) -> Self {
        let path = claim.claimed_by.directory().unwrap_or(Utf8Path::new(""));
        match look_at(path) {
            Ok(directory) if directory.holds(claim) => Self::open(path),
            Ok(_) => Self::apart(path),
            Err(error) => Self { path: path.to_owned(), dir: Err(error) },
        }
    }

    /// Whether this is the directory of a claim's holder.
    pub fn is_of(&self, claim: &Claim) -> bool {
        claim.claimed_by.is(&self.path)
    }

    fn dir(&self) -> Result<Option<&WorktreeDir>> {
        let again = |error: &Error| anyhow!("{error:#}");
        self.dir.as_ref().map(Option::as_ref).map_err(again)
    }

    /// Hides the env file from git.
    ///
    /// # Errors
    /// When git's own list cannot be written.
    pub fn exclude_from_git(&self) -> Result<()> {
        self.dir()?.map_or(Ok(()), |dir| dir.exclude_from_git(ENV_FILE))
    }

    /// Checks that a new claim can write its env file here. `root` is the pool's root.
    ///
    /// # Errors
    /// [`Fault`] when something else has its place, or the directory is not writable.
    pub fn check(&self, root: &Utf8Path) -> Result<()> {
        let shown = |path: &Utf8Path| path.as_str().escape_debug().to_string();
        let (dir, path) = (shown(&self.path), shown(&self.path.join(ENV_FILE)));
        let refused = |why: String| Fault::refused(format!("nothing was claimed: {why}"));
        let fault = match self.dir()? {
            None => refused(format!("`{dir}` is not there any more")),
            Some(worktree) => match worktree.check_sudo().and_then(|()| worktree.read(ENV_FILE))? {
                Found::Nothing if worktree.is_writable() => return Ok(()),
                Found::This(content) if is_env_file(root, &content) => return Ok(()),
                Found::Nothing => refused(format!("`{dir}` may not be written to")),
                Found::This(_) => {
                    let why = "is not as this pool wrote it, and the slot's variables belong there";
                    refused(format!("`{path}` {why}")).advise("move it away and claim again")
                }
                Found::Other(obstacle) => {
                    refused(format!("`{path}` is {obstacle}")).advise("move it away and claim again")
                }
            },
        };
        Err(fault.into())
    }

    /// The slot of a root that the env file here is of, if this pool wrote it and it is unchanged.
    pub fn env_slot(&self, root: &Utf8Path) -> Option<SlotId> {
        let Ok(Found::This(content)) = self.dir().ok()??.read(ENV_FILE) else { return None };
        let (slot, dir) = parts(&content)?;
        is_of_root(root, slot, dir).then_some(slot)
    }

    /// Removes the env file of a worktree that holds no slot, if this pool wrote it and it is unchanged.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn tidy(&self, root: &Utf8Path) -> Result<()> {
        self.dir()?.map_or(Ok(()), |dir| dir.remove(ENV_FILE, |content| is_env_file(root, content)).map(drop))
    }
}

/// The slot of a pool that is not the project's own and that a directory holds: something of that pool is in
/// it. A registry alone could name any directory.
pub fn held_visibly(registry: &Registry, directory: &Directory, root: &Utf8Path) -> Option<SlotId> {
    held_by_mark(registry, directory).or_else(|| {
        let slot = held_by(registry, directory)?;
        (HolderDir::open(&directory.path).env_slot(root) == Some(slot)).then_some(slot)
    })
}

/// A slot, its directory, and the worktree that holds it.
pub struct Site<'a> {
    /// The root, locked.
    pub root: &'a LockedRoot,
    /// The slot.
    pub slot: SlotId,
    /// The worktree.
    pub holder: &'a HolderDir,
}

impl Site<'_> {
    /// Removes the files of an earlier run of the claim that this run writes with other content. Returns the
    /// files that the registry must list before [`Site::write`], and the copies of files that an earlier
    /// claim left in the slot.
    ///
    /// # Errors
    /// When a file cannot be read or removed.
    pub fn prepare(&self, before: &ByDigest, texts: &Texts) -> Result<(ByDigest, Vec<Utf8PathBuf>)> {
        if let Some(worktree) = self.holder.dir()? {
            let is_now = |content: &[u8]| texts.env.as_ref().is_some_and(|env| content == env.as_bytes());
            worktree.remove(ENV_FILE, |content| self.wrote(content) && !is_now(content))?;
        }
        let Some(files) = &texts.slot else { return Ok((before.clone(), Vec::new())) };
        let mut listed: ByDigest = files.iter().map(|(path, file)| (path.clone(), file.digest)).collect();
        for (path, digest) in before.iter().filter(|(path, digest)| listed.get(*path) != Some(*digest)) {
            self.remove_from_slot(path, *digest)?;
        }
        // An empty file is what a power cut leaves.
        let empty = Digest::of(b"");
        for path in files.iter().filter(|(_, file)| file.digest != empty).map(|(path, _)| path) {
            if matches!(self.in_slot(path, empty)?, InPlace::Ours) {
                self.remove_from_slot(path, empty)?;
            }
        }
        let mut backups = Vec::new();
        for (path, digest) in listed.clone() {
            if matches!(self.in_slot(&path, digest)?, InPlace::Foreign) {
                match before.get(&path) {
                    // It was listed and stays listed, so the release names it.
                    Some(before) => drop(listed.insert(path, *before)),
                    None => match self.set_aside(&path)? {
                        Some(backup) => backups.push(backup),
                        None => drop(listed.remove(&path)),
                    },
                }
            }
        }
        Ok((listed, backups))
    }

    /// Writes the listed files that are missing. Returns the files that stay because they were changed. The
    /// claim is already durable: claiming again restores a file that a power cut destroys.
    ///
    /// # Errors
    /// When a file cannot be written. The claim stands, and claiming again completes it.
    pub fn write(&self, listed: &ByDigest, texts: &Texts) -> Result<Vec<Utf8PathBuf>> {
        let mut left = Vec::new();
        if let Some((worktree, env)) = self.holder.dir()?.zip(texts.env.as_ref()) {
            let path = self.holder.path.join(ENV_FILE);
            match worktree.read(ENV_FILE)? {
                Found::Nothing => drop(worktree.write_new(ENV_FILE, env)?),
                Found::Other(Obstacle::Forbidden) => bail!("`{path}` may not be read"),
                Found::This(content) if content == env.as_bytes() => {}
                Found::This(_) | Found::Other(_) => left.push(path),
            }
        }
        for (path, file) in texts.slot.iter().flatten().filter(|(path, _)| listed.contains_key(*path)) {
            match self.in_slot(path, file.digest)? {
                InPlace::Ours => {}
                InPlace::Foreign => left.push(self.path(path)),
                InPlace::Nothing => {
                    if let Some(dir) = SlotFiles::open(self.root, self.slot)? {
                        dir.add(&FileToCreate { path, text: &file.text, mode: file.mode })?;
                    }
                }
            }
        }
        Ok(left)
    }

    /// Removes the files of the claim, before the registry drops the claim. Returns the files that stay
    /// because they were changed.
    ///
    /// # Errors
    /// When a file cannot be removed. The claim stands, and releasing again completes the release.
    pub fn take_back(&self, claim: &Claim) -> Result<Vec<Utf8PathBuf>> {
        let mut left = Vec::new();
        if let Some(worktree) = self.holder.dir()? {
            let is_gone = worktree.remove(ENV_FILE, |content| self.wrote(content))?;
            left.extend((!is_gone).then(|| self.holder.path.join(ENV_FILE)));
        }
        for (path, digest) in &claim.files {
            if !self.remove_from_slot(path, *digest)? {
                left.push(self.path(path));
            }
        }
        Ok(left)
    }

    /// Moves a file to the backups that no claim lists, or that was changed. Returns its new path; `None` if
    /// it is no file.
    fn set_aside(&self, path: &RelPath) -> Result<Option<Utf8PathBuf>> {
        let Found::This(digest) = in_slot(self.root.root(), self.slot, path)? else { return Ok(None) };
        let Some(dir) = SlotFiles::open(self.root, self.slot)? else { return Ok(None) };
        let backup = dir.back_up(path, digest)?;
        dir.remove(path, Some(digest))?;
        Ok(Some(backup))
    }

    fn path(&self, path: &RelPath) -> Utf8PathBuf {
        self.root.root().path().join(self.slot.directory()).join(path.as_path())
    }

    /// Removes a file if it is unchanged. Returns whether it is gone.
    fn remove_from_slot(&self, path: &RelPath, expected: Digest) -> Result<bool> {
        let there = match self.in_slot(path, expected)? {
            InPlace::Foreign => return Ok(false),
            InPlace::Nothing => None,
            InPlace::Ours => Some(expected),
        };
        if let Some(dir) = SlotFiles::open(self.root, self.slot)? {
            dir.remove(path, there)?;
        }
        Ok(true)
    }

    fn in_slot(&self, path: &RelPath, expected: Digest) -> Result<InPlace> {
        Ok(match in_slot(self.root.root(), self.slot, path)? {
            Found::Nothing => InPlace::Nothing,
            Found::This(digest) if digest == expected => InPlace::Ours,
            Found::This(_) | Found::Other(_) => InPlace::Foreign,
        })
    }

    /// Whether this pool wrote an env file, for any slot, and it is unchanged. An empty file counts, because
    /// a power cut leaves one.
    fn wrote(&self, content: &[u8]) -> bool {
        content.is_empty() || is_env_file(self.root.root().path(), content)
    }
}

/// The env file in a worktree: the variables of a slot, after a line with their origin and their hash.
pub fn env_file(slot: SlotId, root: &Utf8Path, variables: &str) -> String {
    let dir = root.join(slot.directory());
    env_file_from(slot, &dir.as_str().escape_debug().to_string(), variables)
}

fn env_file_from(slot: SlotId, dir: &str, variables: &str) -> String {
    let sha256 = Digest::of(variables.as_bytes());
    format!("# Slot {slot}, from {dir}{END} {sha256}\n{variables}")
}

/// Whether a text is an unchanged env file of a slot in a root. A root that is gone counts, too: it was moved
/// here, or its pool was destroyed.
fn is_env_file(root: &Utf8Path, content: &[u8]) -> bool {
    let Some((slot, dir)) = parts(content) else { return false };
    if is_of_root(root, slot, dir) {
        return true;
    }
    // A path that was written with escapes cannot be looked up.
    let from = Utf8Path::new(dir).parent().filter(|_| !dir.contains('\\'));
    from.is_some_and(|from| {
        matches!(Root::open(from).map(|root| root.map(|root| root.registry())), Ok(None | Some(Ok(None))))
    })
}

/// The slot of an unchanged env file, and the directory that it is from.
fn parts(content: &[u8]) -> Option<(SlotId, &str)> {
    let (first, variables) = std::str::from_utf8(content).ok()?.split_once('\n')?;
    let (slot, rest) = first.strip_prefix("# Slot ")?.split_once(", from ")?;
    let (dir, _) = rest.rsplit_once(END)?;
    let slot = SlotId::new(slot.parse().ok()?)?;
    (env_file_from(slot, dir, variables).as_bytes() == content).then_some((slot, dir))
}

fn is_of_root(root: &Utf8Path, slot: SlotId, dir: &str) -> bool {
    *dir == *root.join(slot.directory()).as_str().escape_debug().to_string()
}

/// The first of a claim's files whose place is taken by something that is no file.
///
/// # Errors
/// When the slot's directory cannot be looked at.
pub fn obstructed(root: &Root, slot: SlotId, paths: &[&RelPath]) -> Result<Option<RelPath>> {
    for path in paths {
        if matches!(in_slot(root, slot, path)?, Found::Other(_)) {
            return Ok(Some((*path).clone()));
        }
    }
    Ok(None)
}

/// The error for a slot whose files the system does not let kinfra read.
pub(super) fn forbidden(slot: SlotId) -> Fault {
    Fault::failed(format!("the files of slot {slot} may not be read")).advise("`kinfra doctor` says more")
}

/// The hash of a file in a slot's directory, or what stands in its place.
fn in_slot(root: &Root, slot: SlotId, path: &RelPath) -> Result<Found<Digest>> {
    let content = match root.slot(slot)? {
        Found::This(dir) => dir.read(path.as_path(), LIMIT)?,
        Found::Nothing => Found::Nothing,
        Found::Other(obstacle) => Found::Other(obstacle),
    };
    Ok(match content {
        Found::This(content) => Found::This(Digest::of(&content.bytes)),
        Found::Nothing => Found::Nothing,
        Found::Other(Obstacle::Forbidden) => return Err(forbidden(slot).into()),
        Found::Other(obstacle) => Found::Other(obstacle),
    })
}
