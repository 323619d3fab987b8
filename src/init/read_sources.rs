//! Reads a project's Compose files as text, and the files that they lead to.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, anyhow};
use camino::{Utf8Path, Utf8PathBuf};

use super::compose_file::{ComposeFile, Role};
use super::text::interpolate::interpolate;
use super::text::node::{YamlNode, parse};
use crate::compose::project::Project;
use crate::dotenv::{self, Variables};
use crate::file::normal;
use crate::host::fs::read_named;
use crate::host::invocation::Invocation;
use crate::names::DOTENV;

/// The most that a file may be, in bytes.
const LIMIT: u64 = 16 << 20;

/// How many files of one project are read. It ends a chain of includes that never ends.
const MOST_FILES: usize = 200;

/// The files of a project.
#[derive(Debug, Default)]
pub(super) struct Sources {
    /// Those that could be read, the project's own first.
    pub(super) files: Vec<ComposeFile>,
    /// What is missing, in sentences.
    pub(super) missing: Vec<String>,
    /// Why a file could not be read, and which.
    pub(super) unreadable: Option<anyhow::Error>,
}

/// A file that is still to be read.
struct Wanted {
    path: Utf8PathBuf,
    directory: Utf8PathBuf,
    role: Role,
    variables: Variables,
    /// The file that leads to it.
    by: String,
}

/// Reads them. A file that cannot be read keeps no other from being read.
pub(super) fn read_sources(project: &Project, invocation: &Invocation) -> Sources {
    let mut sources = Sources::default();
    let mut variables = Variables::new();
    variables.extend(invocation.home.iter().map(|home| ("HOME".to_owned(), home.to_string())));
    for file in &project.env_files {
        variables.extend(values_of(file));
    }
    let own = project.files.iter().map(|path| Wanted {
        path: path.clone(),
        directory: project.directory.clone(),
        role: Role::Own,
        variables: variables.clone(),
        by: String::new(),
    });
    let mut wanted: Vec<Wanted> = own.collect();
    let mut seen = BTreeSet::new();
    let mut next = 0;
    while let Some(file) = wanted.get(next).filter(|_| next < MOST_FILES) {
        next += 1;
        if !seen.insert((file.path.clone(), file.role == Role::Extended)) {
            continue;
        }
        match read(file, project) {
            Ok(Some(source)) => {
                wanted.extend(led_to(&source, &mut sources.missing));
                sources.files.push(source);
            }
            Ok(None) => {
                let shown = file.path.strip_prefix(&project.worktree).unwrap_or(&file.path);
                sources.missing.push(format!("`{shown}`, named by {}, is not there", file.by));
            }
            Err(error) => drop(sources.unreadable.get_or_insert(error)),
        }
    }
    sources
}

fn read(file: &Wanted, project: &Project) -> Result<Option<ComposeFile>> {
    let shown = file.path.strip_prefix(&project.worktree).unwrap_or(&file.path).to_string();
    let bytes = read_named(&file.path, LIMIT).with_context(|| format!("could not read `{shown}`"))?;
    let Some(bytes) = bytes else { return Ok(None) };
    let text = String::from_utf8(bytes).map_err(|_| anyhow!("`{shown}` is not UTF-8 text"))?;
    let root = parse(&text).map_err(|unreadable| {
        anyhow!("cannot read `{shown}`, line {}: {}", unreadable.line, unreadable.message)
    })?;
    let Wanted { path, directory, role, variables, by: _ } = file;
    let (path, directory, variables) = (path.clone(), directory.clone(), variables.clone());
    Ok(Some(ComposeFile { path, shown, directory, role: *role, variables, root }))
}

/// The values that an env file gives. Lines that depend on other variables give none.
fn values_of(file: &Utf8Path) -> Variables {
    let Ok(Some(bytes)) = read_named(file, LIMIT) else { return Variables::new() };
    let text = String::from_utf8_lossy(&bytes);
    dotenv::read(&text)
        .unwrap_or_else(|_| text.lines().filter_map(|line| dotenv::read(line).ok()).flatten().collect())
}

/// The files that a file includes, and those with services that it extends.
fn led_to(source: &ComposeFile, missing: &mut Vec<String>) -> Vec<Wanted> {
    let text = |node: &YamlNode| node.text().map(|text| interpolate(text, &source.variables));
    let mut wanted = Vec::new();
    let mut want = |path: &str, directory: Option<Utf8PathBuf>, role: Role| {
        let is_remote = path.contains("://") || path.starts_with("git@") || path.starts_with("oci:");
        if is_remote || path.is_empty() {
            missing.push(format!("`{path}`, named by {}, is not read", source.shown));
            return;
        }
        let path = normal(&source.directory.join(path));
        let directory = directory.or_else(|| path.parent().map(Utf8Path::to_owned)).unwrap_or_default();
        let mut variables = values_of(&directory.join(DOTENV));
        variables.extend(source.variables.clone());
        wanted.push(Wanted { path, directory, role, variables, by: source.shown.clone() });
    };
    // What an extended file includes is not part of the project.
    let includes = source.root.get("include").filter(|_| source.role != Role::Extended);
    for item in includes.map(YamlNode::items).unwrap_or_default() {
        let long = item.get("path");
        let paths: Vec<String> = match (text(item), long) {
            (Some(path), _) => vec![path],
            (None, Some(long)) if !long.items().is_empty() => long.items().iter().filter_map(text).collect(),
            (None, long) => long.and_then(text).into_iter().collect(),
        };
        let directory = item.get("project_directory").and_then(text);
        let first = paths.first().map(|first| source.directory.join(first));
        let directory = match directory {
            Some(directory) => Some(normal(&source.directory.join(directory))),
            None => first.and_then(|first| normal(&first).parent().map(Utf8Path::to_owned)),
        };
        for path in &paths {
            want(path, directory.clone(), Role::Included);
        }
    }
    for (_, service) in source.root.get("services").map(YamlNode::entries).unwrap_or_default() {
        let file = service.get("extends").and_then(|extends| extends.get("file")).and_then(text);
        if let Some(file) = file {
            want(&file, None, Role::Extended);
        }
    }
    wanted
}
