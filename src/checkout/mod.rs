//! Worktrees of branches, each with its slot: making one and removing one, so that no work is lost.

pub mod done;
pub mod kept;
pub mod listing;
pub mod repository;
pub mod start;
pub mod work;

use anyhow::Result;
use camino::{Utf8Path, Utf8PathBuf};

use crate::fault::Fault;
use crate::host::fs::{exists, is_directory};
use crate::host::git;
use crate::host::invocation::Invocation;
use crate::host::plot::Plot;
use crate::host::signals::Interrupt;

/// A run as if it were in another worktree, as deep below its top as it is here, if it has that directory.
pub fn within(worktree: &Utf8Path, run: &Invocation) -> Invocation {
    let top = git::top_of(&run.here).ok().flatten();
    let below = top.and_then(|top| run.here.strip_prefix(top).ok()).filter(|below| *below != "");
    let below = below.map(|below| worktree.join(below)).filter(|below| is_directory(below));
    // An owner is one in the directory of its own run.
    Invocation { here: below.unwrap_or_else(|| Utf8PathBuf::from(worktree)), owner: None, ..run.clone() }
}

/// Stops what is not to go on.
///
/// # Errors
/// [`Fault`] when the user asked to stop.
pub fn goes_on(interrupt: &Interrupt) -> Result<()> {
    if interrupt.is_requested() {
        return Err(Fault::interrupted("stopped: what this run made is undone").into());
    }
    Ok(())
}

fn being_removed(path: &Utf8Path) -> Fault {
    Fault::locked(format!("another `kinfra done` removes the worktree `{path}`")).advise("wait for it")
}

/// What git says of a directory makes no sense while another removal is at it. Says so, if one is.
pub fn meanwhile(here: &Utf8Path) -> Option<Fault> {
    if !exists(here).unwrap_or(true) {
        return Some(Fault::refused(format!("`{here}` is gone")).advise("go to another directory"));
    }
    here.ancestors().find(|dir| matches!(Plot::hold(dir), Ok(None))).map(being_removed)
}
