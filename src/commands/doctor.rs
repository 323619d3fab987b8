//! `kinfra doctor`

use anyhow::Result;
use camino::Utf8Path;

use super::{approve, pool, print};
use crate::cli::DoctorArgs;
use crate::desired::Pool;
use crate::doctor::{examine, is_well, slots_in_use};
use crate::fault::{Exit, Fault};
use crate::host;
use crate::host::root::{REGISTRY, Root};
use crate::invocation::Invocation;
use crate::observe::{look_at_slots, registry};
use crate::registry::Registry;
use crate::repair::{Repair, repair};
use crate::report;

pub(super) fn run(args: &DoctorArgs, invocation: &Invocation) -> Result<Exit> {
    let declared = pool::declared(&args.pool, invocation)?;
    let pool = declared.pool(&args.pool, invocation)?;
    if args.repair {
        let claim_files: Vec<&Utf8Path> =
            declared.spec.claim.iter().map(|file| file.path.get_ref().as_path()).collect();
        return run_repair(args, &pool, &claim_files);
    }
    let findings = examine(&pool);
    print(&report::doctor::findings(&findings))?;
    Ok(if is_well(&findings) { Exit::Done } else { Exit::Failed })
}

fn run_repair(args: &DoctorArgs, pool: &Pool, claim_files: &[&Utf8Path]) -> Result<Exit> {
    let root = Root::open(&pool.root)?;
    let Some(root) = root.filter(|root| registry(root).is_err()) else {
        print("The registry can be read: there is nothing to repair.\n")?;
        return Ok(Exit::Done);
    };
    approve::can_ask(args.auto_approve)?;
    // Docker is asked before the lock is taken, which is never held while another program runs.
    let used = slots_in_use(&root, pool, claim_files)?;
    let propose = |root: &Root| -> Result<Repair> {
        let observed = look_at_slots(root, pool)?;
        let backup = root.backup().ok().flatten().and_then(|text| Registry::parse(&text).ok());
        Ok(repair(pool, &observed, backup, &root.broken_registry(), &used))
    };
    let shown = propose(&root)?;
    let aside = format!("{REGISTRY}.broken-{}", host::clock::stamp());
    print(&report::doctor::repair(&shown, &aside))?;
    approve::ask("Do you want to replace the registry?", args.auto_approve)?;

    let locked = root.lock(&pool::lock_policy(&args.lock, "kinfra doctor --repair"))?;
    if registry(locked.root()).is_ok() || propose(locked.root())? != shown {
        return Err(Fault::refused("the registry changed meanwhile: nothing was repaired, run again").into());
    }
    let text = shown.registry.to_text()?;
    locked.replace_broken_registry(&text, &aside)?;
    if !shown.from_backup {
        locked.replace_backup(&text)?;
    }
    print("Repaired the registry. `kinfra plan` shows how the pool is now.\n")?;
    Ok(Exit::Done)
}
