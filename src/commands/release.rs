//! `kinfra release`

use anyhow::Result;

use super::claim::{applied, no_pool};
use super::{pool, print};
use crate::cli::ReleaseArgs;
use crate::fault::{Exit, Fault};
use crate::invocation::Invocation;
use crate::lease::{self, Kept};
use crate::observe::registry;
use crate::report;

pub(super) fn run(args: &ReleaseArgs, invocation: &Invocation) -> Result<Exit> {
    let declared = pool::declared(&args.pool, invocation)?;
    let owner = pool::this_worktree(invocation)?;
    let path = declared.root(&args.pool, invocation)?;
    let root = applied(&path)?.ok_or_else(|| no_pool(&path))?;
    let locked = root.lock(&pool::lock_policy(&args.lock, "kinfra release"))?;
    let (mut registry, text) = registry(locked.root())?;
    let holder = pool::holder(&registry, &owner).to_owned();
    let released = lease::release(&mut registry, &holder, args.slot, args.force);
    let released = released.map_err(|kept| match &kept {
        Kept::NoSuchSlot(_) => Fault::no_slot(report::claim::kept(&kept)),
        Kept::HeldBy(..) => Fault::refused(report::claim::kept(&kept)),
    })?;
    if released.is_some() {
        locked.save_registry(text.as_deref(), &registry.to_text()?)?;
    }
    print(&report::claim::released(released.as_ref(), args.slot, &owner))?;
    Ok(Exit::Done)
}
