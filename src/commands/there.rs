//! The worktree that `--for` names, which may be gone.

use anyhow::Result;
use camino::Utf8Path;

use crate::claims::refusal::holds_none;
use crate::claims::whereabouts::worktree_named;
use crate::cli::HolderArgs;
use crate::fault::Fault;
use crate::host::fs::{exists, is_directory, real};
use crate::host::invocation::Invocation;
use crate::which::choice::absolute;

/// The run as if it were in the worktree whose slot is meant, and for the owner. The worktree may be gone.
///
/// # Errors
/// [`Fault`] when a path is named that is no directory's.
pub(super) fn there(of: &HolderArgs, invocation: &Invocation) -> Result<Invocation> {
    let Some(path) = &of.holder else {
        let owner = of.owner.clone().or_else(|| invocation.owner.clone());
        return Ok(Invocation { owner, ..invocation.clone() });
    };
    let here = absolute(path, invocation)?;
    // Where there is a file, the worktree that was there is gone.
    if path.as_str().is_empty() || is_directory(&here) {
        worktree_named(path, &invocation.here)?;
    }
    // The directory above `..` is not above what it leads to.
    let here = real(&here);
    // The owner of the environment is one of the worktree here.
    Ok(Invocation { here, owner: of.owner.clone(), ..invocation.clone() })
}

/// That the worktree whose slot is meant holds none: it is not there, or it needs to claim one.
pub(super) fn none(of: &HolderArgs, worktree: &Utf8Path) -> Fault {
    match &of.holder {
        Some(path) if !is_directory(worktree) => {
            let is_there = exists(worktree).unwrap_or(true);
            let what = if is_there { "is no directory" } else { "does not exist" };
            Fault::usage(format!("`{path}`, from --for, {what}, and no claim has it"))
        }
        Some(_) | None => match &of.owner {
            Some(owner) => Fault::no_slot(format!("`{worktree}` holds no slot for {owner}")),
            None => holds_none(worktree),
        },
    }
}
