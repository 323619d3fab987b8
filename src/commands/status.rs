//! `kinfra status`

use anyhow::Result;

use super::print;
use super::slots::listed;
use crate::claims::held;
use crate::cli::ListArgs;
use crate::fault::Exit;
use crate::host;
use crate::host::invocation::Invocation;
use crate::report::{self, Paths};
use crate::which::by_worktree::this_worktree;

pub(crate) fn run(args: &ListArgs, invocation: &Invocation) -> Result<Exit> {
    let now = host::clock::now();
    let paths = Paths { home: invocation.home.as_deref() };
    let held = held::find(&args.pool, invocation)?.map(|mut held| {
        let dir = held.dir();
        held.entry.provisioned.infrastructure_path = dir.to_string();
        (listed(held.slot, held.entry, now), dir)
    });
    print(&match held {
        _ if args.json => report::slots::status_json(held.as_ref().map(|(listed, _)| listed)),
        Some((listed, dir)) => report::slots::status_text(&listed, &dir, now, paths),
        None => report::slots::status_none(&this_worktree(invocation)?, paths),
    })?;
    Ok(Exit::Done)
}
