//! Pools that an earlier `kinfra init` made.

use super::finding::Findings;
use crate::names::COMPOSE_FILES;
use crate::spec::Spec;

/// How to get from such a pool to one that runs the project's own files.
pub(crate) const MOVE_OVER: &str = "to move over: release its slots, run `kinfra destroy`, delete slots.toml and templates/, and run `kinfra init`";

/// What such a pool is.
pub(crate) const COPIES: &str =
    "an earlier `kinfra init` made this pool from copies of the Compose files, which do not follow them";

/// Whether an earlier `kinfra init` made the pool: its templates are copies of the project's Compose files,
/// which a claim includes once more.
pub(crate) fn copies_compose_files(spec: &Spec) -> bool {
    let is_copy =
        |path: &str| path.starts_with("project/") && [".yaml", ".yml"].iter().any(|end| path.ends_with(end));
    let mut templates = spec.files.iter().map(|file| file.template.get_ref().as_str());
    let mut claimed = spec.claim.iter().map(|file| file.template.get_ref().as_str());
    spec.compose.is_none()
        && templates.any(is_copy)
        && claimed.any(|path| path == "override.yml")
        && spec.files.iter().any(|file| COMPOSE_FILES.contains(&file.path.get_ref().as_str()))
}

/// Tells of such a pool.
pub(super) fn check_age(spec: &Spec, findings: &mut Findings) {
    if copies_compose_files(spec) {
        findings.warning("templates", COPIES, MOVE_OVER);
    }
}
