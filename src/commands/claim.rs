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
use crate::host::invocation::Invocation;
use crate::host::signals::Interrupt;
use crate::report::{self, Paths};
use crate::which::by_worktree::Search;

pub(super) fn run(args: &ClaimArgs, invocation: &Invocation) -> Result<Exit> {
    let search = Search { choice: &args.pool.choice(), invocation };
    let (worktree, mut pool) = if let Some(named) = &args.owner {
        let worktree = worktree_named(named, &invocation.here)?;
        (worktree.clone(), search.of_named(&worktree)?)
    } else {
        let worktree = worktree_of(&invocation.here)?;
        (worktree.clone(), search.of(&worktree)?)
    };
    let wanted = match (&args.profile, args.slot) {
        (Some(profile), _) => Wanted::AtLeast(profile.clone()),
        (None, Some(slot)) => Wanted::Slot(slot),
        (None, None) => Wanted::Any,
    };
    let seen = pool.applied(Following::Of(&worktree))?;
    let request = ClaimRequest { worktree, wanted, lease: args.lease, note: args.note.clone() };
    let claimant = Claimant::new(&request, &pool, invocation, args.lock.policy("kinfra claim"));
    let claimed = match args.wait {
        None => claimant.ask(seen, None)?.map_err(|refusal| refusal.error)?,
        Some(timeout) => {
            let mut sign = Sign::new();
            wait(&claimant, seen, timeout, &Interrupt::listen()?, &mut |progress| sign.show(progress))?
        }
    };
    let paths = Paths { home: invocation.home.as_deref() };
    say(&report::claim::remarks(&claimed, paths))?;
    print(&if args.json {
        report::claim::json(&claimed)
    } else {
        report::claim::text(claimed.grant, &claimed.entry, paths)
    })?;
    Ok(Exit::Done)
}
