//! The worktree of a branch, with a slot: made, or found where it is.

use anyhow::{Error, Result};
use camino::Utf8PathBuf;

use super::output::say;
use super::take::{take, take_for};
use crate::checkout::done::give_back;
use crate::checkout::start::{Begun, Making, StartRequest, begin};
use crate::checkout::{goes_on, repository::Repository, within};
use crate::claims::{claim::Claimed, claimant::Purpose, pick::Grant};
use crate::cli::StartWorktreeArgs;
use crate::host::{fs::Umask, invocation::Invocation, lock::LockPolicy, signals::Interrupt};
use crate::report::checkout::{made, not_undone};
use crate::which::{by_worktree::Search, choice::absolute};

/// The worktree, and its slot. What this run made for it is gone if it fails.
pub(super) fn worktree(
    args: &StartWorktreeArgs,
    umask: Umask,
    (policy, interrupt): (&LockPolicy<'_>, &Interrupt),
    run: &Invocation,
) -> Result<(Utf8PathBuf, bool, Claimed)> {
    let pool = Search { choice: &args.pool.choice(), invocation: run }.here()?;
    let template = pool.declared.map(|declared| declared.spec.worktree).unwrap_or_default();
    let path = args.path.as_deref().map(|path| absolute(path, run)).transpose()?;
    let (from, path, home) = (args.from.as_deref(), path.as_deref(), run.home.as_deref());
    let request = StartRequest { branch: &args.branch, from, path, template: &template, home, umask };
    let files = |path: &Utf8PathBuf| take(&args.pool, &args.wishes, (None, None), policy, &within(path, run));
    let mut making = match begin(Repository::of(&run.here, umask)?, &request)? {
        Begun::There(path) => return files(&path).map(|claimed| (path, false, claimed)),
        Begun::ToMake(making) => making,
    };
    let (path, pool) = (making.path().to_owned(), (&args.pool, &args.wishes));
    let advance = take_for(Purpose::Worktree, pool, (args.slot, Some(&path)), policy, run);
    let is_new = matches!(&advance, Ok((Claimed { grant: Grant::New(_), .. }, _)));
    let whole = advance.and_then(|(first, _)| {
        goes_on(interrupt)?;
        making.make(is_new, interrupt)?;
        say(&made(&path, &args.branch));
        let claimed = Claimed { grant: first.grant, ..files(&path)? };
        goes_on(interrupt).map(|()| claimed)
    });
    whole.map_err(|why| undo(args, (making, is_new), policy, run, why)).map(|claimed| (path, true, claimed))
}

/// Undoes what this run made, and says what it cannot undo.
fn undo(
    args: &StartWorktreeArgs,
    (making, is_new): (Making, bool),
    policy: &LockPolicy<'_>,
    run: &Invocation,
    why: Error,
) -> Error {
    let (path, choice) = (making.path().to_owned(), args.pool.choice());
    let release = || give_back(&path, &mut Search { choice: &choice, invocation: run }.of(&path)?, policy);
    let released = if is_new { release().map(drop) } else { Ok(()) };
    released.and_then(|()| making.undo()).unwrap_or_else(|error| say(&not_undone(&path, &error)));
    why
}
