//! `kinfra ports`

use anyhow::Result;

use super::output::{print, say, show_as_laid_out};
use crate::cli::PortsArgs;
use crate::fault::Exit;
use crate::host::invocation::Invocation;
use crate::host::terminal::columns_of_stdout;
use crate::report::ports;
use crate::which::spec_file::declared;

pub(super) fn run(args: &PortsArgs, invocation: &Invocation) -> Result<Exit> {
    let spec = declared(&args.list.pool.choice(), invocation)?.spec;
    if let Some(path) = &args.urls {
        let urls = ports::urls(&spec, path);
        if urls.is_empty() {
            say(
                "No port here is known to be one that a browser opens: `scheme` of a port in slots.toml says it\n",
            );
        }
        print(&urls)?;
    } else if args.list.json {
        print(&ports::ports_json(&spec))?;
    } else {
        show_as_laid_out(&ports::ports(&spec, columns_of_stdout()))?;
    }
    Ok(Exit::Done)
}
