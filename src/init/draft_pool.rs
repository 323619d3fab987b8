//! The facts from which every file of a drafted pool is written.

use std::collections::BTreeMap;

use camino::{Utf8Component, Utf8Path, Utf8PathBuf};

use super::formulas::{Formulas, Remedies};
use super::project::{ComposeFile, Project};

/// How many slots a new pool has.
pub(super) const SLOTS: u16 = 4;

/// A project's pool before its files are written.
pub(super) struct DraftPool<'a> {
    pub(super) project: &'a Project,
    pub(super) formulas: &'a Formulas,
    pub(super) remedies: &'a Remedies,
    /// What the names of its variables start with.
    pub(super) prefix: String,
    /// The path of each Compose file in a slot's directory.
    slot_paths: BTreeMap<Utf8PathBuf, String>,
}

impl<'a> DraftPool<'a> {
    pub(super) fn new(project: &'a Project, formulas: &'a Formulas, remedies: &'a Remedies) -> Self {
        let (prefix, slot_paths) = (env_prefix(project), slot_paths(&project.files));
        Self { project, formulas, remedies, prefix, slot_paths }
    }

    /// The path of a Compose file in a slot's directory.
    pub(super) fn slot_path(&self, file: &Utf8Path) -> &str {
        self.slot_paths.get(file).map_or("", String::as_str)
    }

    /// Whether a slot has a copy of a file.
    pub(super) fn copies(&self, file: &Utf8Path) -> bool {
        self.slot_paths.contains_key(file)
    }

    /// Whether the project's files include others, whose directory depends on the worktree too.
    pub(super) fn has_includes(&self) -> bool {
        self.project.files.len() > self.project.layers
    }
}

/// The pool's name as the start of a variable. If the project has variables that start like this, `KINFRA_`
/// goes before it: kinfra must not set a variable that means something else to the project.
fn env_prefix(project: &Project) -> String {
    let name: String = project.name.to_uppercase().replace('-', "_");
    let name =
        if name.starts_with(|first: char| first.is_ascii_digit()) { format!("_{name}_") } else { name + "_" };
    let uses = |start: &str| project.files.iter().any(|file| file.text.contains(&format!("{start}{name}")));
    if uses("$") || uses("${") { format!("KINFRA_{name}") } else { name }
}

/// A path in the slot's directory for every file: `project/…`, with `up` in place of `..`.
fn slot_paths(files: &[ComposeFile]) -> BTreeMap<Utf8PathBuf, String> {
    let mut paths = BTreeMap::new();
    for file in files {
        let component = |component: Utf8Component<'_>| {
            if component == Utf8Component::ParentDir {
                "up".to_owned()
            } else {
                component.as_str().to_owned()
            }
        };
        let plain = file.path.components().map(component).collect::<Vec<_>>().join("/");
        let mut path = format!("project/{plain}");
        while paths.values().any(|taken| *taken == path) {
            path = path.replacen("project/", "project/up/", 1);
        }
        paths.insert(file.path.clone(), path);
    }
    paths
}
