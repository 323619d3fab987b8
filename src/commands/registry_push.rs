//! `kinfra registry push`

use anyhow::Result;

use super::approve;
use super::failure::after;
use super::output::show;
use crate::cli::MoveArgs;
use crate::fault::{Exit, Fault};
use crate::host::invocation::Invocation;
use crate::host::root::PUSHED;
use crate::report::registry;
use crate::which::by_worktree::Search;
use crate::which::kept_in::{is_moved, note_server, server_of};

pub(super) fn push(args: &MoveArgs, invocation: &Invocation) -> Result<Exit> {
    let search = Search { choice: &args.pool.choice(), invocation };
    let pool = search.here()?;
    pool.trusted()?;
    let url = pool.declared.as_ref().and_then(|declared| declared.spec.registry.clone());
    let url = url.ok_or_else(|| {
        Fault::refused(format!("{} names no server", pool.origin))
            .advise("write its url into `[registry]`: `url = \"postgres://db.example/infra\"`")
    })?;
    if is_moved(&pool.root, search.applied_server(&pool.root).as_ref(), &url)? {
        show(&registry::is_there(&url))?;
        return Ok(Exit::Done);
    }
    let ledger = server_of(&url, (&pool.root, &pool.name), invocation)?;
    show(&registry::would_push(&pool.name, &ledger.to_push()?, &url))?;
    approve::ask("Do you want to move the registry?", args.auto_approve)?;
    let policy = args.lock.policy("kinfra registry push");
    ledger.push(&policy)?;
    note_server(&pool.root, Some(url.clone()), invocation, &policy)?;
    after("the registry was moved", show(&registry::pushed(&pool.root.join(PUSHED), &url)))?;
    Ok(Exit::Done)
}
