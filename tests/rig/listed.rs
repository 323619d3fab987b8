//! Things as `docker` lists them for kinfra, for the stand-in for docker.

use serde_json::json;

/// A container, volume or network with its name, its Compose project, and kinfra's labels: the id of the
/// registry and its root. The slot is the project's. Without an id it has none of kinfra's labels.
pub(crate) fn thing(name: &str, project: &str, id: &str, root: &str) -> String {
    started_in("", name, project, id, root)
}

/// The same for a container that Compose was started for in a directory.
pub(crate) fn started_in(dir: &str, name: &str, project: &str, id: &str, root: &str) -> String {
    let slot = project.rsplit('-').next().filter(|_| !id.is_empty()).unwrap_or_default();
    json!([name, name, project, dir, id, root, slot]).to_string()
}
