//! The project's main stack: the files of the repository's main worktree, without an overlay.

use std::collections::BTreeSet;

use camino::Utf8PathBuf;

use super::place::Place;
use crate::compose::model::Model;
use crate::compose::project::Project;
use crate::host::docker::ComposeCall;
use crate::host::git::main_worktree;
use crate::spec::Spec;

/// The main stack.
#[derive(Debug)]
pub struct MainStack {
    /// The worktree that it runs from.
    pub worktree: Utf8PathBuf,
    /// What its files come to.
    pub model: Model,
}

impl Place<'_> {
    /// The files of the main stack. `None` if the repository has no main worktree with Compose files.
    pub(super) fn main_project(&self) -> Option<Project> {
        let compose = self.declared.spec.compose.as_ref()?;
        Project::find(&main_worktree(&self.worktree)?, compose).ok()
    }
}

/// The call of Compose that resolves the main stack's files.
pub(super) fn call<'a>(
    main: &'a Project,
    profiles: &'a [String],
    without: &'a BTreeSet<String>,
) -> ComposeCall<'a> {
    let Project { worktree: _, directory, files, env_files } = main;
    ComposeCall { project: None, files, directory, env_files, profiles, without }
}

impl MainStack {
    /// The ports on which it is not where slots.toml has slot 0, in sentences.
    pub fn other_ports(&self, spec: &Spec) -> Vec<String> {
        let base = |name| spec.ports.iter().find(|(port, _)| port == name).map(|(_, formula)| formula.base);
        let publish = spec.publish.iter().filter_map(|(name, publish)| Some((name, publish, base(name)?)));
        let differ = publish.filter_map(|(name, publish, base)| {
            let target = &publish.target;
            let service = self.model.services.get(&target.service)?;
            let is_it = |protocol: &str| protocol == target.protocol.to_string();
            let port = service.ports.iter().find(|port| port.target == target.port && is_it(&port.protocol))?;
            let real = port.published.as_ref()?;
            let first = real.split('-').next().unwrap_or(real);
            (first != base.to_string()).then(|| {
                format!("the main stack publishes {target} on {real}, and slots.toml has the base {base} for `{name}`")
            })
        });
        differ.collect()
    }
}
