//! `kinfra demo`

use anyhow::Result;

use super::failure::after;
use super::output::show_as_laid_out;
use crate::cli::DemoArgs;
use crate::demo::make;
use crate::fault::Exit;
use crate::host::fs::Umask;
use crate::host::invocation::Invocation;
use crate::report::{self, Paths};

pub(super) fn run(args: &DemoArgs, umask: Umask, invocation: &Invocation) -> Result<Exit> {
    let demo = make(&args.dir, umask, invocation)?;
    let paths = Paths { home: invocation.home.as_deref() };
    after(format!("made `{}`", demo.dir), show_as_laid_out(&report::demo::text(&args.dir, &demo, paths)))?;
    Ok(Exit::Done)
}
