//! Reads a project: what its Compose files come to, and their texts.

use std::collections::BTreeSet;

use anyhow::{Result, anyhow};
use camino::{Utf8Path, Utf8PathBuf};

use super::compose_file::{ComposeFile, Role};
use super::draft::Reading;
use super::images::Dockerfiles;
use super::isolation::ImageVolumes;
use super::read_sources::{Sources, read_sources};
use super::text;
use super::text::node::YamlNode;
use crate::compose::model::{Model, Mount, Service};
use crate::compose::project::Project;
use crate::fault::Fault;
use crate::host::compose::{ComposeCall, config};
use crate::host::docker::Answer;
use crate::host::engine::image_volumes as image_volumes_of;
use crate::host::fs::{exists, read_named};
use crate::host::invocation::Invocation;
use crate::names::DOTENV;
use crate::stack::compose_files::main_stack;
use crate::stack::compose_files::resolve::EVERY_PROFILE;

/// The most that a Dockerfile may be, in bytes.
const LIMIT: u64 = 1 << 20;

/// Reads it, through Compose if that is there. `name` is the name of the pool.
///
/// # Errors
/// Which file cannot be read, or that there are no services.
pub(super) fn read(name: &str, project: &Project, invocation: &Invocation) -> Result<Reading> {
    let Sources { files: sources, missing, unreadable } = read_sources(project, invocation);
    // Volumes and networks that slots share have the main stack's names.
    let main = main_stack::name(project)?;
    let (model, unasked, notes) = match ask_compose(main.as_deref(), project) {
        Ok(model) => (model, None, Vec::new()),
        Err(why) => {
            if let Some(error) = unreadable {
                return Err(error);
            }
            refuse_without_services(&sources)?;
            let (model, notes) = text::model::model(main.as_deref().unwrap_or(name), &sources);
            let unset = unset_variable(&why).map(|name| {
                format!("`{name}` has no value, which is not the files' fault: set it in `.env`, a start needs it too")
            });
            (model, Some(why), unset.into_iter().chain(missing).chain(notes).collect())
        }
    };
    if model.services.is_empty() {
        refuse_without_services(&sources)?;
    }
    let below = |file: &Utf8PathBuf| file.strip_prefix(&project.worktree).unwrap_or(file).to_owned();
    Ok(Reading {
        dockerfiles: dockerfiles(&model, project),
        image_volumes: image_volumes(&model, project),
        copy: copied(project, &sources),
        model,
        sources,
        names: project.files.iter().map(below).collect(),
        files: Vec::new(),
        unasked,
        notes,
    })
}

/// What the files come to, or why Compose could not be asked.
fn ask_compose(name: Option<&str>, project: &Project) -> Result<Model, String> {
    let (profiles, none) = ([EVERY_PROFILE.to_owned()], BTreeSet::new());
    let call = ComposeCall { project: name, ..main_stack::call(project, &profiles, &none) };
    match config(&call) {
        Answer::Is(json) => {
            Model::parse(&json).map_err(|error| format!("it printed something else than its config: {error}"))
        }
        Answer::NoCommand => Err("it is not there".to_owned()),
        Answer::NoDaemon => Err("it has no daemon".to_owned()),
        Answer::Silent(said) | Answer::Failed(said) => Err(said),
    }
}

/// What images declare as volumes, of the services that mount something from outside the worktree. The engine
/// is not needed: without it, and for an image that is not there, custom decides.
fn image_volumes(model: &Model, project: &Project) -> ImageVolumes {
    let mut volumes = ImageVolumes::new();
    let is_outside = |service: &Service| {
        let mut binds = service.volumes.iter().filter(|mount| !mount.read_only).filter_map(Mount::bind);
        binds.any(|path| !path.starts_with(&project.worktree))
    };
    for (name, service) in model.services.iter().filter(|(_, service)| is_outside(service)) {
        let Some(image) = &service.image else { continue };
        match image_volumes_of(image) {
            Answer::Is(declared) => drop(volumes.insert(name.clone(), declared)),
            Answer::Silent(_) | Answer::Failed(_) => {}
            Answer::NoCommand | Answer::NoDaemon => break,
        }
    }
    volumes
}

/// The variable without a value that Compose stopped at. It minds those of inactive profiles too.
fn unset_variable(said: &str) -> Option<&str> {
    said.split_once("required variable ")?.1.split_whitespace().next()
}

/// Refuses files of Compose 1, and files without services.
fn refuse_without_services(sources: &[ComposeFile]) -> Result<()> {
    let has_services = |source: &ComposeFile| {
        source.role != Role::Extended
            && source.root.get("services").is_some_and(|services| !services.entries().is_empty())
    };
    if sources.iter().any(has_services) {
        return Ok(());
    }
    let Some(source) = sources.first() else { return Err(anyhow!("no Compose file could be read")) };
    let is_service = |node: &YamlNode| node.get("image").is_some() || node.get("build").is_some();
    let is_old = source.root.entries().iter().any(|(_, node)| is_service(node));
    let shown = &source.shown;
    let fault = if is_old {
        Fault::failed(format!("`{shown}` is in the format of Compose 1: it has no `services:`"))
            .advise("put its services below `services:`, as Compose 2 needs it")
    } else {
        Fault::failed(format!("`{shown}` declares no services"))
            .advise("add one, or name other files: `kinfra init --file FILE`")
    };
    Err(fault.into())
}

/// The Dockerfiles of the services that are built.
fn dockerfiles(model: &Model, project: &Project) -> Dockerfiles {
    let mut dockerfiles = Dockerfiles::new();
    for (name, service) in &model.services {
        let Some(build) = &service.build else { continue };
        if let Some(text) = &build.dockerfile_inline {
            dockerfiles.insert(name.clone(), ("dockerfile_inline".to_owned(), text.clone()));
            continue;
        }
        let context = Utf8Path::new(&build.context);
        let path = context.join(build.dockerfile.as_deref().unwrap_or("Dockerfile"));
        let Ok(Some(bytes)) = read_named(&path, LIMIT) else { continue };
        let shown = path.strip_prefix(&project.worktree).unwrap_or(&path).to_string();
        dockerfiles.insert(name.clone(), (shown, String::from_utf8_lossy(&bytes).into_owned()));
    }
    dockerfiles
}

/// Env files that exist and that git most likely does not bring: those that hold what is not in the files.
fn copied(project: &Project, sources: &[ComposeFile]) -> Vec<String> {
    let named = sources.iter().flat_map(|source| {
        let services = source.root.get("services").map(YamlNode::entries).unwrap_or_default();
        let env_files = services.iter().filter_map(|(_, service)| service.get("env_file"));
        let scalars = env_files.flat_map(YamlNode::scalars);
        scalars.map(|(_, file)| source.directory.join(file.trim_start_matches("./"))).collect::<Vec<_>>()
    });
    let mut copied: Vec<String> = Vec::new();
    for file in project.env_files.iter().cloned().chain(named) {
        let name = file.file_name().unwrap_or_default();
        let is_example =
            ["example", "sample", "template", "dist", "sandbox"].iter().any(|end| name.ends_with(end));
        let below = file.strip_prefix(&project.worktree).ok().map(Utf8Path::to_string);
        let Some(below) = below.filter(|below| !below.contains("..")) else { continue };
        if name.starts_with(DOTENV)
            && !is_example
            && !copied.contains(&below)
            && exists(&file).unwrap_or(false)
        {
            copied.push(below);
        }
    }
    copied
}
