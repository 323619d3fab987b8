//! `kinfra hook`

use anyhow::{Error, Result};

use super::approve;
use super::hook_run::answer;
use super::output::{say, show_as_laid_out};
use crate::cli::{HookFileArgs, HookVerb, Verb};
use crate::fault::{Exit, Fault};
use crate::hooks::install::{Aim, carry_out, prepare};
use crate::host::fs::Umask;
use crate::host::invocation::Invocation;
use crate::report::hook::{difference, done, excuse, nothing, question};

pub(super) fn run(args: &crate::cli::HookArgs, umask: Umask, invocation: &Invocation) -> Result<Exit> {
    match &args.verb {
        HookVerb::Install(args) => change(args, Aim::Install, invocation),
        HookVerb::Uninstall(args) => change(args, Aim::Uninstall, invocation),
        HookVerb::Run(args) => answer(args, umask, invocation),
    }
}

fn change(args: &HookFileArgs, aim: Aim, invocation: &Invocation) -> Result<Exit> {
    let change = prepare(args.tool, aim, &invocation.here)?;
    if !change.is_any() {
        say(&nothing(aim, args.tool.name()));
        return Ok(Exit::Done);
    }
    show_as_laid_out(&difference(&change))?;
    if args.dry_run {
        return Ok(Exit::Done);
    }
    approve::ask(question(aim), args.auto_approve)?;
    carry_out(&change)?;
    say(&done(&change));
    Ok(Exit::Done)
}

/// Whether a verb is a hook that fails nothing of what its tool does.
pub(super) fn is_courtesy(verb: &Verb) -> bool {
    matches!(verb, Verb::Hook(args) if matches!(&args.verb, HookVerb::Run(run) if !run.event.must_succeed()))
}

/// Says in one line why such a hook did nothing.
pub(super) fn excused(error: &Error) -> Exit {
    say(&excuse(error));
    Exit::Done
}

/// Says that a hook of a newer kinfra did nothing.
pub(super) fn unknown(event: &str) -> Exit {
    excused(&Fault::usage(format!("this kinfra knows no event `{event}`")).advise("update kinfra").into())
}
