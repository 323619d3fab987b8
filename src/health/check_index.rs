//! This user's index of pools, which remembers what was applied.

use camino::Utf8Path;

use super::finding::{Findings, Severity};
use crate::host::index::Index;
use crate::which::neighbours::Neighbours;
use crate::which::trust::Trust;

/// What it is called among the findings.
const SUBJECT: &str = "index";

/// Whether the index can be read, and whether it has a pool that has slots.
pub(super) fn check_index(
    neighbours: &Neighbours,
    trust: &Trust,
    has_slots: bool,
    state: Option<&Utf8Path>,
    findings: &mut Findings,
) {
    if let Some(unread) = neighbours.unread() {
        return findings.failure(Severity::Error, SUBJECT, &unread.clone().into());
    }
    let Some(index) = state.map(Index::below) else {
        let found = "it is not known: neither HOME nor XDG_STATE_HOME is an absolute path";
        return findings.warning(SUBJECT, found, "set HOME, so that kinfra remembers what you applied");
    };
    if let Trust::Unknown(why) = trust {
        return findings.failure(Severity::Error, "git", &(**why).clone().into());
    }
    if *trust == Trust::NotGiven && has_slots {
        let found = format!("`{}` does not say that you applied this pool from here", index.path());
        let advice = "read its slots.toml, then trust it with `kinfra apply`";
        return findings.warning(SUBJECT, found, advice);
    }
    findings.fine(SUBJECT, format!("`{}`", index.path()));
}
