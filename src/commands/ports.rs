//! `kinfra ports`

use anyhow::Result;

use super::{pool, print};
use crate::cli::ListArgs;
use crate::fault::Exit;
use crate::invocation::Invocation;
use crate::report::table;

pub(super) fn run(args: &ListArgs, invocation: &Invocation) -> Result<Exit> {
    let spec = pool::declared(&args.pool, invocation)?.spec;
    print(&if args.json { table::ports_json(&spec) } else { table::ports(&spec) })?;
    Ok(Exit::Done)
}
