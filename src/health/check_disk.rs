//! The space on the disk of the root.

use super::finding::{Findings, Severity};
use crate::host::fs::{Dir, is_low};

pub(super) fn check_disk(dir: &Dir, findings: &mut Findings) {
    match dir.free_space() {
        Ok(space @ (mib, inodes)) if is_low(space) => {
            let found = format!("{mib} MiB and {inodes} files left on the disk of `{}`", dir.path());
            findings.warning("disk space", found, "make room");
        }
        Ok((mib, _)) => findings.fine("disk space", format!("{mib} MiB left")),
        Err(error) => findings.failure(Severity::Warning, "disk space", &error),
    }
}
