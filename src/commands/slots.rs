//! `kinfra slots`

use anyhow::Result;

use super::{pool, print, say};
use crate::cli::ListArgs;
use crate::fault::Exit;
use crate::host::root::Root;
use crate::invocation::Invocation;
use crate::observe::registry;
use crate::registry::Registry;
use crate::report::{self, Paths};

pub(super) fn run(args: &ListArgs, invocation: &Invocation) -> Result<Exit> {
    let declared = pool::declared(&args.pool, invocation)?;
    let path = declared.root(&args.pool, invocation)?;
    let registry = match Root::open(&path)? {
        Some(root) => registry(&root)?.0,
        None => Registry::default(),
    };
    let paths = Paths { home: invocation.home.as_deref() };
    if args.json {
        print(&report::table::slots_json(&registry))?;
    } else if registry.slots.is_empty() {
        let root = paths.show(&path);
        say(&format!("No slots in {root} yet: `kinfra apply` creates those of {}\n", declared.origin))?;
    } else if let Some((primary, _)) = declared.spec.ports.first() {
        print(&report::table::slots(&registry, primary, paths))?;
    }
    Ok(Exit::Done)
}
