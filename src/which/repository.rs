//! The spec that a repository applied before, for a branch without a `slots.toml`. The index of pools knows
//! it.

use std::collections::BTreeSet;

use anyhow::Result;
use camino::{Utf8Path, Utf8PathBuf};

use super::index::IndexEntry;
use crate::fault::Fault;
use crate::host::fs::{canonical, exists};
use crate::host::git::{self, Located};
use crate::host::git_index;
use crate::host::index::Index;
use crate::host::invocation::Invocation;
use crate::host::side_by_side::side_by_side;
use crate::names::SPEC;
use crate::shown::{Paths, printable};

/// The repository that holds a directory, by its git directory. Outside of git a directory stands for itself.
pub(super) fn repository(dir: &Utf8Path) -> Utf8PathBuf {
    git::repository_of(dir).or_else(|| canonical(dir).ok()).unwrap_or_else(|| dir.to_owned())
}

/// The entries of the index that can be read.
pub fn entries(invocation: &Invocation) -> Vec<IndexEntry> {
    all_entries(invocation).unwrap_or_default()
}

/// The entry of the pool in a root, if it can be read.
pub fn entry_of(root: &Utf8Path, invocation: &Invocation) -> Option<IndexEntry> {
    let (index, name) = (Index::below(invocation.state.as_deref()?), IndexEntry::file_name(root));
    let text = index.text(&name).ok()??;
    IndexEntry::parse(&name, &text).ok()
}

/// [`entries`] of an index that must be readable.
fn all_entries(invocation: &Invocation) -> Result<Vec<IndexEntry>, Fault> {
    let files = invocation.state.as_deref().map(|state| Index::below(state).files()).transpose()?;
    let entry = |(name, text): (String, Result<String, String>)| IndexEntry::parse(&name, &text.ok()?).ok();
    Ok(files.into_iter().flatten().filter_map(entry).collect())
}

/// A project, by the places of its `slots.toml`: what of the index is its own can be told without a look at
/// another project's disk.
pub(super) struct Project {
    specs: Vec<Utf8PathBuf>,
    repository: Utf8PathBuf,
}

impl Project {
    /// The project of a directory.
    pub(super) fn of(here: &Utf8Path) -> Self {
        let here = canonical(here).unwrap_or_else(|_| here.to_owned());
        let (top, main, repository) = match git::located(&here) {
            Some(Located { top, main, repository }) => (top, main, repository),
            None => (&*here, None, None),
        };
        let below = here.strip_prefix(top).unwrap_or(Utf8Path::new(""));
        let specs = [Some(top), main.as_deref()].into_iter().flatten();
        let specs = specs.flat_map(|tree| places(tree, below)).collect();
        Self { specs, repository: repository.unwrap_or(here) }
    }

    /// Whether it has applied this pool.
    pub(super) fn has(&self, entry: &IndexEntry) -> bool {
        match &entry.origin.spec {
            Some(spec) => self.specs.iter().any(|own| own == spec),
            None => entry.repositories.contains(self.repository.as_str()),
        }
    }
}

/// The spec that the repository of a directory applied before, if it is still there. The one that would be
/// found in the same directory of the main worktree comes first.
///
/// # Errors
/// [`Fault`] when there are several others, or the index cannot be read.
pub(super) fn spec_of(here: &Utf8Path, invocation: &Invocation) -> Result<Option<Utf8PathBuf>> {
    let Some(own) = git::confirmed_repository_of(here) else { return Ok(None) };
    let repository_of_spec = |spec: &Utf8PathBuf| {
        let is_there = exists(spec).unwrap_or(false);
        spec.parent().filter(|_| is_there).and_then(git::repository_of)
    };
    let specs = all_entries(invocation)?.into_iter().filter_map(|entry| entry.origin.spec);
    let specs = side_by_side(specs.map(Utf8PathBuf::from).collect(), repository_of_spec).into_iter();
    let is_own = |repository: Option<Option<Utf8PathBuf>>| repository.flatten().as_ref() == Some(&own);
    let specs: BTreeSet<Utf8PathBuf> =
        specs.filter_map(|(spec, repository)| is_own(repository).then_some(spec)).collect();
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
    let below = below_top(here)?;
    Ok(git::main_worktree_of(here).into_iter().flat_map(move |main| places(&main, &below)))
}

/// Where the spec of a directory would be in each worktree of its repository, the main one first.
fn in_worktrees(here: &Utf8Path) -> Option<impl Iterator<Item = (Utf8PathBuf, Utf8PathBuf)>> {
    let below = below_top(here).ok()?;
    let place = move |tree: Utf8PathBuf| {
        let places = places(&tree, &below);
        places.into_iter().map(move |spec| (tree.clone(), spec))
    };
    Some(git::worktrees_of(here).into_iter().flat_map(place))
}

fn below_top(here: &Utf8Path) -> Result<Utf8PathBuf> {
    let top = git::top_of(here)?.unwrap_or(here);
    Ok(here.strip_prefix(top).unwrap_or(Utf8Path::new("")).to_owned())
}

fn places(tree: &Utf8Path, below: &Utf8Path) -> Vec<Utf8PathBuf> {
    below.ancestors().map(|dir| tree.join(dir).join(SPEC)).collect()
}

/// That a branch has no spec, where this repository's is or was, and what to do about it. `None` if the
/// repository has none.
pub(super) fn elsewhere(here: &Utf8Path, invocation: &Invocation) -> Option<Fault> {
    let paths = Paths { home: invocation.home.as_deref() };
    let branch = git::branch_of(here);
    let lacks = branch.map_or_else(
        || format!("no {SPEC} is here"),
        |branch| format!("branch `{}` has no {SPEC}", printable(&branch)),
    );
    let main = git::main_worktree_of(here);
    let is_main = |tree: &Utf8Path| main.as_deref() == Some(tree);
    let there = in_worktrees(here)?.find(|(_, spec)| exists(spec).unwrap_or(false));
    if let Some(gone) = applied_and_gone(main.as_deref(), invocation)
        && !there.as_ref().is_some_and(|(tree, _)| is_main(tree))
    {
        let what = format!(
            "{lacks}. `{}`, which this repository applied, is not there now",
            paths.show(Utf8Path::new(&gone))
        );
        let main = paths.show(main.as_deref().unwrap_or(here));
        let advice = format!("check out a branch that has it in `{main}`, or name another with --spec");
        return Some(Fault::refused(what).advise(advice));
    }
    let (tree, spec) = there?;
    let is_tracked =
        !is_main(&tree) || spec.strip_prefix(&tree).is_ok_and(|path| git_index::is_tracked(&tree, path));
    let (state, more) = if is_tracked {
        ("", "")
    } else {
        ("is not committed, and ", "; commit it, and other branches can have it")
    };
    let what = format!("{lacks}. `{}` {state}was not applied yet", paths.show(&spec));
    let advice = format!("run `kinfra apply` in `{}`, then again here{more}", paths.show(&tree));
    Some(Fault::refused(what).advise(advice))
}

/// A spec of a main worktree that was applied, and is not there now.
fn applied_and_gone(main: Option<&Utf8Path>, invocation: &Invocation) -> Option<String> {
    let main = main?;
    let mut applied = entries(invocation).into_iter().filter_map(|entry| entry.origin.spec);
    applied
        .find(|spec| Utf8Path::new(spec).starts_with(main) && !exists(spec.as_str().into()).unwrap_or(true))
}
