//! Where worktrees are: the worktree of a run, the worktrees that git has moved, and the state of a holder's
//! directory.
//!
//! Reads git's own files. Starts no process.

use std::collections::BTreeSet;
use std::io::ErrorKind;

use anyhow::{Context as _, Result};
use camino::{Utf8Path, Utf8PathBuf};

use super::standing::{Doubt, Worktree};
use crate::fault::Fault;
use crate::host;
use crate::host::fs::Dir;
use crate::host::git;
use crate::registry::{Claim, ClaimId, Holder, Left, Registry};
use crate::slot::SlotId;
use crate::time::Time;

/// The canonical path of the worktree that `directory` is in, or of `directory` itself outside a worktree.
///
/// # Errors
/// When it cannot be resolved.
pub fn worktree_of(directory: &Utf8Path) -> Result<Utf8PathBuf> {
    let top = git::top_of(directory)?.unwrap_or(directory);
    host::fs::canonical(top).with_context(|| format!("`{top}` cannot be resolved"))
}

/// The canonical path of the worktree that `--for` names, by its own path or by a directory in it.
///
/// # Errors
/// [`Fault`] when it is no directory.
pub fn worktree_named(named: &Utf8Path, here: &Utf8Path) -> Result<Utf8PathBuf> {
    let refuse = |why: &str| Fault::usage(format!("`{named}`, from --for, cannot hold a slot: {why}"));
    if named.as_str().is_empty() {
        return Err(refuse("it names no directory").into());
    }
    let path = host::fs::canonical(&here.join(named)).map_err(|error| {
        let is_missing = error.kind() == ErrorKind::NotFound;
        if is_missing { refuse("it does not exist") } else { refuse(&error.to_string()) }
    })?;
    if host::fs::is_directory(&path) {
        worktree_of(&path)
    } else {
        Err(refuse("it is not a directory").into())
    }
}

/// The path under which a directory holds a slot: its own path, or a path with links that an old tool
/// recorded.
pub fn noted_path(registry: &Registry, directory: &Utf8Path) -> Utf8PathBuf {
    if registry.imported_from.is_none() {
        return directory.to_owned();
    }
    let claims = registry.slots.values().filter_map(|entry| entry.claim.as_ref());
    let mut paths = claims.filter_map(|claim| claim.claimed_by.directory());
    let is_it = |path: &&Utf8Path| host::fs::canonical(path).is_ok_and(|path| path == directory);
    paths.find(is_it).unwrap_or(directory).to_owned()
}

/// The holders whose worktrees are followed to where git has moved them.
#[derive(Debug, Clone, Copy)]
pub enum Following<'a> {
    /// All holders.
    EveryHolder,
    /// Only the holder that could be this directory. No other holder's directory is touched.
    Of(&'a Utf8Path),
    /// As `Of`, and the holder of the claim that is named.
    Named {
        /// The directory.
        worktree: &'a Utf8Path,
        /// The slot of the claim, if that was named.
        slot: Option<SlotId>,
        /// The id of the claim, if that was named.
        id: Option<ClaimId>,
    },
    /// None.
    NoHolder,
}

/// Worktrees that git has moved: each slot with its recorded claim and the holder's present path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Moves(Vec<(SlotId, Claim, Utf8PathBuf)>);

impl Moves {
    /// Looks for them. A worktree that cannot be examined counts as not moved.
    pub fn find(registry: &Registry, following: Following<'_>) -> Self {
        let claims = registry.slots.iter().filter_map(|(slot, entry)| Some((*slot, entry.claim.as_ref()?)));
        let claims: Vec<(SlotId, &Claim)> = claims.collect();
        let own = match following {
            Following::Of(worktree) | Following::Named { worktree, .. } => {
                git::linked_git_dir(worktree).ok().flatten()
            }
            Following::EveryHolder | Following::NoHolder => None,
        };
        let is_of = |directory: &Utf8Path, claim: &Claim| {
            let is_ours = |own: &Utf8PathBuf| claim.claimed_gitdir.as_deref() == Some(own.as_str());
            claim.claimed_by.is(directory) || own.as_ref().is_some_and(is_ours)
        };
        let concerns = |(at, claim): &(SlotId, &Claim)| match following {
            Following::EveryHolder => true,
            Following::Of(directory) => is_of(directory, claim),
            Following::Named { worktree, slot, id } => {
                let is_named = slot == Some(*at) || (id.is_some() && claim.claim_id == id);
                is_named || is_of(worktree, claim)
            }
            Following::NoHolder => false,
        };
        let mut taken: BTreeSet<&Holder> = claims.iter().map(|(_, claim)| &claim.claimed_by).collect();
        let mut moved: Vec<_> = claims
            .iter()
            .filter(|one| concerns(one))
            .filter_map(|(slot, claim)| {
                Some((claim.claimed_at.clone(), *slot, *claim, Holder::Directory(moved(claim)?)))
            })
            .collect();
        // If two claims lead to one worktree, the later claim belongs to the present worktree.
        moved.sort_by(|one, other| (&other.0, other.1).cmp(&(&one.0, one.1)));
        let mut moves = Vec::new();
        for (_, slot, claim, to) in &moved {
            if taken.insert(to)
                && let Holder::Directory(to) = to
            {
                moves.push((*slot, (*claim).clone(), to.clone()));
            }
        }
        Self(moves)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Records the new paths in a registry, for each claim that is unchanged since.
    pub fn note_in(&self, registry: &mut Registry) {
        for (slot, found, to) in &self.0 {
            let claim = registry.slot_mut(*slot).and_then(|entry| entry.claim.as_mut());
            if let Some(claim) = claim.filter(|claim| *claim == found) {
                claim.claimed_by = Holder::Directory(to.clone());
            }
        }
    }
}

/// The state of the directory that holds a slot.
pub fn whereabouts(claim: &Claim) -> Worktree {
    look_for(claim).unwrap_or(Worktree::Away(Doubt::Unreadable))
}

fn look_for(claim: &Claim) -> Result<Worktree> {
    let away = |doubt| Ok(Worktree::Away(doubt));
    if claim.claimed_host.as_ref().is_some_and(|host| *host != host::identity::host_name()) {
        return away(Doubt::OtherHost);
    }
    let absolute = claim.claimed_by.directory().filter(|path| path.is_absolute());
    let Some((path, parent)) = absolute.and_then(|path| Some((path, path.parent()?))) else {
        return away(Doubt::Unknown);
    };
    // Docker makes the directory of a mount anew where a worktree is gone. For git, one without `.git` is.
    let sign = claim.claimed_gitdir.as_ref().map_or_else(|| path.to_owned(), |_| path.join(".git"));
    if host::fs::exists(&sign)? {
        return Ok(Worktree::There);
    }
    if !host::fs::exists(parent)? {
        return away(Doubt::ParentMissing);
    }
    let is_mounted = match &claim.claimed_mount {
        Some(mount) => host::fs::is_mount(Utf8Path::new(mount))?,
        // An old tool did not record the mount point. An empty parent may be that of a disk that is not
        // mounted now.
        None => !Dir::open(parent)?.names()?.is_empty(),
    };
    if !is_mounted {
        return away(Doubt::Unmounted);
    }
    match git_knows(claim).transpose()? {
        // `git worktree prune` would drop a worktree that git lists and that is missing.
        None | Some(git::LinkedWorktree::Removed | git::LinkedWorktree::Listed) => Ok(Worktree::Gone),
        Some(git::LinkedWorktree::Locked) => away(Doubt::Locked),
        Some(git::LinkedWorktree::Moved { .. }) => away(Doubt::Moved),
        Some(git::LinkedWorktree::RepoMissing) => away(Doubt::RepoMissing),
    }
}

/// Whether a stack that was left was this worktree's. A worktree that git made since, at the same place, is
/// another.
pub fn is_of(left: &Left, worktree: &Utf8Path) -> bool {
    match git::linked_git_dir(worktree).ok().flatten() {
        Some(own) => {
            let made = || Some((git::made(&own).ok()??, Time::parse(&left.at).ok()?));
            left.gitdir.as_deref() == Some(own.as_str()) && made().is_some_and(|(made, left)| made <= left)
        }
        None => left.gitdir.is_none() && left.by.is(worktree),
    }
}

/// What git says of the worktree that holds a slot, if it is a linked one on this machine.
fn git_knows(claim: &Claim) -> Option<Result<git::LinkedWorktree>> {
    let is_here = claim.claimed_host.as_ref().is_none_or(|host| *host == host::identity::host_name());
    let entry = claim.claimed_gitdir.as_ref().filter(|_| is_here)?;
    Some(git::linked_worktree(Utf8Path::new(entry), claim.claimed_by.directory()?))
}

/// Where git has moved the worktree that holds a slot, if that is certain.
fn moved(claim: &Claim) -> Option<Utf8PathBuf> {
    match git_knows(claim)?.ok()? {
        git::LinkedWorktree::Moved { to, made } => {
            let is_older = Time::parse(claim.claimed_at.as_ref()?).is_ok_and(|claimed| made <= claimed);
            let there = git::linked_git_dir(claim.claimed_by.directory()?).ok()?;
            let is_gone = there.map(Utf8PathBuf::into_string) != claim.claimed_gitdir;
            (is_older && is_gone).then_some(to)
        }
        git::LinkedWorktree::Removed
        | git::LinkedWorktree::Listed
        | git::LinkedWorktree::Locked
        | git::LinkedWorktree::RepoMissing => None,
    }
}
