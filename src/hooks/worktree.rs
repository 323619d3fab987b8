//! A worktree without a slot.

use anyhow::Result;
use camino::{Utf8Path, Utf8PathBuf};

use crate::checkout::repository::Repository;
use crate::checkout::start::{Begun, StartRequest, begin};
use crate::host::fs::Umask;
use crate::host::invocation::Invocation;
use crate::host::signals::Interrupt;
use crate::identifier::Branch;
use crate::spec::WorktreePath;

/// Makes the worktree of a branch, or finds the one that is there. Its path.
///
/// # Errors
/// What git says. Nothing of it stays then.
pub fn without_slot(
    (branch, path): (&Branch, &Utf8Path),
    umask: Umask,
    run: &Invocation,
    interrupt: &Interrupt,
) -> Result<Utf8PathBuf> {
    let (template, home) = (WorktreePath::default(), run.home.as_deref());
    let request = StartRequest { branch, from: None, path: Some(path), template: &template, home, umask };
    let mut making = match begin(Repository::of(&run.here, umask)?, &request)? {
        Begun::There(path) => return Ok(path),
        Begun::ToMake(making) => making,
    };
    let path = making.path().to_owned();
    match making.make(true, interrupt) {
        Ok(()) => Ok(path),
        Err(error) => making.undo().and(Err(error)),
    }
}
