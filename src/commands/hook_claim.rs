//! The slot of a worktree in which a tool begins to work, or ends.

use anyhow::Result;

use super::hook_slot::{find, release_if};
use super::output::print;
use super::session_claim::claimed;
use super::typed::claim_args;
use crate::claims::environment::Change;
use crate::cli::ClaimArgs;
use crate::fault::Exit;
use crate::hooks::env_file::{VARIABLE, add};
use crate::hooks::event::Session;
use crate::host::git::{confirmed_git_dir, top_of};
use crate::host::invocation::{Invocation, environment};
use crate::report;
use crate::stack::compose_files::variables::of_slot;

/// An agent begins: a linked worktree gets a slot, and the agent its variables.
pub(super) fn started(session: Option<&Session>, run: &Invocation) -> Result<Exit> {
    let args = claim_args()?;
    let held = if is_linked(run)? { claimed(session, run)? } else { find(&args, run)? };
    let Some(held) = held else { return Ok(Exit::Done) };
    let ClaimArgs { lock, .. } = args;
    let policy = lock.policy("kinfra hook");
    let Some(held) = held.trusted()?.renew(&policy)? else { return Ok(Exit::Done) };
    // What it is told of needs no Docker. Its variables may.
    print(&report::hook::context(held.slot, held.worktree()))?;
    let variables = environment();
    if let Some(file) = variables.get(VARIABLE) {
        let change = Change::to_slot(of_slot(&held, &policy, run)?, &variables);
        add(file, &report::env::shell(&change))?;
    }
    Ok(Exit::Done)
}

/// An agent ends: a slot that this session claimed, and in which nothing was started, is free for others.
pub(super) fn ended(session: Option<&Session>, run: &Invocation) -> Result<Exit> {
    let Some(note) = session.map(Session::note) else { return Ok(Exit::Done) };
    release_if(run, |held| {
        let claim = held.entry.claim.as_ref();
        held.entry.started.is_none() && claim.is_some_and(|claim| claim.note.as_ref() == Some(&note))
    })
}

/// A tool has made a worktree: it gets a slot.
pub(super) fn set_up(run: &Invocation) -> Result<Exit> {
    if is_linked(run)? { claimed(None, run).map(|_| Exit::Done) } else { Ok(Exit::Done) }
}

/// A tool is about to remove a worktree: its slot is free for others. Its data stays until they need it.
pub(super) fn archived(run: &Invocation) -> Result<Exit> {
    if is_linked(run)? { release_if(run, |_| true) } else { Ok(Exit::Done) }
}

fn is_linked(run: &Invocation) -> Result<bool> {
    Ok(top_of(&run.here)?.map(confirmed_git_dir).transpose()?.flatten().is_some())
}
