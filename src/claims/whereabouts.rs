//! Where worktrees are: the worktree of a run, the worktrees that git has moved, and the state of a holder's
//! directory.
//!
//! Reads git's own files. Starts no process.

use std::cell::LazyCell;
use std::collections::BTreeSet;
use std::io::ErrorKind;

use anyhow::{Context as _, Result};
use camino::{Utf8Path, Utf8PathBuf};

use super::held_by::Directory;
use super::standing::{Doubt, Worktree};
use crate::fault::Fault;
use crate::file::normal;
use crate::host;
use crate::host::closed::Closed;
use crate::host::fs::Dir;
use crate::host::git;
use crate::host::holder_mark::{ensure_mark, mark_of, token_in};
use crate::host::side_by_side::on_all_cores;
use crate::identifier::Owner;
use crate::registry::{Claim, ClaimId, Holder, Left, Mark, Place, Registry};
use crate::slot::SlotId;
use crate::time::Time;

/// The canonical path of the worktree that `directory` is in, or of `directory` itself outside a worktree.
/// One that is not there any more was a worktree itself, and is in none.
///
/// # Errors
/// When it cannot be resolved.
pub fn worktree_of(directory: &Utf8Path) -> Result<Utf8PathBuf> {
    if host::fs::exists(directory).is_ok_and(|is_there| !is_there) {
        return Ok(normal(&host::fs::real(directory)));
    }
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

/// A directory as it is now. One that is not there is known by its path.
///
/// # Errors
/// When it cannot be examined.
pub fn look_at(directory: &Utf8Path) -> Result<Directory> {
    let mark = host::fs::may_be_directory(directory).then(|| mark_of(directory)).transpose()?;
    let above = directory.parent().filter(|_| mark.is_none());
    let above = above.and_then(|above| host::fs::place_of(above).ok());
    let (path, host) = (directory.to_owned(), Some(host::identity::host_name()));
    Ok(Directory { path, owner: None, mark, above, host })
}

/// A directory that is not there any more, whatever has its place now.
pub fn lost(path: &Utf8Path) -> Directory {
    let above = path.parent().and_then(|above| host::fs::place_of(above).ok());
    Directory { above, host: Some(host::identity::host_name()), ..Directory::unseen(path) }
}

/// Whether a directory is seen to be the one of a claim.
pub fn is_holder(directory: &Utf8Path, claim: &Claim) -> bool {
    look_at(directory).is_ok_and(|directory| directory.is_at(claim))
}

/// A directory under the path by which it holds a slot: its own path, the other one of a directory that is
/// mounted twice, or a path with links that an old tool recorded.
pub fn noted(registry: &Registry, directory: &Directory) -> Directory {
    let is_imported = registry.imported_from.is_some();
    let claims = registry.slots.values().filter_map(|entry| entry.claim.as_ref());
    let mut paths = claims.filter_map(|claim| Some((claim, claim.claimed_by.directory()?)));
    let leads_here = |path: &Utf8Path| host::fs::canonical(path).is_ok_and(|path| path == directory.path);
    let is_it = |(claim, path): &(&Claim, &Utf8Path)| {
        is_other_name(claim, path, directory) || (is_imported && leads_here(path))
    };
    let path = paths.find(is_it).map_or(&*directory.path, |(_, path)| path).to_owned();
    Directory { path, ..directory.clone() }
}

/// Whether the path of a claim is another one of a directory: a checkout that is mounted at two places is one
/// holder.
fn is_other_name(claim: &Claim, path: &Utf8Path, directory: &Directory) -> bool {
    let mark = directory.mark.filter(|mark| mark.token.is_some() && mark.token == claim.mark.token);
    mark.is_some_and(|mark| path != directory.path && host::fs::place_of(path).ok() == mark.place)
}

/// What a claim that an older kinfra made is to be known by from now on. `None` if it is known by something,
/// or its holder is not there. Writes the token of the worktree.
pub fn mark_for(claim: &Claim) -> Option<Mark> {
    let directory =
        claim.claimed_by.directory().filter(|path| path.is_absolute() && claim.mark.is_empty())?;
    host::fs::is_directory(directory).then(|| ensure_mark(directory))
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
pub struct Moves(Vec<Move>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Move {
    slot: SlotId,
    /// The claim as it was found.
    found: Claim,
    to: Utf8PathBuf,
    /// Where the directory above it is now.
    above: Option<Place>,
}

impl Moves {
    /// Looks for them. A worktree that cannot be examined counts as not moved.
    pub fn find(registry: &Registry, following: Following<'_>) -> Self {
        let claims = registry.slots.iter().filter_map(|(slot, entry)| Some((*slot, entry.claim.as_ref()?)));
        let claims: Vec<(SlotId, &Claim)> = claims.collect();
        let here = match following {
            Following::Of(worktree) | Following::Named { worktree, .. } => Some(worktree),
            Following::EveryHolder | Following::NoHolder => None,
        };
        let own = LazyCell::new(|| here.and_then(|worktree| git::linked_git_dir(worktree).ok().flatten()));
        let is_own = |git_dir: &String| own.as_ref().is_some_and(|own| own.as_str() == git_dir);
        let is_of = |directory: &Utf8Path, claim: &Claim| {
            claim.claimed_by.is(directory) || claim.claimed_gitdir.as_ref().is_some_and(is_own)
        };
        let stranger = here.filter(|here| !claims.iter().any(|(_, claim)| is_of(here, claim)));
        let mark = stranger.and_then(|here| mark_of(here).ok());
        let is_of = |directory: &Utf8Path, claim: &Claim| {
            is_of(directory, claim) || mark.is_some_and(|mark| is_marked_as(claim, mark))
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
        let followed: Vec<_> = claims.iter().filter(|one| concerns(one)).collect();
        let found = on_all_cores(&followed, |(slot, claim)| {
            Some((claim.claimed_at.clone(), *slot, *claim, Holder::Directory(moved(claim, here)?)))
        });
        let mut moved: Vec<_> = found.into_iter().flatten().collect();
        if moved.is_empty() {
            return Self::default();
        }
        let taken = claims.iter().map(|(_, claim)| (&claim.claimed_by, &claim.claim_owner));
        let mut taken: BTreeSet<(&Holder, &Option<Owner>)> = taken.collect();
        // If two claims lead to one worktree, the later claim belongs to the present worktree.
        moved.sort_by(|one, other| (&other.0, other.1).cmp(&(&one.0, one.1)));
        let mut moves = Vec::new();
        for (_, slot, claim, to) in &moved {
            if taken.insert((to, &claim.claim_owner))
                && let Holder::Directory(to) = to
            {
                let above = to.parent().and_then(|above| host::fs::place_of(above).ok());
                moves.push(Move { slot: *slot, found: (*claim).clone(), to: to.clone(), above });
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
        for Move { slot, found, to, above } in &self.0 {
            let claim = registry.slot_mut(*slot).and_then(|entry| entry.claim.as_mut());
            if let Some(claim) = claim.filter(|claim| *claim == found) {
                claim.claimed_by = Holder::Directory(to.clone());
                claim.mark.above = *above;
            }
        }
    }
}

/// The state of the directory that holds a slot.
pub fn whereabouts(claim: &Claim) -> Worktree {
    let is_closed = || claim.claimed_by.directory().is_some_and(Closed::is_by_another);
    let doubt = |_| if is_closed() { Doubt::Closed } else { Doubt::Unreadable };
    look_for(claim).unwrap_or_else(|error| Worktree::Away(doubt(error)))
}

fn look_for(claim: &Claim) -> Result<Worktree> {
    let away = |doubt| Ok(Worktree::Away(doubt));
    // An older kinfra did not note more of the place than the machine's name, which may change.
    if claim.mark.above.is_none() && !has_host(claim) {
        return away(Doubt::OtherHost);
    }
    let absolute = claim.claimed_by.directory().filter(|path| path.is_absolute());
    let Some((path, parent)) = absolute.and_then(|path| Some((path, path.parent()?))) else {
        return away(Doubt::Unknown);
    };
    // Docker makes the directory of a mount anew where a worktree is gone. For git, one without `.git` is.
    let sign = claim.claimed_gitdir.as_ref().map_or_else(|| path.to_owned(), |_| path.join(".git"));
    if host::fs::exists(&sign)? {
        return Ok(if is_as_claimed(claim, path) { Worktree::There } else { instead(claim) });
    }
    if claim.mark.place.is_some_and(|place| is_the_one(place, path)) {
        return away(Doubt::NoGit);
    }
    // Git has the last word on its own worktrees, whatever else is missing.
    if matches!(git_knows(claim), Some(Ok(git::LinkedWorktree::Removed))) {
        return Ok(Worktree::Gone);
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
    if !is_still_there(claim.mark.above, parent, claim) {
        return away(Doubt::AnotherAbove);
    }
    match git_knows(claim).transpose()? {
        None if claim.claimed_gitdir.is_some() => away(Doubt::RepoMissing),
        Some(git::LinkedWorktree::Listed) if is_locked(claim)? => away(Doubt::Locked),
        // `git worktree prune` would drop a worktree that git lists and that is missing.
        None | Some(git::LinkedWorktree::Removed | git::LinkedWorktree::Listed) => Ok(Worktree::Gone),
        Some(git::LinkedWorktree::Moved { .. }) => away(Doubt::Moved),
        Some(git::LinkedWorktree::RepoMissing) => away(Doubt::RepoMissing),
    }
}

/// Whether git keeps the worktree of a claim although it is missing.
fn is_locked(claim: &Claim) -> Result<bool> {
    Ok(claim.claimed_gitdir.as_deref().map_or(Ok(false), |git_dir| git::is_locked(Utf8Path::new(git_dir)))?)
}

/// Whether a directory is the one that was noted, and not one that was made later. A disk may have another
/// number after a restart.
fn is_the_one(noted: Place, path: &Utf8Path) -> bool {
    let now = host::fs::place_of(path);
    now.is_ok_and(|now| now.born.is_some() && (now.inode, now.born) == (noted.inode, noted.born))
}

/// Whether the directory at the path of a claim is the one that made it.
fn is_as_claimed(claim: &Claim, path: &Utf8Path) -> bool {
    match (claim.mark.token, &claim.claimed_gitdir) {
        (None, _) if claim.mark.is_empty() => true,
        (Some(token), Some(git_dir)) if token_in(Utf8Path::new(git_dir)) == Some(token) => true,
        (_, _) => is_holder(path, claim),
    }
}

/// What became of a worktree whose path another directory has. Only of one that git made since then is it
/// certain that the first is gone: a container may have another disk at the path.
fn instead(claim: &Claim) -> Worktree {
    let made = || {
        git_knows(claim)?.ok()?;
        let git_dir = claim.claimed_gitdir.as_deref().map(Utf8Path::new)?;
        let claimed = Time::parse(claim.claimed_at.as_ref()?).ok()?;
        git::made(git_dir).ok()?.map(|made| claimed < made)
    };
    let is_pruned = || matches!(git_knows(claim), Some(Ok(git::LinkedWorktree::Removed)));
    if made().unwrap_or(false) || is_pruned() { Worktree::Gone } else { Worktree::Away(Doubt::Another) }
}

/// Whether a stack that was left was this worktree's. A worktree that was made since, at the same place, is
/// another.
pub fn is_of(left: &Left, worktree: &Utf8Path) -> bool {
    let is_marked = || mark_of(worktree).is_ok_and(|mark| mark.is_of(&left.mark(), true));
    match git::confirmed_git_dir(worktree).ok().flatten() {
        Some(own) => {
            let made = || Some((git::made(&own).ok()??, Time::parse(&left.at).ok()?));
            let is_older = || left.token.is_some() || made().is_some_and(|(made, left)| made <= left);
            left.gitdir.as_deref() == Some(own.as_str()) && is_older() && is_marked()
        }
        None => left.gitdir.is_none() && left.by.is(worktree) && is_marked(),
    }
}

/// What git says of the worktree that holds a slot, if it is a linked one and its repository is still the one
/// that is at its path.
fn git_knows(claim: &Claim) -> Option<Result<git::LinkedWorktree>> {
    let entry = claim.claimed_gitdir.as_deref().map(Utf8Path::new)?;
    let is_same = match (claim.mark.repository, git::repository_of_linked(entry)) {
        // A repository that was put back from a backup has another place, and the token of its worktree.
        (Some(_), Some(repository)) => {
            is_still_there(claim.mark.repository, repository, claim)
                || (claim.mark.token.is_some() && token_in(entry) == claim.mark.token)
        }
        (Some(_), None) => false,
        (None, _) => has_host(claim),
    };
    is_same.then_some(())?;
    Some(git::linked_worktree(entry, claim.claimed_by.directory()?))
}

/// Whether a directory that can be examined is the one that was noted with a claim. Of what was not noted,
/// nothing is known.
fn is_still_there(noted: Option<Place>, directory: &Utf8Path, claim: &Claim) -> bool {
    let is_it = |place: Place, noted| place.is(noted) || (place.may_be(noted) && has_host(claim));
    noted.is_none_or(|noted| host::fs::place_of(directory).map_or(true, |place| is_it(place, noted)))
}

/// Whether this machine has the name of the one where a claim was made.
fn has_host(claim: &Claim) -> bool {
    claim.claimed_host.as_ref().is_none_or(|host| *host == host::identity::host_name())
}

/// Where the directory that holds a slot is now, if that is certain: where git has moved a linked worktree,
/// or `here`, if that was moved. A link may be left where it was.
fn moved(claim: &Claim, here: Option<&Utf8Path>) -> Option<Utf8PathBuf> {
    if claim.claimed_gitdir.is_none() {
        let was = claim.claimed_by.directory().filter(|path| path.is_absolute())?;
        let to = match host::fs::canonical(was) {
            Ok(to) => to,
            Err(error) if error.kind() == ErrorKind::NotFound => here?.to_owned(),
            Err(_) => return None,
        };
        let is_it = || mark_of(&to).is_ok_and(|mark| is_marked_as(claim, mark));
        return (to != was && is_it()).then_some(to);
    }
    match git_knows(claim)?.ok()? {
        git::LinkedWorktree::Moved { to, made } => {
            // A claim may be older than its worktree, which then has the token.
            let own = claim.claimed_gitdir.as_deref().and_then(|own| token_in(Utf8Path::new(own)));
            let is_its = (own.is_some() && own == claim.mark.token)
                || Time::parse(claim.claimed_at.as_ref()?).is_ok_and(|claimed| made <= claimed);
            let was = claim.claimed_by.directory()?;
            let there = git::linked_git_dir(was).ok()?;
            let is_gone = there.map(Utf8PathBuf::into_string) != claim.claimed_gitdir;
            let is_linked = || host::fs::canonical(was).is_ok_and(|now| now == to);
            (is_its && (is_gone || is_linked())).then_some(to)
        }
        git::LinkedWorktree::Removed | git::LinkedWorktree::Listed | git::LinkedWorktree::RepoMissing => None,
    }
}

/// Whether a directory with this mark is the checkout that made a claim, wherever it is now. A copy has the
/// token, too, and another place.
fn is_marked_as(claim: &Claim, mark: Mark) -> bool {
    let is_there = mark.place.zip(claim.mark.place).is_some_and(|(now, noted)| now.is(noted));
    let is_marked = mark.token.is_some() && mark.token == claim.mark.token;
    claim.claimed_gitdir.is_none() && is_marked && is_there && has_host(claim)
}
