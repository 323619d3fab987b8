//! The spec that a repository applied before, for a branch without a `slots.toml`. The index of pools knows
//! it.

use std::collections::BTreeSet;

use anyhow::Result;
use camino::{Utf8Path, Utf8PathBuf};

use super::index::IndexEntry;
use crate::fault::Fault;
use crate::host::fs::{canonical, exists};
use crate::host::git;
use crate::host::index::Index;
use crate::host::invocation::Invocation;
use crate::names::SPEC;

/// The repository that holds a directory, by its git directory. Outside of git a directory stands for itself.
pub(super) fn repository(dir: &Utf8Path) -> Utf8PathBuf {
    git::repository_of(dir).or_else(|| canonical(dir).ok()).unwrap_or_else(|| dir.to_owned())
}

/// The entries of the index that can be read.
pub(super) fn entries(invocation: &Invocation) -> Vec<IndexEntry> {
    let files = invocation.state.as_deref().and_then(|state| Index::below(state).files().ok());
    let entry = |(name, text): (String, Result<String, String>)| IndexEntry::parse(&name, &text.ok()?).ok();
    files.into_iter().flatten().filter_map(entry).collect()
}

/// The spec that the repository of a directory applied before, if it is still there. The one that would be
/// found in the same directory of the main worktree comes first.
///
/// # Errors
/// [`Fault`] when there are several others.
pub(super) fn spec_of(here: &Utf8Path, invocation: &Invocation) -> Result<Option<Utf8PathBuf>> {
    let Some(own) = git::repository_of(here) else { return Ok(None) };
    let is_own = |spec: &Utf8PathBuf| {
        let of_spec = || spec.parent().and_then(git::repository_of);
        exists(spec).unwrap_or(false) && of_spec().as_ref() == Some(&own)
    };
    let specs = entries(invocation).into_iter().filter_map(|entry| entry.origin.spec);
    let specs: BTreeSet<Utf8PathBuf> = specs.map(Utf8PathBuf::from).filter(is_own).collect();
    if let Some(nearest) = in_main_worktree(here)?.find(|spec| specs.contains(spec)) {
        return Ok(Some(nearest));
    }
    let mut specs = specs.into_iter();
    match (specs.next(), specs.next()) {
        (one, None) => Ok(one),
        (Some(one), Some(other)) => {
            let what = format!("no {SPEC} is here, and this repository has applied `{one}` and `{other}`");
            Err(Fault::spec(what).advise("name one of them with --spec").into())
        }
        (None, Some(_)) => Ok(None),
    }
}

/// Where the spec of a directory would be in the main worktree, the nearest place first.
fn in_main_worktree(here: &Utf8Path) -> Result<impl Iterator<Item = Utf8PathBuf>> {
    let top = git::top_of(here)?.unwrap_or(here);
    let below = here.strip_prefix(top).unwrap_or(Utf8Path::new("")).to_owned();
    let places = git::main_worktree_of(here).map(|main| {
        let dirs = below.ancestors().map(|dir| main.join(dir).join(SPEC));
        dirs.collect::<Vec<_>>()
    });
    Ok(places.into_iter().flatten())
}

/// Where this repository's spec is or was, if it cannot be used from here, and what to do about it.
pub(super) fn elsewhere(here: &Utf8Path, invocation: &Invocation) -> Option<(String, String)> {
    let main = git::main_worktree_of(here)?;
    let spec = in_main_worktree(here).ok()?.find(|spec| exists(spec).unwrap_or(false));
    if let Some(spec) = spec {
        let what = format!("`{spec}` was not applied yet");
        return Some((what, format!("run `kinfra apply` in `{main}`, and claim again")));
    }
    let mut applied = entries(invocation).into_iter().filter_map(|entry| entry.origin.spec);
    let gone = applied.find(|spec| {
        Utf8Path::new(spec).starts_with(&main) && !exists(spec.as_str().into()).unwrap_or(true)
    })?;
    let what = format!("`{gone}`, which this repository applied, is not there now");
    Some((what, format!("check out a branch that has it in `{main}`, or name another with --spec")))
}
