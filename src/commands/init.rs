//! `kinfra init`

use anyhow::Result;

use super::output::{print, say};
use crate::cli::InitArgs;
use crate::fault::Exit;
use crate::host::invocation::Invocation;
use crate::init;
use crate::report;

pub(crate) fn run(args: &InitArgs, invocation: &Invocation) -> Result<Exit> {
    let draft = init::prepare(args.embedded, invocation)?;
    say(&report::init::basis(&draft.basis))?;
    print(&report::init::files(&draft))?;
    say(&report::init::notes(&draft))?;
    if args.dry_run {
        return Ok(Exit::Done);
    }
    init::write(&invocation.here, &draft)?;
    say("Wrote slots.toml and its templates. Next: `kinfra plan`\n")?;
    Ok(Exit::Done)
}
