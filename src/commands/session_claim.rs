//! The claim of a hook, for a session of an agent or for none.

use anyhow::Result;

use super::hook_slot::find;
use super::output::say;
use super::take::take;
use super::typed::claim_args;
use crate::claims::held::Held;
use crate::claims::pick::Grant;
use crate::claims::whereabouts::{Following, worktree_of};
use crate::cli::ClaimArgs;
use crate::hooks::event::Session;
use crate::host::invocation::Invocation;
use crate::report::{self, Paths};
use crate::which::by_worktree::Search;
use crate::which::embedded_pool;

/// The slot of the worktree here; claimed with a lease, if it has none. `None` where no pool is. A claim of
/// another session becomes one of several.
pub(super) fn claimed(session: Option<&Session>, run: &Invocation) -> Result<Option<Held>> {
    let (mut args, worktree) = (claim_args()?, worktree_of(&run.here)?);
    let there = find(&args, run)?;
    let note = there.as_ref().and_then(|held| held.entry.claim.as_ref()?.note.as_deref());
    let is_shared = note.is_some_and(|note| Session::is_other(note, session));
    if there.is_some() && !is_shared {
        return Ok(there);
    }
    let search = Search { choice: &args.pool.choice(), invocation: run };
    let mut pool = search.of(&worktree)?;
    let seen = pool.look(Following::NoHolder)?;
    if embedded_pool::check(&pool, seen.as_ref().map(|seen| &*seen.registry), &worktree, &search).is_err() {
        return Ok(None);
    }
    args.wishes.note = if is_shared { Some(Session::SEVERAL.to_owned()) } else { session.map(Session::note) };
    let take = |args: &ClaimArgs| {
        take(&args.pool, &args.wishes, (None, None), &args.lock.policy("kinfra hook"), run)
    };
    let claimed = take(&args)?;
    if matches!(claimed.grant, Grant::New(_)) {
        let paths = Paths { home: run.home.as_deref() };
        say(&report::claim::text(claimed.grant, &claimed.entry, paths));
    } else if session.is_some() && !is_shared {
        // Another session was faster by a moment.
        args.wishes.note = Some(Session::SEVERAL.to_owned());
        take(&args)?;
    }
    find(&args, run)
}
