//! The slot that a hook finds or claims.

use anyhow::Result;

use super::output::say;
use super::take::take;
use super::typed::claim_args;
use crate::claims::held::{self, Held};
use crate::claims::whereabouts::{Following, worktree_of};
use crate::cli::ClaimArgs;
use crate::host::invocation::Invocation;
use crate::report::{self, Paths};
use crate::which::by_worktree::Search;
use crate::which::embedded_pool;

/// The slot of the worktree here; claimed with a lease, if it has none. `None` where no pool is.
pub(super) fn claimed(run: &Invocation) -> Result<Option<Held>> {
    let (args, worktree) = (claim_args()?, worktree_of(&run.here)?);
    if let Some(held) = find(&args, run)? {
        return Ok(Some(held));
    }
    let search = Search { choice: &args.pool.choice(), invocation: run };
    let mut pool = search.of(&worktree)?;
    let seen = pool.look(Following::NoHolder)?;
    if embedded_pool::check(&pool, seen.as_ref().map(|seen| &*seen.registry), &worktree, &search).is_err() {
        return Ok(None);
    }
    let claimed = take(&args.pool, &args.wishes, (None, None), &args.lock.policy("kinfra hook"), run)?;
    let paths = Paths { home: run.home.as_deref() };
    say(&report::claim::text(claimed.grant, &claimed.entry, paths));
    find(&args, run)
}

/// The slot of the worktree here.
pub(super) fn find(args: &ClaimArgs, run: &Invocation) -> Result<Option<Held>> {
    let search = Search { choice: &args.pool.choice(), invocation: run };
    Ok(held::find(&worktree_of(&run.here)?, &search)?.held)
}
