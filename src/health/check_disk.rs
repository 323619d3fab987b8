//! The space on the disk of the root.

use super::finding::{Findings, Severity};
use crate::host::fs::Dir;

/// Below how many MiB a disk counts as nearly full.
const LOW_SPACE_MIB: u64 = 64;
/// Below how many new files a disk counts as nearly full.
const FEW_FILES: u64 = 1000;

pub(super) fn check_disk(dir: &Dir, findings: &mut Findings) {
    match dir.free_space() {
        Ok((mib, inodes)) if mib < LOW_SPACE_MIB || inodes < FEW_FILES => {
            let found = format!("{mib} MiB and {inodes} files left on the disk of `{}`", dir.path());
            findings.warning("disk space", found, "make room");
        }
        Ok((mib, _)) => findings.fine("disk space", format!("{mib} MiB left")),
        Err(error) => findings.failure(Severity::Warning, "disk space", &error),
    }
}
