//! The root itself: its file system, registry, backup, lock and temporary files.

use camino::Utf8Path;

use super::finding::{Findings, Severity};
use super::permissions::{check_mode, check_open, way_out};
use crate::claims::whereabouts::Following;
use crate::desired::Pool;
use crate::fault::Fault;
use crate::file::Obstacle;
use crate::host::fs::Found;
use crate::host::root::{BACKUP, JOURNAL, LOCK, OLDER, REGISTRY, Root, TEMPORARY};
use crate::ledger::{self, Ledger, Stored};
use crate::observe::{ImportState, observe};
use crate::registry::Registry;
use crate::server::ServerUrl;
use crate::shown::count;

/// The most that a registry's backup may be, in bytes.
const BACKUP_LIMIT: u64 = 64 << 20;

/// Whether locks hold on the root's file system, and who may open it.
pub(super) fn check_root(root: &Root, findings: &mut Findings) {
    let path = root.path();
    match root.dir().shared_file_system() {
        Ok(None) => findings.fine("root", format!("`{path}`")),
        Ok(Some(kind)) => {
            let advice = if kind.refuses_locks() {
                "locks may not hold there: move the pool to a local file system"
            } else {
                "locks hold on this machine only: let no other one use the pool, or move it to a local file system"
            };
            findings.warning("root", format!("`{path}` is on {kind}"), advice);
        }
        Err(error) => findings.failure(Severity::Error, "root", &error),
    }
    check_open(path, findings);
    check_mode(root.dir(), ".", findings);
}

/// Reads the registry; `None` if that cannot be done. One that is on its way, or elsewhere than slots.toml
/// says, is not used.
pub(super) fn check_registry(
    root: Option<&Root>,
    (pool, ledger): (&Pool, Result<Option<Ledger>, Fault>),
    findings: &mut Findings,
) -> Option<Registry> {
    match (ledger, &pool.registry) {
        (Ok(Some(ledger)), Some(url)) => return check_server(&ledger, url, findings),
        (Ok(None), Some(url)) => {
            findings.fine("registry", format!("not applied yet: `kinfra apply` makes the pool in `{url}`"));
            return Some(Registry::default());
        }
        (Ok(_), None) => {}
        (Err(fault), _) => {
            findings.failure(Severity::Error, "registry", &fault.into());
            return None;
        }
    }
    let stored = root.map_or_else(|| Ok(Stored::default()), |root| ledger::read(root, None));
    let observed = match stored.and_then(|stored| observe(stored, root, pool)) {
        Ok(observed) => observed,
        Err(error) => {
            findings.failure(Severity::Error, "registry", &error);
            return None;
        }
    };
    let path = pool.root.join(REGISTRY);
    match (observed.is_applied, &observed.import) {
        (true, _) => {
            findings
                .fine("registry", format!("`{path}` has {}", count(observed.registry.slots.len(), "slot")));
        }
        (false, Some(ImportState::Pending { path, .. })) => {
            findings.fine("registry", format!("not there yet: `kinfra apply` imports `{path}`"));
        }
        (false, _) => {
            findings.fine("registry", format!("`{path}` is not there yet: `kinfra apply` makes it"));
        }
    }
    if let Some(ImportState::Changed(path)) = &observed.import {
        let advice = "kinfra no longer reads it: stop using the old tool, or take `import` out of slots.toml";
        findings.warning("import", format!("`{path}` changed after it was imported"), advice);
    }
    if let Some(root) = root {
        check_mode(root.dir(), REGISTRY, findings);
    }
    Some(observed.registry)
}

/// Asks the server of a registry. If it does not answer, what was last seen counts.
fn check_server(ledger: &Ledger, url: &ServerUrl, findings: &mut Findings) -> Option<Registry> {
    match ledger.read(Following::NoHolder) {
        Ok(Some(seen)) => {
            if let Some(age) = seen.age() {
                findings.failure(Severity::Error, "registry", &age.why.into());
            } else {
                let slots = count(seen.registry.slots.len(), "slot");
                findings.fine("registry", format!("it is in `{url}`, and has {slots}"));
            }
            Some(Registry::clone(&seen.registry))
        }
        Ok(None) => {
            findings.fine("registry", format!("not applied yet: `kinfra apply` makes the pool in `{url}`"));
            Some(Registry::default())
        }
        Err(error) => {
            findings.failure(Severity::Error, "registry", &error);
            None
        }
    }
}

pub(super) fn check_backup(root: &Root, findings: &mut Findings) {
    let path = root.path().join(BACKUP);
    check_mode(root.dir(), BACKUP, findings);
    let wrong = match root.dir().read(Utf8Path::new(BACKUP), BACKUP_LIMIT) {
        Ok(Found::This(content)) => match Registry::parse(&String::from_utf8_lossy(&content.bytes)) {
            Ok(_) => return findings.fine("backup", format!("`{path}`")),
            Err(corrupt) => format!("`{path}` is corrupt: {corrupt}"),
        },
        Ok(Found::Nothing) => {
            return findings.fine("backup", format!("`{path}` is not there: the next save makes it"));
        }
        Ok(Found::Other(Obstacle::Forbidden)) => format!("`{path}` is not readable"),
        Ok(Found::Other(obstacle)) => {
            let found = format!("`{path}` is {obstacle}");
            return findings.error("backup", found, "move it away: nothing can be saved");
        }
        Err(error) => format!("{error:#}"),
    };
    findings.warning("backup", wrong, "the next save replaces it");
}

pub(super) fn check_journal(root: &Root, findings: &mut Findings) {
    let path = root.path().join(JOURNAL);
    check_mode(root.dir(), JOURNAL, findings);
    check_mode(root.dir(), OLDER, findings);
    match root.journal_faults() {
        Ok(None) => {
            findings.fine("journal", format!("`{path}` is not there yet: the next change makes it"));
        }
        Ok(Some(faults)) if faults.is_empty() => findings.fine("journal", format!("`{path}`")),
        Ok(Some(faults)) => {
            for fault in &faults {
                findings.failure(Severity::Warning, "journal", fault);
            }
        }
        Err(error) => findings.failure(Severity::Warning, "journal", &error),
    }
}

/// Says whether the lock is held.
pub(super) fn check_lock(root: &Root, findings: &mut Findings) -> bool {
    let path = root.path().join(LOCK);
    let holder = root.lock_holder();
    match &holder {
        Ok(None) => findings.fine("lock", format!("`{path}` is free")),
        Ok(Some(holder)) => findings.warning("lock", format!("`{path}` is held by {holder}"), "wait for it"),
        Err(error) => findings.failure(Severity::Error, "lock", error),
    }
    check_mode(root.dir(), LOCK, findings);
    holder.is_ok_and(|holder| holder.is_some())
}

pub(super) fn check_temporary_files(root: &Root, findings: &mut Findings) {
    let path = root.path().join(TEMPORARY);
    match root.dir().dir(Utf8Path::new(TEMPORARY)) {
        Ok(Found::This(dir)) => match dir.names() {
            Ok(names) if names.is_empty() => findings.fine("temporary files", "none"),
            Ok(names) => {
                let found = format!("{} left in `{path}` by a run that was stopped", names.len());
                findings.warning(
                    "temporary files",
                    found,
                    "the next `kinfra apply` that writes removes them",
                );
            }
            Err(error) => findings.failure(Severity::Warning, "temporary files", &error),
        },
        Ok(Found::Nothing) => findings.fine("temporary files", "none"),
        Ok(Found::Other(obstacle)) => {
            let advice = way_out(obstacle, "move it away");
            findings.error("temporary files", format!("`{path}` is {obstacle}"), advice);
        }
        Err(error) => findings.failure(Severity::Error, "temporary files", &error),
    }
}
