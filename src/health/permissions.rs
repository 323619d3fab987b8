//! Permissions that let other users in, or keep this one out, and how to mend them.

use camino::Utf8Path;

use super::finding::Findings;
use crate::file::Obstacle;
use crate::host::closed::Closed;
use crate::host::fs::Dir;
use crate::shown::word;

/// Warns if other users may open a file or directory in `dir`. The name `.` stands for the directory itself.
pub(super) fn check_mode(dir: &Dir, name: &str, findings: &mut Findings) {
    let path = if name == "." { dir.path().to_owned() } else { dir.path().join(name) };
    if dir.mode_of(name).is_some_and(|mode| mode & 0o077 != 0) {
        warn_open_to_others(&path, findings);
    }
}

pub(super) fn warn_open_to_others(path: &Utf8Path, findings: &mut Findings) {
    let advice = format!("chmod go= {}", word(path.as_str()));
    findings.warning("permissions", format!("`{path}` is open to other users"), advice);
}

/// Says that a directory of a pool is closed to its own user.
pub(super) fn check_open(path: &Utf8Path, findings: &mut Findings) {
    if let Some(closed) = Closed::to_new_files(path) {
        findings.error("permissions", closed.to_string(), closed.advice());
    }
}

/// What to do about an obstacle: `otherwise`, unless it is only another user's.
pub(super) fn way_out(obstacle: Obstacle, otherwise: &str) -> &str {
    if obstacle == Obstacle::Forbidden { "make it yours with `sudo chown`" } else { otherwise }
}
