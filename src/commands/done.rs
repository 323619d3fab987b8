//! `kinfra done`

use anyhow::Result;
use camino::Utf8PathBuf;

use super::remnant::end;
use super::removing::remove;
use crate::checkout::done::{Named, Sought, find};
use crate::checkout::meanwhile;
use crate::checkout::repository::Repository;
use crate::cli::DoneArgs;
use crate::fault::Exit;
use crate::file::RelPath;
use crate::host::fs::Umask;
use crate::host::invocation::Invocation;
use crate::which::by_worktree::Search;
use crate::which::spec_file::Declared;

pub(super) fn run(args: &DoneArgs, umask: Umask, invocation: &Invocation) -> Result<Exit> {
    let sought = seek(args, umask, invocation);
    let (sought, declared) = sought.map_err(|error| meanwhile(&invocation.here).map_or(error, Into::into))?;
    match sought {
        Sought::There(leaving) => {
            let below = declared.as_ref().map_or(Ok(Utf8PathBuf::new()), Declared::below_top)?;
            let compose = declared.and_then(|declared| declared.spec.compose);
            let copied: Vec<RelPath> = compose.map(|compose| compose.copy).unwrap_or_default();
            remove(args, &leaving, (&copied, &below), invocation)
        }
        Sought::Gone(remnant) => end(args, *remnant, invocation),
    }
}

/// The worktree that is meant, and the slots.toml here.
fn seek(args: &DoneArgs, umask: Umask, invocation: &Invocation) -> Result<(Sought, Option<Declared>)> {
    let (here, home) = (&invocation.here, invocation.home.as_deref());
    let repository = Repository::of(here, umask)?;
    // A repository without a pool has worktrees, too.
    let pool = Search { choice: &args.pool.choice(), invocation }.here().ok();
    let declared = pool.and_then(|pool| pool.declared);
    let template = declared.as_ref().map(|declared| declared.spec.worktree.clone()).unwrap_or_default();
    let named = args.name.as_ref().map(|name| {
        let by_path = here.join(name.as_str());
        let is_path = repository.with_branch(name).is_none()
            && (repository.at(&by_path).is_some() || name.as_str().starts_with(['.', '/']));
        if is_path { (None, by_path) } else { (Some(name), repository.place(&template, name, home)) }
    });
    let named = match &named {
        Some((Some(branch), place)) => Named::Branch(branch, place),
        Some((None, path)) => Named::Path(path),
        None => Named::Here(here),
    };
    Ok((find(repository, named)?, declared))
}
