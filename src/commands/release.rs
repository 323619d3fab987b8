//! `kinfra release`

use anyhow::Result;

use super::{pool, print};
use crate::cli::ReleaseArgs;
use crate::fault::{Exit, Fault};
use crate::host::root::Root;
use crate::invocation::Invocation;
use crate::lease::{self, Denied};
use crate::observe::registry;
use crate::report::claim::held;

pub(super) fn run(args: &ReleaseArgs, invocation: &Invocation) -> Result<Exit> {
    let declared = pool::declared(&args.pool, invocation)?;
    let owner = pool::this_worktree(invocation)?;
    let path = declared.root(&args.pool, invocation)?;
    let root = Root::open(&path)?.ok_or_else(|| super::claim::no_pool(&path))?;
    let locked = root.lock(&pool::lock_policy(&args.lock, "kinfra release"))?;
    let (mut registry, text) = registry(locked.root())?;
    let released = lease::release(&mut registry, owner.as_str(), args.slot, args.force);
    let released = released.map_err(|denied| match denied {
        Denied::Taken { slot, claim } => {
            let advice = "run this there, or give --force if nobody uses it any more";
            Fault::refused(format!("slot {slot} is {}: {advice}", held(&claim)))
        }
        Denied::NoSuchSlot(slot) => {
            Fault::no_slot(format!("the pool has no slot {slot}: `kinfra slots` lists them"))
        }
        Denied::Full | Denied::HoldsAnother(_) | Denied::Unusable(_) => {
            Fault::refused("the slot cannot be released")
        }
    })?;
    match (released, args.slot) {
        (Some((slot, claim)), _) => {
            locked.save_registry(text.as_deref(), &registry.to_text()?)?;
            print(&format!("Released slot {slot}, which was {}\n", held(&claim)))?;
        }
        (None, Some(slot)) => print(&format!("Slot {slot} is free already\n"))?,
        (None, None) => print(&format!("`{owner}` holds no slot\n"))?,
    }
    Ok(Exit::Done)
}
