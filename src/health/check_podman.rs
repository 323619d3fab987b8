//! Podman in place of Docker.

use super::finding::Findings;
use crate::host::engine;

/// Says once that kinfra is tested with Docker, where `docker` talks to Podman.
pub(super) fn check_podman(findings: &mut Findings) {
    if engine::is_podman() {
        let found = "best effort: `docker` talks to Podman, and kinfra is tested with Docker";
        findings.warning("podman", found, "use Docker if something goes wrong that works there");
    }
}
