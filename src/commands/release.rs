//! `kinfra release`

use anyhow::Result;
use camino::Utf8Path;

use super::{print, say};
use crate::claims::files;
use crate::claims::files::Site;
use crate::claims::lease;
use crate::claims::lease::Kept;
use crate::cli::ReleaseArgs;
use crate::fault::{Exit, Fault};
use crate::host::invocation::Invocation;
use crate::host::root::LockedRoot;
use crate::registry::{Claim, Registry};
use crate::report;
use crate::slot::SlotId;
use crate::which::by_worktree::{claims, holder, pool_with, this_worktree};
use crate::which::spec_file::lock_policy;

pub(crate) fn run(args: &ReleaseArgs, invocation: &Invocation) -> Result<Exit> {
    let owner = this_worktree(invocation)?;
    let pool = pool_with(args.claim_id, &owner, &args.pool, invocation)?;
    let Some(root) = pool.applied()? else {
        if args.slot.is_some() || args.claim_id.is_some() {
            return Err(pool.missing().into());
        }
        // Where nothing was ever claimed there is nothing to give back, which is how it should be.
        say(&format!("note: {}\n", pool.missing()))?;
        print(&report::claim::released(None, None, &owner))?;
        return Ok(Exit::Done);
    };
    let locked = root.lock(&lock_policy(&args.lock, "kinfra release"))?;
    let (mut registry, text) = claims(locked.root())?;
    let holder = holder(&registry, &owner).to_owned();
    let released = lease::release(&mut registry, &holder, args.slot, args.claim_id, args.force);
    let released = released.map_err(|kept| kept_fault(&kept, &registry))?;
    if let Some((slot, claim)) = &released {
        give_back(&locked, *slot, claim, args.force)?;
        locked.save_registry(text.as_deref(), &registry.to_text()?)?;
    }
    if released.is_none() && args.slot.is_none() && args.claim_id.is_none() {
        files::tidy(&locked, &owner)?;
    }
    print(&report::claim::released(released.as_ref(), args.slot, &owner))?;
    Ok(Exit::Done)
}

/// Takes back what a worktree had with its slot, before the registry says that the slot is free. Every claim that ends, by
/// release or by reap, comes by here, and a slot whose stack still runs must not get further. With `force`, what cannot be
/// taken back is said, and stays.
pub(crate) fn give_back(locked: &LockedRoot, slot: SlotId, claim: &Claim, force: bool) -> Result<()> {
    let site = Site { root: locked, slot, worktree: Utf8Path::new(&claim.claimed_by) };
    match site.take_back(claim) {
        Ok(left) => Ok(say(&report::claim::left(&left))?),
        Err(error) if force => Ok(say(&format!("warning: files of slot {slot}'s claim stay: {error:#}\n"))?),
        Err(error) => Err(error.context(format!(
            "slot {slot} stays claimed: mend this, or `kinfra release {slot} --force` leaves its files"
        ))),
    }
}

/// Why a claim stays as it is, as an error.
pub(crate) fn kept_fault(kept: &Kept, registry: &Registry) -> Fault {
    let message = report::claim::kept(kept, registry);
    match kept {
        Kept::NoSuchSlot(_) => Fault::no_slot(message),
        Kept::HeldBy(_) | Kept::Late(..) => Fault::refused(message),
    }
}
