//! Which repositories may claim slots of the embedded pool: those that have used it. Any other repository is
//! more likely on a branch without its `slots.toml`.

use std::collections::BTreeSet;

use anyhow::Result;
use camino::{Utf8Path, Utf8PathBuf};

use super::by_worktree::{FoundPool, Search};
use super::choice::PoolChoice;
use super::index::IndexEntry;
use super::repository::{elsewhere, entries, entry_of, repository};
use super::spec_file::Declared;
use crate::claims::held_by::held_by;
use crate::claims::whereabouts::{look_at, noted};
use crate::fault::Fault;
use crate::host::git;
use crate::host::index::Index;
use crate::host::invocation::Invocation;
use crate::host::lock::LockPolicy;
use crate::registry::Registry;

/// Checks that a worktree may claim a slot of this pool. Only the embedded one may be refused: where this
/// repository has not applied it, and neither holds nor held one of its slots. A named spec or root is meant.
///
/// # Errors
/// [`Fault`] when it may not.
pub fn check(
    pool: &FoundPool,
    registry: Option<&Registry>,
    worktree: &Utf8Path,
    search: &Search<'_>,
) -> Result<(), Fault> {
    if !pool.is_embedded() || search.choice.is_named() {
        return Ok(());
    }
    let Search { invocation, .. } = search;
    let users = [repository(worktree), repository(&invocation.here)];
    let applied = entry_of(&pool.root, invocation);
    let is_noted =
        applied.is_some_and(|entry| users.iter().any(|user| entry.repositories.contains(user.as_str())));
    let is_used = |registry: &Registry| {
        look_at(worktree).is_ok_and(|own| held_by(registry, &noted(registry, &own)).is_some())
            || holders(registry).any(|holder| users.contains(&holder))
    };
    if is_noted || registry.is_some_and(is_used) {
        return Ok(());
    }
    let unused = "no slots.toml is here, and this repository has not used the embedded pool";
    match (elsewhere(worktree, invocation), registry) {
        (Some(fault), _) => Err(fault),
        (None, None) => Err(pool.missing().advise(
            "`kinfra init` writes a slots.toml for this project; `kinfra apply` creates the embedded pool",
        )),
        (None, Some(_)) => Err(Fault::refused(unused).advise(
            "name a spec with --spec, write one with `kinfra init`, or claim a slot of the embedded pool with \
             --embedded",
        )),
    }
}

/// Checks that what declares a pool is to be applied here. Only the embedded one may be refused: where a
/// worktree of this repository has a spec, and the repository has not used the embedded pool.
///
/// # Errors
/// [`Fault`] says where the spec is.
pub fn check_applied(declared: &Declared, choice: &PoolChoice, invocation: &Invocation) -> Result<(), Fault> {
    if declared.path.is_some() || choice.is_named() {
        return Ok(());
    }
    let user = repository(&invocation.here);
    if entries(invocation).iter().any(|entry| entry.repositories.contains(user.as_str())) {
        return Ok(());
    }
    elsewhere(&invocation.here, invocation).map_or(Ok(()), Err)
}

/// The repositories of the holders of slots, by what the registry says of them.
fn holders(registry: &Registry) -> impl Iterator<Item = Utf8PathBuf> {
    let claims = registry.slots.values().filter_map(|entry| entry.claim.as_ref());
    claims.flat_map(|claim| {
        let linked = claim.claimed_gitdir.as_deref().map(Utf8Path::new).and_then(git::repository_of_linked);
        let directory = claim.claimed_by.directory();
        let places = directory.map(|dir| [dir.join(".git"), dir.to_owned()]).into_iter().flatten();
        linked.map(Utf8Path::to_owned).into_iter().chain(places).collect::<Vec<_>>()
    })
}

/// Notes that the repository of a worktree uses the embedded pool, so that its later claims need no flag. A
/// directory outside of git is noted only if the embedded pool was asked for.
///
/// # Errors
/// When the index cannot be written.
pub fn note(
    pool: &FoundPool,
    worktree: &Utf8Path,
    search: &Search<'_>,
    policy: &LockPolicy<'_>,
) -> Result<()> {
    if !pool.is_embedded() {
        return Ok(());
    }
    let is_asked_for = search.choice.is_embedded();
    let user = git::repository_of(worktree).or_else(|| is_asked_for.then(|| repository(worktree)));
    let entry = || {
        let entry = entry_of(&pool.root, search.invocation);
        entry.filter(|entry| entry.origin.spec.is_none())
    };
    let index = search.invocation.state.as_deref().map(Index::below);
    let (Some(user), Some(seen), Some(index)) = (user, entry(), index) else { return Ok(()) };
    if seen.repositories.contains(user.as_str()) {
        return Ok(());
    }
    let _lock = index.lock(policy)?;
    let Some(mut entry) = entry() else { return Ok(()) };
    entry.repositories.insert(user.into_string());
    index.replace(&IndexEntry::file_name(entry.root()), &entry.to_text()?)
}

/// The repository that applies the embedded pool; none for another pool.
pub(super) fn users(is_embedded: bool, invocation: &Invocation) -> BTreeSet<String> {
    is_embedded.then(|| repository(&invocation.here).into_string()).into_iter().collect()
}
