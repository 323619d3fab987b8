//! `kinfra registry pull`

use anyhow::Result;

use super::approve;
use super::failure::after;
use super::output::{say, show};
use crate::claims::signs::Sign;
use crate::cli::PullArgs;
use crate::fault::{Exit, Fault};
use crate::host::invocation::Invocation;
use crate::host::root::REGISTRY;
use crate::ledger::MadeHere;
use crate::report::registry;
use crate::which::by_worktree::Search;
use crate::which::kept_in::{note_server, server_of};

pub(super) fn pull(args: &PullArgs, invocation: &Invocation) -> Result<Exit> {
    let PullArgs { leave_others, moving } = args;
    let search = Search { choice: &moving.pool.choice(), invocation };
    let pool = search.here()?;
    pool.trusted()?;
    let url = search.applied_server(&pool.root).ok_or_else(|| {
        Fault::refused(format!("the registry of the pool in `{}` is a file there, on no server", pool.root))
    })?;
    if pool.declared.as_ref().is_some_and(|declared| declared.spec.registry.is_some()) {
        say(&registry::still_named(&pool.origin));
    }
    let ledger = server_of(&url, (&pool.root, &pool.name), invocation)?;
    let (file, policy) = (pool.root.join(REGISTRY), moving.lock.policy("kinfra registry pull"));
    // A claim that was made in a root has its sign there.
    let leaving: Option<MadeHere> = leave_others.then_some(Sign::shows);
    let Some((there, others)) = ledger.to_pull(leaving)? else {
        ledger.let_go(&policy)?;
        note_server(&pool.root, None, invocation, &policy)?;
        after("the server was let go of", show(&registry::nothing_there(&pool.name, &url)))?;
        return Ok(Exit::Done);
    };
    show(&registry::would_pull(&pool.name, &there, (&file, &url)))?;
    show(&registry::left_behind(&others))?;
    approve::ask("Do you want to move the registry?", moving.auto_approve)?;
    ledger.pull(leaving, &policy)?;
    note_server(&pool.root, None, invocation, &policy)?;
    after("the registry was moved", show(&registry::pulled(&file)))?;
    Ok(Exit::Done)
}
