//! What a claim writes for its worktree, and takes back: the slot's variables in the worktree, and the files of `[claim]` in
//! the slot's directory.
//!
//! Both can be told from what others wrote: the first line of the env file has the hash of the rest, and the registry lists
//! the others by theirs before they are written. So each of them is not there, or is as it was written, or somebody changed
//! it: then it is theirs and stays. Whatever was cut short, the same verb completes it.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use camino::{Utf8Path, Utf8PathBuf};

use crate::claims::environment::FILE;
use crate::desired::File;
use crate::digest::Digest;
use crate::fault::Fault;
use crate::file::{Obstacle, RelPath};
use crate::host::fs::Found;
use crate::host::replace::SlotFiles;
use crate::host::root::{LockedRoot, Root};
use crate::host::staging::FileToCreate;
use crate::host::worktree::WorktreeDir;
use crate::registry::Claim;
use crate::slot::SlotId;

/// The most that a file of a claim may be in a slot's directory, in bytes.
const LIMIT: u64 = 256 << 20;

/// What follows the directory in the first line of a worktree's env file, before the hash.
const END: &str = ": by `kinfra claim`, until `kinfra release`. To change it, change slots.toml.";

/// What a claim is to write.
#[derive(Debug)]
pub struct Texts {
    /// The worktree's env file.
    pub env: String,
    /// The files in the slot's directory; `None` where nobody knows, and they stay as they are.
    pub slot: Option<BTreeMap<RelPath, File>>,
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
    /// Takes back what a claim wrote before and would now write otherwise. What the registry is to list before
    /// [`Site::write`], and where the copies are of what an earlier claim left in the slot.
    ///
    /// # Errors
    /// What keeps it from being looked at or removed.
    pub fn prepare(
        &self,
        before: &BTreeMap<RelPath, Digest>,
        texts: &Texts,
    ) -> Result<(BTreeMap<RelPath, Digest>, Vec<Utf8PathBuf>)> {
        if let Some(worktree) = WorktreeDir::open(self.worktree)? {
            worktree.remove(FILE, |content| self.wrote(content) && content != texts.env.as_bytes())?;
        }
        let Some(files) = &texts.slot else { return Ok((before.clone(), Vec::new())) };
        let mut backups = Vec::new();
        let mut listed: BTreeMap<RelPath, Digest> =
            files.iter().map(|(path, file)| (path.clone(), file.digest)).collect();
        for (path, digest) in before.iter().filter(|(path, digest)| listed.get(*path) != Some(*digest)) {
            self.remove_from_slot(path, *digest)?;
        }
        // What a power cut leaves of a file.
        let empty = Digest::of(b"");
        for path in files.iter().filter(|(_, file)| file.digest != empty).map(|(path, _)| path) {
            if matches!(self.in_slot(path, empty)?, Place::Ours) {
                self.remove_from_slot(path, empty)?;
            }
        }
        for (path, digest) in listed.clone() {
            if matches!(self.in_slot(&path, digest)?, Place::Theirs) {
                match before.get(&path) {
                    // What was listed stays so: the release is to name it.
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

    /// Writes what is listed and not there yet. Which files stay as somebody changed them. The claim is durable by then, and what a power cut takes of its files comes
    /// back when the slot is claimed again.
    ///
    /// # Errors
    /// What keeps it from being written; the claim stands, and claiming again completes it.
    pub fn write(&self, listed: &BTreeMap<RelPath, Digest>, texts: &Texts) -> Result<Vec<Utf8PathBuf>> {
        let mut left = Vec::new();
        if let Some(worktree) = WorktreeDir::open(self.worktree)? {
            match worktree.read(FILE)? {
                Found::Nothing => drop(worktree.write_new(FILE, &texts.env)?),
                Found::Other(Obstacle::Forbidden) => {
                    bail!("`{}` may not be read", self.worktree.join(FILE));
                }
                Found::This(content) if content == texts.env.as_bytes() => {}
                Found::This(_) | Found::Other(_) => left.push(self.worktree.join(FILE)),
            }
        }
        for (path, file) in texts.slot.iter().flatten().filter(|(path, _)| listed.contains_key(*path)) {
            match self.in_slot(path, file.digest)? {
                Place::Ours => {}
                Place::Theirs => left.push(self.path(path)),
                Place::Free => {
                    if let Some(dir) = SlotFiles::open(self.root, self.slot)? {
                        dir.add(&FileToCreate { path, text: &file.text, mode: file.mode })?;
                    }
                }
            }
        }
        Ok(left)
    }

    /// Keeps the worktree's file out of what git shows.
    ///
    /// # Errors
    /// When git's own list cannot be written.
    pub fn exclude_from_git(&self) -> Result<()> {
        WorktreeDir::open(self.worktree)?.map_or(Ok(()), |dir| dir.exclude_from_git(FILE))
    }

    /// Takes back what the claim wrote, before the registry forgets it. What somebody changed stays; where.
    ///
    /// # Errors
    /// What keeps it from being removed; the claim stands, and releasing again completes it.
    pub fn take_back(&self, claim: &Claim) -> Result<Vec<Utf8PathBuf>> {
        let mut left = Vec::new();
        if let Some(worktree) = WorktreeDir::open(self.worktree)? {
            let is_gone = worktree.remove(FILE, |content| self.wrote(content))?;
            left.extend((!is_gone).then(|| self.worktree.join(FILE)));
        }
        for (path, digest) in &claim.files {
            if !self.remove_from_slot(path, *digest)? {
                left.push(self.path(path));
            }
        }
        Ok(left)
    }

    /// Moves a file that nobody's claim lists to the backups: one of a claim that the registry forgot, or that was changed.
    /// Where it is now; `None` if it is no file.
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

    /// Says whether the file is gone.
    fn remove_from_slot(&self, path: &RelPath, expected: Digest) -> Result<bool> {
        let there = match self.in_slot(path, expected)? {
            Place::Theirs => return Ok(false),
            Place::Free => None,
            Place::Ours => Some(expected),
        };
        if let Some(dir) = SlotFiles::open(self.root, self.slot)? {
            dir.remove(path, there)?;
        }
        Ok(true)
    }

    fn in_slot(&self, path: &RelPath, expected: Digest) -> Result<Place> {
        Ok(match in_slot(self.root.root(), self.slot, path)? {
            Found::Nothing => Place::Free,
            Found::This(digest) if digest == expected => Place::Ours,
            Found::This(_) | Found::Other(_) => Place::Theirs,
        })
    }

    /// Whether the file of a claim that was made is as this pool wrote it, be it for another slot, or nothing is in it: that is
    /// what a power cut leaves of one.
    fn wrote(&self, content: &[u8]) -> bool {
        content.is_empty() || is_env_file(self.root.root().path(), content)
    }
}

/// Checks that a new claim can write its file into a worktree.
///
/// # Errors
/// [`Fault`] when something is in its place, or nothing can be written there.
pub fn check(root: &Root, worktree: &Utf8Path) -> Result<()> {
    let shown = |path: &Utf8Path| path.as_str().escape_debug().to_string();
    let (dir, path) = (shown(worktree), shown(&worktree.join(FILE)));
    let why = match WorktreeDir::open(worktree)? {
        None => format!("`{dir}` is not there any more"),
        Some(worktree) => match worktree.read(FILE)? {
            Found::Nothing if worktree.is_writable() => return Ok(()),
            Found::This(content) if is_env_file(root.path(), &content) => return Ok(()),
            Found::Nothing => format!("`{dir}` may not be written to"),
            Found::This(_) => {
                format!(
                    "`{path}` is there, where the slot's variables go, and is not as this pool wrote it: move it away"
                )
            }
            Found::Other(obstacle) => format!("`{path}` is {obstacle}: move it away"),
        },
    };
    Err(Fault::refused(format!("nothing was claimed: {why}")).into())
}

/// Takes back the env file of a worktree that holds no slot, if one is there that is as this pool wrote it.
///
/// # Errors
/// What keeps it from being removed.
pub fn tidy(root: &LockedRoot, worktree: &Utf8Path) -> Result<()> {
    let dir = WorktreeDir::open(worktree)?;
    dir.map_or(Ok(()), |dir| dir.remove(FILE, |content| is_env_file(root.root().path(), content)).map(drop))
}

/// The env file in a worktree: the variables of a slot, after a line that says where they are from and tells whether the
/// rest is as it was written.
pub fn env_file(slot: SlotId, root: &Utf8Path, variables: &str) -> String {
    let dir = root.join(slot.directory());
    env_file_from(slot, &dir.as_str().escape_debug().to_string(), variables)
}

fn env_file_from(slot: SlotId, dir: &str, variables: &str) -> String {
    let sha256 = Digest::of(variables.as_bytes());
    format!("# Slot {slot}, from {dir}{END} {sha256}\n{variables}")
}

/// Whether a text is an env file of a slot in a root, and was not changed. So is one of a root that is no more: it was moved
/// here, or its pool is over.
fn is_env_file(root: &Utf8Path, content: &[u8]) -> bool {
    let parse = || {
        let (first, variables) = std::str::from_utf8(content).ok()?.split_once('\n')?;
        let (slot, rest) = first.strip_prefix("# Slot ")?.split_once(", from ")?;
        let (dir, _) = rest.rsplit_once(END)?;
        let slot = SlotId::new(slot.parse().ok()?)?;
        (env_file_from(slot, dir, variables).as_bytes() == content).then_some((slot, dir))
    };
    let Some((slot, dir)) = parse() else { return false };
    if *dir == *root.join(slot.directory()).as_str().escape_debug().to_string() {
        return true;
    }
    // One that is shown with escapes is not one to look up.
    let from = Utf8Path::new(dir).parent().filter(|_| !dir.contains('\\'));
    from.is_some_and(|from| {
        matches!(Root::open(from).map(|root| root.map(|root| root.registry())), Ok(None | Some(Ok(None))))
    })
}

/// The first of the files of `[claim]` in whose place in a slot's directory something else is than a file.
pub fn obstructed<'a>(
    root: &Root,
    slot: SlotId,
    mut paths: impl Iterator<Item = &'a RelPath>,
) -> Result<Option<RelPath>> {
    paths.try_fold(None, |found: Option<RelPath>, path| {
        let is_other = found.is_none() && matches!(in_slot(root, slot, path)?, Found::Other(_));
        Ok(if is_other { Some(path.clone()) } else { found })
    })
}

/// What stands in a slot's directory: the hash of a file's content. What may not be read may be anything.
fn in_slot(root: &Root, slot: SlotId, path: &RelPath) -> Result<Found<Digest>> {
    let content = match root.slot(slot)? {
        Found::This(dir) => dir.read(path.as_path(), LIMIT)?,
        Found::Nothing => Found::Nothing,
        Found::Other(obstacle) => Found::Other(obstacle),
    };
    Ok(match content {
        Found::This(content) => Found::This(Digest::of(&content.bytes)),
        Found::Nothing => Found::Nothing,
        Found::Other(Obstacle::Forbidden) => {
            bail!("the files of slot {slot} may not be read: `kinfra doctor` says more")
        }
        Found::Other(obstacle) => Found::Other(obstacle),
    })
}
