//! `kinfra doctor`

use anyhow::Result;
use camino::Utf8Path;

use super::{approve, print};
use crate::cli::DoctorArgs;
use crate::desired::Pool;
use crate::fault::{Exit, Fault};
use crate::file::Obstacle;
use crate::health::doctor::{examine, is_well, slots_in_use, split_advice};
use crate::host;
use crate::host::fs::Found;
use crate::host::invocation::Invocation;
use crate::host::root::{BACKUP, REGISTRY, Root};
use crate::observe::{look_at_slots, registry};
use crate::registry::Registry;
use crate::registry::repair::{Repair, repair};
use crate::report;
use crate::which::spec_file as pool;

pub(crate) fn run(args: &DoctorArgs, invocation: &Invocation) -> Result<Exit> {
    let declared = pool::declared(&args.pool.choice(), invocation)?;
    let pool = declared.pool(&args.pool.choice(), invocation)?;
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
    let Some(root) = Root::open(&pool.root)? else {
        print(&format!("`{}` is not there yet: there is nothing to repair.\n", pool.root))?;
        return Ok(Exit::Done);
    };
    let path = root.registry_path();
    let Err(broken) = registry(&root) else {
        print(&format!("`{path}` can be read: there is nothing to repair.\n"))?;
        return Ok(Exit::Done);
    };
    if let Ok(Found::Other(Obstacle::Forbidden)) = root.dir().read(Utf8Path::new(REGISTRY), 0) {
        return Err(broken.context(Fault::refused("it may be whole, and is not replaced")));
    }
    // A newer kinfra's is whole, and an older one would take its place.
    if Registry::parse(&root.broken_registry()).is_err_and(|corrupt| corrupt.is_newer) {
        return Err(broken);
    }
    root.check_backup()?;
    // Docker is asked before the lock is taken, which is never held while another program runs.
    let used = slots_in_use(&root, pool, claim_files)?;
    let propose = |root: &Root, legible: &str| -> Result<Repair> {
        let backup = root.backup().ok().flatten().unwrap_or_default();
        Ok(repair(pool, &look_at_slots(root, pool)?, legible, &backup, &used))
    };
    let shown = propose(&root, &root.broken_registry())?;
    let suffix = free_suffix(&root)?;
    let mut kept = vec![REGISTRY];
    if !shown.from_backup {
        kept.push(BACKUP);
    }
    kept.retain(|name| root.dir().has(name).unwrap_or(true));
    print(&report::doctor::repair(&shown, &split_advice(&broken).0, &kept, &suffix))?;
    approve::ask("Do you want to replace the registry?", args.auto_approve)?;

    let locked = root.lock(&args.lock.policy("kinfra doctor --repair"))?;
    let legible = locked.root().broken_registry();
    if registry(locked.root()).is_ok() || propose(locked.root(), &legible)? != shown {
        return Err(Fault::refused("the registry changed meanwhile: nothing was repaired, run again").into());
    }
    let text = shown.registry.to_text()?;
    locked.replace_broken_registry(&text, &legible, &format!("{REGISTRY}{suffix}"))?;
    if !shown.from_backup {
        let dir = locked.root().dir();
        if kept.contains(&BACKUP) {
            dir.rename_new(BACKUP, dir, &format!("{BACKUP}{suffix}"))?;
        }
        locked.replace_backup(&text)?;
    }
    print("Repaired the registry. `kinfra plan` shows how the pool is now.\n")?;
    Ok(Exit::Done)
}

/// What the broken files get after their names: the time, and a number where that is taken.
fn free_suffix(root: &Root) -> Result<String> {
    let stamp = format!(".broken-{}", host::clock::stamp());
    let mut suffix = stamp.clone();
    let mut count = 1;
    while root.dir().has(&format!("{REGISTRY}{suffix}"))? || root.dir().has(&format!("{BACKUP}{suffix}"))? {
        count += 1;
        suffix = format!("{stamp}-{count}");
    }
    Ok(suffix)
}
