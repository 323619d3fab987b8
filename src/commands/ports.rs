//! `kinfra ports`

use anyhow::Result;

use super::output::print;
use crate::cli::ListArgs;
use crate::fault::Exit;
use crate::host::invocation::Invocation;
use crate::report::ports;
use crate::which::spec_file::declared;

pub(super) fn run(args: &ListArgs, invocation: &Invocation) -> Result<Exit> {
    let spec = declared(&args.pool.choice(), invocation)?.spec;
    print(&if args.json { ports::ports_json(&spec) } else { ports::ports(&spec) })?;
    Ok(Exit::Done)
}
