//! `kinfra skill`

use anyhow::Result;

use super::approve;
use super::output::{say, show_as_laid_out};
use crate::cli::{SkillArgs, SkillVerb};
use crate::fault::Exit;
use crate::hooks::install::carry_out;
use crate::hooks::skill::prepare;
use crate::host::invocation::Invocation;
use crate::report::hook::{difference, done};

pub(super) fn run(args: &SkillArgs, invocation: &Invocation) -> Result<Exit> {
    let SkillVerb::Install(args) = &args.verb;
    let change = prepare(args.path.as_deref(), &invocation.here)?;
    if !change.is_any() {
        say("Nothing to do: the skill is there\n");
        return Ok(Exit::Done);
    }
    let is_new = change.old.is_none();
    show_as_laid_out(&difference(&change))?;
    if args.dry_run {
        return Ok(Exit::Done);
    }
    // A file that is there may have words of its own.
    approve::ask("Do you want to replace this text?", args.auto_approve || is_new)?;
    carry_out(&change)?;
    say(&done(&change));
    Ok(Exit::Done)
}
