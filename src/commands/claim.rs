//! `kinfra claim`

use anyhow::Result;

use super::output::{print, say};
use super::sign::Sign;
use crate::claims::claimant::{ClaimRequest, Claimant};
use crate::claims::pick::Wanted;
use crate::claims::wait::wait;
use crate::claims::whereabouts::{Following, worktree_named, worktree_of};
use crate::cli::ClaimArgs;
use crate::fault::Exit;
use crate::host;
use crate::host::invocation::Invocation;
use crate::host::signals::Interrupt;
use crate::report::{self, Paths};
use crate::which::branch_spec::other_than_applied;
use crate::which::by_worktree::Search;
use crate::which::embedded_pool;

pub(super) fn run(args: &ClaimArgs, invocation: &Invocation) -> Result<Exit> {
    let choice = if args.embedded { args.pool.embedded() } else { args.pool.choice() };
    let search = Search { choice: &choice, invocation };
    let (worktree, mut pool) = if let Some(named) = &args.owner {
        let worktree = worktree_named(named, &invocation.here)?;
        (worktree.clone(), search.of_named(&worktree)?)
    } else {
        let worktree = worktree_of(&invocation.here)?;
        (worktree.clone(), search.of(&worktree)?)
    };
    let paths = Paths { home: invocation.home.as_deref() };
    let seen = pool.look(Following::Of(&worktree))?;
    embedded_pool::check(&pool, seen.as_ref().map(|seen| &*seen.registry), &worktree, &search)?;
    let other = other_than_applied(&pool.root, &worktree, &choice, invocation)?;
    say(&report::claim::which(&pool, other.as_deref(), paths))?;
    let seen = seen.ok_or_else(|| pool.missing())?;
    let wanted = Wanted::of(args.profile.clone(), args.slot);
    let request = ClaimRequest { worktree, wanted, lease: args.lease, note: args.note.clone() };
    let claimant = Claimant::new(&request, &pool, invocation, args.lock.policy("kinfra claim"));
    let claimed = match args.wait {
        None => claimant.ask(seen, None)?.map_err(|refusal| refusal.error)?,
        Some(timeout) => {
            let mut sign = Sign::new();
            wait(&claimant, seen, timeout, &Interrupt::listen()?, &mut |progress| sign.show(progress))?
        }
    };
    // Without the note, the next claim needs the flag again.
    let _ = embedded_pool::note(&pool, &request.worktree, &search);
    say(&report::claim::remarks(&claimed, host::clock::now(), paths))?;
    print(&if args.json {
        report::claim::json(&claimed)
    } else {
        report::claim::text(claimed.grant, &claimed.entry, paths)
    })?;
    Ok(Exit::Done)
}
