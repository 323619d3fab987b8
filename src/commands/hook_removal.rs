//! The removal of a worktree that an agent had kinfra make.

use anyhow::Result;
use camino::Utf8Path;

use super::output::say;
use super::removing;
use super::typed::{BRIEFLY, typed};
use crate::checkout::done::{Named, Sought, find, forget, give_back};
use crate::checkout::repository::Repository;
use crate::cli::Verb;
use crate::fault::{Exit, Fault};
use crate::hooks::place::is_of_agent;
use crate::host::clock::now;
use crate::host::fs::{Umask, exists, real};
use crate::host::invocation::Invocation;
use crate::report::checkout::{given_back, kept};
use crate::which::by_worktree::Search;

/// Removes a worktree, with its slot. Work that is nowhere else is kept. Where the worktree is gone, its slot
/// is given back, and git forgets it.
pub(super) fn remove(path: Option<&Utf8Path>, umask: Umask, run: &Invocation) -> Result<Exit> {
    let path = path.ok_or_else(|| Fault::usage("stdin does not say the `worktree_path`"))?;
    let repository = Repository::of(&run.here, umask)?;
    if !is_of_agent(path, &repository) {
        return Err(Fault::refused(format!("`{path}` is no worktree of an agent in this repository")).into());
    }
    let Verb::Done(args) = typed(&[&["done", "--discard"][..], &BRIEFLY].concat())? else {
        return Err(Fault::usage("no done").into());
    };
    if exists(path)?
        && let Sought::There(leaving) = find(repository, Named::Path(path))?
    {
        return removing::remove(&args, &leaving, (&[], Utf8Path::new("")), run);
    }
    let gone = real(path);
    let mut pool = Search { choice: &args.pool.choice(), invocation: run }.of(&gone)?;
    let (released, _) = give_back(&gone, &mut pool, &args.lock.policy("kinfra hook"))?;
    say(&given_back(&released, &gone));
    released.not_clean.map_or(Ok(()), Err)?;
    // What git knows of it would be in the way of another one with its name.
    let repository = Repository::of(&run.here, umask)?;
    if let Some(worktree) = repository.at(&gone).filter(|_| !exists(&gone).unwrap_or(true))
        && let Some(keeps) = forget(&repository, worktree, now())?
    {
        say(&kept(&keeps));
    }
    Ok(Exit::Done)
}
