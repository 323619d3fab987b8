//! `kinfra start`

use anyhow::Result;

use super::failure::{after, with_reason};
use super::live::of_compose;
use super::output::{print, say, show_as_laid_out};
use super::slot_of::renewed;
use super::starting::show;
use super::worktree_of_branch::worktree;
use crate::checkout::within;
use crate::cli::{HolderArgs, SlotArgs, StartWorktreeArgs};
use crate::fault::Exit;
use crate::host::fs::Umask;
use crate::host::invocation::Invocation;
use crate::host::lock::LockPolicy;
use crate::host::signals::Interrupt;
use crate::report::checkout::{Started, json, next, stays};
use crate::report::{self, Paths};
use crate::stack::up::request::Means;

pub(super) fn run(mut args: StartWorktreeArgs, umask: Umask, invocation: &Invocation) -> Result<Exit> {
    // Each step is for another directory.
    args.pool = args.pool.from(&invocation.here);
    let (args, interrupt) = (&args, Interrupt::listen()?);
    let policy = LockPolicy { interrupt: Some(&interrupt), ..args.lock.policy("kinfra start") };
    let made = worktree(args, umask, (&policy, &interrupt), invocation);
    let (path, is_new, claimed) = with_reason(made, args.json)?;
    let (paths, there) = (Paths { home: invocation.home.as_deref() }, within(&path, invocation));
    say(&report::claim::text(claimed.grant, &claimed.entry, paths));
    let started = Started { branch: &args.branch, path: &path, is_new, slot: claimed.grant.slot() };
    if args.no_up {
        let printed = if args.json { print(&json(&started, None)) } else { Ok(()) };
        after(format!("made the worktree `{path}`"), printed)?;
        say(&next(&path));
        return Ok(Exit::Done);
    }
    let output = of_compose();
    let means = Means { policy, invocation: &there, interrupt: &interrupt, umask, output };
    let slot = SlotArgs { pool: args.pool.clone(), slot: None, of: HolderArgs { holder: None, owner: None } };
    let up = renewed(&slot, &policy, &there).and_then(|held| show(held, &args.request(), &means));
    let up = with_reason(up, args.json).inspect_err(|_| say(&stays(&started)))?;
    let exit = up.exit();
    say(&if exit == Exit::Done { String::new() } else { stays(&started) });
    let printed = match (args.json, exit) {
        (true, _) => print(&json(&started, Some(&up))),
        (false, Exit::Done) => show_as_laid_out(&report::up::text(&up)),
        (false, _) => Ok(()),
    };
    if exit == Exit::Done {
        after(format!("started the stack of slot {}", up.slot), printed)?;
        say(&next(&path));
    }
    Ok(exit)
}
