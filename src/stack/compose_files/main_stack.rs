//! The project's main stack: the files of the repository's main worktree, without an overlay.

use std::collections::BTreeSet;

use anyhow::{Context as _, Error, Result};
use camino::Utf8PathBuf;

use super::place::Place;
use crate::compose::model::Model;
use crate::compose::project::{Project, name_of_directory};
use crate::compose::source::Source;
use crate::host::compose::ComposeCall;
use crate::host::fs::read_named;
use crate::host::git::{main_worktree, top_of};
use crate::names::COMPOSE_PROJECT_NAME;
use crate::port::Port;
use crate::spec::Spec;

/// The largest file that is read, in bytes.
const LIMIT: u64 = 16 << 20;

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
    pub(in crate::stack) fn main_project(&self) -> Option<Project> {
        let compose = self.declared.spec.compose.as_ref()?;
        let main = main_worktree(&self.worktree)?;
        Project::find(&self.declared.project_in(&main).ok()?, compose).ok()
    }
}

/// The name of the main stack of a project in any worktree: it names what slots may share. `None` if Compose
/// finds it in the files.
///
/// # Errors
/// When a file cannot be read.
pub fn name(project: &Project) -> Result<Option<String>> {
    let text = |path: &Utf8PathBuf| {
        let bytes = read_named(path, LIMIT).with_context(|| format!("could not read `{path}`"))?;
        Ok::<_, Error>(String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned())
    };
    for file in &project.env_files {
        if text(file)?.lines().any(names_the_project) {
            return Ok(None);
        }
    }
    for file in &project.files {
        if Source::read(&text(file)?).is_ok_and(|source| source.project.is_some()) {
            return Ok(None);
        }
    }
    let directory = &project.directory;
    let below = top_of(directory)?.and_then(|top| directory.strip_prefix(top).ok());
    let main = main_worktree(directory).zip(below).map(|(main, below)| main.join(below));
    let name = name_of_directory(main.as_deref().unwrap_or(directory));
    Ok(Some(name).filter(|name| !name.is_empty()))
}

/// Whether a line of an env file names the project.
fn names_the_project(line: &str) -> bool {
    let line = line.trim_start();
    let line = line.strip_prefix("export ").map_or(line, str::trim_start);
    line.strip_prefix(COMPOSE_PROJECT_NAME).is_some_and(|rest| rest.trim_start().starts_with('='))
}

/// The call of Compose that resolves the main stack's files.
pub fn call<'a>(main: &'a Project, profiles: &'a [String], without: &'a BTreeSet<String>) -> ComposeCall<'a> {
    let Project { worktree: _, directory, files, env_files } = main;
    ComposeCall { project: None, files, directory, env_files, profiles, without, engine: None }
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
            // No slot can have a port that needs privileges, so the base is another.
            let is_possible = first.parse().ok().and_then(Port::new).is_some();
            (is_possible && first != base.to_string()).then(|| {
                format!("the main stack publishes {target} on {real}, and slots.toml has the base {base} for `{name}`")
            })
        });
        differ.collect()
    }
}
