//! What each event of a tool comes to.

use std::io;

use anyhow::Result;
use camino::Utf8PathBuf;

use super::hook_claim::{archived, ended, set_up, started};
use super::hook_removal::remove;
use super::hook_worktree::create;
use super::session_claim::claimed;
use crate::cli::HookRunArgs;
use crate::fault::Exit;
use crate::hooks::event::{Event, Said, makes_worktree};
use crate::host::fs::Umask;
use crate::host::git::confirmed_repository_of;
use crate::host::git_hooks::is_new_worktree;
use crate::host::hook_input;
use crate::host::invocation::{Invocation, environment};

pub(super) fn answer(args: &HookRunArgs, umask: Umask, invocation: &Invocation) -> Result<Exit> {
    if args.event == Event::PostCheckout {
        let is_new = makes_worktree(&args.arguments) && is_new_worktree(&invocation.here, &environment())?;
        return if is_new {
            claimed(None, &at(None, invocation)).map(|_| Exit::Done)
        } else {
            Ok(Exit::Done)
        };
    }
    // These tools say nothing but where they are.
    if matches!(args.event, Event::Setup | Event::Archive) {
        let run = &at(None, invocation);
        return if args.event == Event::Setup { set_up(run) } else { archived(run) };
    }
    let said = Said::of(&hook_input::read(&io::stdin()))?;
    let invocation = &at(said.cwd.as_ref(), invocation);
    match args.event {
        Event::WorktreeCreate => create(said.name.as_deref(), umask, invocation),
        Event::WorktreeRemove => remove(said.worktree_path.as_deref(), umask, invocation),
        Event::SessionStart => started(said.session.as_ref(), invocation),
        Event::SessionEnd if !said.goes_on() => ended(said.session.as_ref(), invocation),
        Event::SessionEnd | Event::PostCheckout | Event::Setup | Event::Archive => Ok(Exit::Done),
    }
}

/// The run where the agent is, if that is in the repository in which the tool called its hook.
fn at(cwd: Option<&Utf8PathBuf>, run: &Invocation) -> Invocation {
    let own = confirmed_repository_of(&run.here);
    let is_ours =
        |cwd: &&Utf8PathBuf| cwd.is_absolute() && own.is_some() && confirmed_repository_of(cwd) == own;
    let here = cwd.filter(is_ours).cloned().unwrap_or_else(|| run.here.clone());
    Invocation { here, owner: None, is_by_agent: true, ..run.clone() }
}
