//! The directories and files of the slots.

use std::collections::{BTreeMap, BTreeSet};

use super::finding::{Findings, Severity};
use super::permissions::{check_mode, check_open, warn_open_to_others, way_out};
use crate::claims::signs::Sign;
use crate::desired::Pool;
use crate::file::FileMode;
use crate::host::fs::{Dir, Found};
use crate::host::root::Root;
use crate::registry::{Entry, Registry};
use crate::slot::SlotId;

/// The most that is read of a slot's file, in bytes.
const FILE_LIMIT: u64 = 256 << 20;
/// What to do about an obstacle in a slot's place.
const MOVE_AWAY: &str = "move it away, then `kinfra apply`";
/// What to do about a directory or a file that is gone.
const RESTORES: &str = "`kinfra plan` says whether `kinfra apply` restores it";

/// Checks the slots of the registry, and everything else that has the name of a slot's directory.
pub(super) fn check_slots(root: &Root, registry: Option<&Registry>, pool: &Pool, findings: &mut Findings) {
    let before = findings.len();
    let entries = registry.map(|registry| &registry.slots);
    let entry = |slot| entries.and_then(|entries| entries.get(&slot));
    let there = root.slots().unwrap_or_default();
    let slots: BTreeSet<SlotId> =
        entries.into_iter().flat_map(BTreeMap::keys).copied().chain(there).collect();
    for slot in slots {
        let (subject, path) = (format!("slot {slot}"), root.path().join(slot.directory()));
        match root.slot(slot) {
            Ok(Found::This(dir)) => {
                check_open(&path, findings);
                check_mode(root.dir(), &slot.directory(), findings);
                if let Some(entry) = entry(slot) {
                    check_sign(root, slot, entry, findings);
                    check_files(slot, (&dir, entry), pool, findings);
                } else if registry.is_some() {
                    let advice = "`kinfra plan` says whether it would be adopted";
                    findings.warning(&subject, format!("`{path}` is not in the registry"), advice);
                }
            }
            Ok(Found::Nothing) => findings.warning(&subject, format!("`{path}` is not there"), RESTORES),
            Ok(Found::Other(obstacle)) => {
                findings.error(&subject, format!("`{path}` is {obstacle}"), way_out(obstacle, MOVE_AWAY));
            }
            Err(error) => findings.failure(Severity::Error, &subject, &error),
        }
    }
    if findings.len() == before && registry.is_some() {
        findings.fine("slots", "every slot has its directory and its files");
    }
}

/// Warns of a slot that shows a claim of which the registry does not know: it may be older than the claim.
fn check_sign(root: &Root, slot: SlotId, entry: &Entry, findings: &mut Findings) {
    let Ok(Some(sign)) = Sign::unknown_to(root, slot, entry) else { return };
    let found = format!("it shows {}: is the registry an older one?", sign.shown());
    findings.warning(&format!("slot {slot}"), found, sign.advice(slot));
}

fn check_files(slot: SlotId, (dir, entry): (&Dir, &Entry), pool: &Pool, findings: &mut Findings) {
    let subject = format!("slot {slot}");
    for file in entry.provisioned.files.keys() {
        let path = dir.path().join(file.as_path());
        let wanted = pool.slots.get(&slot).and_then(|slot| slot.files.get(file)).map(|file| file.mode);
        match dir.read(file.as_path(), FILE_LIMIT) {
            Ok(Found::This(content)) => {
                let meant = wanted.is_some_and(FileMode::is_open_to_others);
                if content.mode.is_open_to_others() && !meant {
                    warn_open_to_others(&path, findings);
                }
            }
            Ok(Found::Nothing) => findings.warning(&subject, format!("`{path}` is not there"), RESTORES),
            Ok(Found::Other(obstacle)) => {
                findings.error(&subject, format!("`{path}` is {obstacle}"), way_out(obstacle, MOVE_AWAY));
            }
            Err(error) => findings.failure(Severity::Error, &subject, &error),
        }
    }
}
