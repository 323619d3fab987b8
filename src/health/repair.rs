//! `kinfra doctor --repair`: looks at a registry that cannot be read, proposes another, and puts it in its
//! place.

use std::collections::BTreeSet;

use anyhow::{Error, Result};
use camino::{Utf8Path, Utf8PathBuf};

use super::finding::what_of;
use crate::desired::Pool;
use crate::fault::{Fault, advice_of};
use crate::file::Obstacle;
use crate::host::clock;
use crate::host::fs::{Found, exists};
use crate::host::lock::LockPolicy;
use crate::host::root::{BACKUP, REGISTRY, Root};
use crate::ledger;
use crate::names::CLAIM_FILE;
use crate::observe::{InUse, containers, look_at_slots};
use crate::registry::Registry;
use crate::registry::rebuild::{Repair, repair};
use crate::slot::SlotId;

/// Whether a pool's registry needs a repair.
#[derive(Debug)]
pub(crate) enum RepairNeed {
    /// There is no pool in this root yet.
    NoRoot(Utf8PathBuf),
    /// The registry at this path can be read.
    Readable(Utf8PathBuf),
    /// The registry cannot be read, and this could replace it.
    Broken(Box<RepairProposal>),
}

/// What a repair would do.
#[derive(Debug)]
pub(crate) struct RepairProposal {
    /// Why the registry cannot be read.
    pub(crate) why: String,
    /// The new registry.
    pub(crate) repair: Repair,
    /// The broken files that are kept, by their names.
    pub(crate) kept: Vec<&'static str>,
    /// What is added to those names.
    pub(crate) suffix: String,
    root: Root,
    /// The slots that show signs of use.
    used: BTreeSet<SlotId>,
}

/// Looks at the registry of a pool. `claim_files` are the files that a claim adds to a slot: a slot with one
/// of them is in use. Changes nothing.
///
/// # Errors
/// [`Fault`] when the registry may be whole, is a newer kinfra's, or Docker cannot say which slots have
/// containers.
pub(crate) fn look(pool: &Pool, claim_files: &[&Utf8Path]) -> Result<RepairNeed> {
    let Some(root) = Root::open(&pool.root)? else { return Ok(RepairNeed::NoRoot(pool.root.clone())) };
    if let Some(url) = pool.registry.as_ref().filter(|_| !exists(&root.registry_path()).unwrap_or(true)) {
        let what = format!("the pool's registry is in `{url}`, and no file of its root");
        return Err(Fault::refused(what)
            .advise("a server's database is restored by its administrator")
            .into());
    }
    let Err(broken) = ledger::read(&root, None) else {
        return Ok(RepairNeed::Readable(root.registry_path()));
    };
    if let Ok(Found::Other(Obstacle::Forbidden)) = root.dir().read(Utf8Path::new(REGISTRY), 0) {
        return Err(forbidden(broken));
    }
    // A newer kinfra's registry is whole. An older one must not replace it.
    if Registry::parse(&root.broken_registry()).is_err_and(|corrupt| corrupt.is_newer) {
        return Err(broken);
    }
    root.check_backup()?;
    // A registry is repaired as the pool that it was of.
    if let Ok(backup) = Registry::parse(&root.backup().ok().flatten().unwrap_or_default()) {
        backup.check_pool(&pool.applied_from, &pool.root)?;
    }
    // Docker comes before the lock, which is never held while another program runs.
    let used = slots_in_use(&root, pool, claim_files)?;
    let repair = propose(&root, pool, &root.broken_registry(), &used)?;
    let suffix = free_suffix(&root)?;
    let mut kept = vec![REGISTRY];
    if !repair.from_backup {
        kept.push(BACKUP);
    }
    kept.retain(|name| root.dir().has(name).unwrap_or(true));
    let why = what_of(&broken);
    Ok(RepairNeed::Broken(Box::new(RepairProposal { why, repair, kept, suffix, root, used })))
}

/// The error for a registry that kinfra has no permission to read: it may be intact.
fn forbidden(broken: Error) -> Error {
    let mut fault = Fault::refused("the registry may be intact, so it is not replaced");
    fault.advice = advice_of(&broken).map(str::to_owned);
    broken.context(fault)
}

fn propose(root: &Root, pool: &Pool, legible: &str, used: &BTreeSet<SlotId>) -> Result<Repair> {
    let backup = root.backup().ok().flatten().unwrap_or_default();
    Ok(repair(pool, &look_at_slots(root, pool)?, legible, &backup, used))
}

impl RepairProposal {
    /// Puts the new registry in the place of the broken one, if the proposal still is what the root calls
    /// for.
    ///
    /// # Errors
    /// [`Fault`] when the root changed since it was looked at, or the lock is held; else what failed.
    pub(crate) fn carry_out(self, pool: &Pool, policy: &LockPolicy<'_>) -> Result<()> {
        let Self { why: _, repair, kept, suffix, root, used } = self;
        let moved = root.was_moved();
        let locked = root.lock(policy)?.ok_or(moved)?;
        let legible = locked.root().broken_registry();
        let is_stale = ledger::read(locked.root(), None).is_ok()
            || propose(locked.root(), pool, &legible, &used)? != repair;
        if is_stale {
            let what = "the registry changed meanwhile: nothing was repaired";
            return Err(Fault::refused(what).advise("run `kinfra doctor --repair` again").into());
        }
        let text = repair.registry.to_text()?;
        locked.replace_broken_registry(&text, &legible, &format!("{REGISTRY}{suffix}"))?;
        if !repair.from_backup {
            let dir = locked.root().dir();
            if kept.contains(&BACKUP) {
                dir.rename_new(BACKUP, dir, &format!("{BACKUP}{suffix}"))?;
            }
            locked.replace_backup(&text)?;
        }
        locked.record_also(&ledger::change_of_repair(policy.command, repair.from_backup));
        Ok(())
    }
}

/// What is added to the names of the broken files: the time, and a number if that name is taken.
fn free_suffix(root: &Root) -> Result<String> {
    let stamp = format!(".broken-{}", clock::stamp());
    let mut suffix = stamp.clone();
    let mut count = 1;
    while root.dir().has(&format!("{REGISTRY}{suffix}"))? || root.dir().has(&format!("{BACKUP}{suffix}"))? {
        count += 1;
        suffix = format!("{stamp}-{count}");
    }
    Ok(suffix)
}

/// The slots that show signs of use: files of a claim in their directory, or containers.
///
/// # Errors
/// When docker is there and cannot say.
fn slots_in_use(root: &Root, pool: &Pool, claim_files: &[&Utf8Path]) -> Result<BTreeSet<SlotId>> {
    let containers = containers(pool, &Registry::default());
    let mut used = BTreeSet::new();
    for slot in root.slots()?.into_iter().chain(pool.slots.keys().copied()) {
        let has_claim_file = match root.slot(slot)? {
            Found::This(dir) => {
                let note = Utf8Path::new(CLAIM_FILE);
                let mut files = claim_files.iter().copied().chain([note]);
                files.any(|path| !matches!(dir.read(path, 0), Ok(Found::Nothing)))
            }
            Found::Nothing | Found::Other(_) => false,
        };
        let has_containers = match containers.of(slot) {
            Some(InUse::Yes) => true,
            Some(InUse::No) | None => false,
            Some(InUse::Unknown(said)) => {
                let what = format!("docker does not say which slots have containers ({said})");
                return Err(Fault::docker(what).advise("start Docker or fix that, and run it again").into());
            }
        };
        if has_claim_file || has_containers {
            used.insert(slot);
        }
    }
    Ok(used)
}
