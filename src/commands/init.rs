//! `kinfra init`

use anyhow::Result;

use super::output::{say, show_as_laid_out};
use crate::cli::InitArgs;
use crate::fault::{Exit, Fault};
use crate::host::invocation::Invocation;
use crate::init::{self, Wanted};
use crate::report;

pub(crate) fn run(args: &InitArgs, invocation: &Invocation) -> Result<Exit> {
    if args.update {
        return update(args.dry_run, invocation);
    }
    let wanted = if args.embedded { Wanted::Embedded } else { Wanted::Compose(&args.file) };
    let draft = init::prepare(wanted, invocation)?;
    say(&report::init::basis(&draft.basis));
    show_as_laid_out(&report::init::files(&draft)).map_err(Fault::unchanged)?;
    say(&report::init::notes(&draft.notes));
    if args.dry_run {
        return Ok(Exit::Done);
    }
    let was_missing = init::write(&invocation.here, &draft)?;
    say(&report::init::written(&draft, was_missing));
    Ok(Exit::Done)
}

fn update(is_dry: bool, invocation: &Invocation) -> Result<Exit> {
    let update = init::prepare_update(invocation)?;
    say(&report::init::read(&update.files, update.unasked.as_deref()));
    show_as_laid_out(&report::init::changes(&update)).map_err(Fault::unchanged)?;
    say(&report::init::notes(&update.notes));
    if update.old == update.new {
        say("Nothing to add: slots.toml knows every published port\n");
    } else if !is_dry {
        init::write_update(&update)?;
        say("Changed slots.toml. Next: `kinfra plan --update`\n");
    }
    Ok(Exit::Done)
}
