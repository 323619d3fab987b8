//! `kinfra init`

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, anyhow};
use camino::{Utf8Path, Utf8PathBuf};

use super::{print, say};
use crate::cli::InitArgs;
use crate::embedded;
use crate::fault::{Exit, Fault};
use crate::file::FileMode;
use crate::host;
use crate::host::docker::Answer;
use crate::host::fs::{Dir, Found};
use crate::host::invocation::Invocation;
use crate::init::{self, COMPOSE_FILES, ComposeFile, Draft, NewFile, OVERRIDE_FILES, Project, Remedies};
use crate::names::SPEC;
use crate::report;
use crate::which::choice::PoolChoice;
use crate::which::collisions::Collision;
use crate::which::neighbours::Neighbours;
use crate::which::spec_file as pool;

/// The most that a Compose file may be, in bytes.
const LIMIT: u64 = 16 << 20;

/// Where files are written before they get their names.
const STAGING: &str = ".kinfra-init";

/// How many files one project may include: more than anybody has.
const FILES: usize = 200;

pub(crate) fn run(args: &InitArgs, invocation: &Invocation) -> Result<Exit> {
    let here = &invocation.here;
    let draft = if args.embedded {
        Draft::embedded(embedded::SPEC, &embedded::TEMPLATES)
    } else {
        draft(invocation)?
    };
    let project = Dir::open(here).with_context(|| format!("could not open `{here}`"))?;
    refuse_existing(&project, &draft.files)?;
    print(&report::init::render(&draft))?;
    for note in &draft.notes {
        say(&report::init::note(note))?;
    }
    if args.dry_run {
        return Ok(Exit::Done);
    }
    write(&project, &draft.files)?;
    say("Wrote slots.toml and its templates. Next: `kinfra plan`\n")?;
    Ok(Exit::Done)
}

/// The pool for the Compose file here, or a sample if there is none.
fn draft(invocation: &Invocation) -> Result<Draft> {
    let here = &invocation.here;
    let name = free_name(&init::pool_name(here.file_name().unwrap_or_default()), invocation)?;
    let layers: Vec<ComposeFile> =
        [first_of(here, &COMPOSE_FILES)?, first_of(here, &OVERRIDE_FILES)?].into_iter().flatten().collect();
    if !layers.first().is_some_and(|main| COMPOSE_FILES.contains(&main.path.as_str())) {
        say("No Compose file is here: this is a sample to start from\n")?;
        return beside_others(|remedies| Ok(Draft::sample(&name, remedies)), invocation);
    }
    let published = ask_compose(here, &layers)?;
    let below = invocation.home.as_deref().and_then(|home| here.strip_prefix(home).ok());
    let below = below.filter(|below| !below.as_str().is_empty());
    let directory = below.map_or_else(|| here.clone(), |below| Utf8Path::new("~").join(below));
    let (count, mut notes) = (layers.len(), Vec::new());
    let files = with_included(here, layers, &mut notes)?;
    let has_env_file = host::fs::exists(&here.join(".env")).context("could not look for `.env`")?;
    let top = host::git::top_of(here)?.unwrap_or(here);
    let project = Project {
        name: &name,
        directory: directory.as_str(),
        below: here.strip_prefix(top).map_or("", Utf8Path::as_str),
        files: &files,
        layers: count,
        has_env_file,
        published: published.as_ref(),
    };
    let mut draft = beside_others(|remedies| Draft::of(&project, remedies), invocation)?;
    draft.notes.extend(notes);
    Ok(draft)
}

/// A draft whose ports are none of another pool's on this machine, as far as one can be.
fn beside_others(
    draft: impl Fn(&Remedies) -> Result<Draft, String>,
    invocation: &Invocation,
) -> Result<Draft> {
    let alone = draft(&Remedies::new()).map_err(|reason| anyhow!(reason))?;
    let remedies = remedies(&alone, invocation);
    if remedies.is_empty() {
        return Ok(alone);
    }
    draft(&remedies).map_err(|reason| anyhow!(reason))
}

/// What the other pools on this machine ask of a drafted one. Whatever keeps that from being known, `kinfra plan` tells.
fn remedies(draft: &Draft, invocation: &Invocation) -> Remedies {
    let spec = draft.files.iter().find(|file| file.path == SPEC).map(|file| file.text.clone());
    let found = spec.map(|text| (invocation.here.join(SPEC), text));
    let args = PoolChoice::default();
    let Ok(declared) = pool::parse(found, invocation) else { return Remedies::new() };
    let Ok(root) = declared.root(&args, invocation) else { return Remedies::new() };
    let listing = Neighbours::look(&declared, &root, &args, invocation);
    let remedy = |collision: Collision<'_>| {
        let why = format!("{} is {}", collision.port, collision.user());
        Some((collision.ours.0.clone(), (collision.remedy?, why)))
    };
    listing.collisions().into_iter().filter_map(remedy).collect()
}

/// The name, with a number if the root it stands for is there already: another project's pool, most likely.
fn free_name(name: &str, invocation: &Invocation) -> Result<String> {
    let Some(home) = &invocation.home else { return Ok(name.to_owned()) };
    let numbered = (2..).map(|number| format!("{name}-{number}"));
    for name in std::iter::once(name.to_owned()).chain(numbered) {
        if !host::fs::exists(&home.join(format!(".{name}/slots")))? {
            return Ok(name);
        }
    }
    Ok(name.to_owned())
}

fn first_of(here: &Utf8Path, names: &[&str]) -> Result<Option<ComposeFile>> {
    for name in names {
        if let Some(file) = read(here, name.into(), Utf8PathBuf::new())? {
            return Ok(Some(file));
        }
    }
    Ok(None)
}

fn read(here: &Utf8Path, path: Utf8PathBuf, base: Utf8PathBuf) -> Result<Option<ComposeFile>> {
    let bytes =
        host::fs::read_named(&here.join(&path), LIMIT).with_context(|| format!("could not read `{path}`"))?;
    let Some(bytes) = bytes else { return Ok(None) };
    let text = String::from_utf8(bytes).map_err(|_| anyhow!("`{path}` is not UTF-8 text"))?;
    Ok(Some(ComposeFile { path, base, text }))
}

/// The files, and all that they include.
fn with_included(
    here: &Utf8Path,
    layers: Vec<ComposeFile>,
    notes: &mut Vec<String>,
) -> Result<Vec<ComposeFile>> {
    let mut files = layers;
    let mut next = 0;
    while let Some(file) = files.get(next).filter(|_| next < FILES) {
        let includes = init::includes(file).map_err(|reason| anyhow!(reason))?;
        let by = file.path.clone();
        for (path, base) in includes {
            if files.iter().any(|file| file.path == path) {
                continue;
            }
            match read(here, path.clone(), base)? {
                Some(file) => files.push(file),
                None => notes.push(format!("`{path}`, included by {by}, is not there")),
            }
        }
        next += 1;
    }
    Ok(files)
}

/// The ports as Docker Compose understands them, if it can be asked.
fn ask_compose(here: &Utf8Path, layers: &[ComposeFile]) -> Result<Option<BTreeSet<(String, String)>>> {
    let paths: Vec<Utf8PathBuf> = layers.iter().map(|file| here.join(&file.path)).collect();
    let names: Vec<&str> = layers.iter().map(|file| file.path.as_str()).collect();
    let names = names.join(" and ");
    let why_not = match host::docker::config(&paths) {
        Answer::Is(config) => match init::published(&config) {
            Some(published) => {
                say(&format!("Read {names} with Docker Compose\n"))?;
                return Ok(Some(published));
            }
            None => "it printed something else than its config".to_owned(),
        },
        Answer::NoCommand => "it is not there".to_owned(),
        Answer::NoDaemon => "it has no daemon".to_owned(),
        Answer::Failed(said) => said,
    };
    say(&format!("Read {names} without Docker Compose: {why_not}\n"))?;
    Ok(None)
}

/// Refuses before anything is written.
fn refuse_existing(project: &Dir, files: &[NewFile]) -> Result<()> {
    for file in files {
        let taken = match project.read(&file.path, LIMIT) {
            Ok(Found::Nothing) => continue,
            Ok(Found::This(_)) => format!("`{}` exists already", file.path),
            Ok(Found::Other(obstacle)) => format!("`{}` leads to {obstacle}", file.path),
            Err(error) => format!("`{}` is in the way: {error:#}", file.path),
        };
        return Err(
            Fault::refused(format!("{taken}, and kinfra init replaces nothing: move it away first")).into()
        );
    }
    Ok(())
}

/// Writes all files, or none: first beside the project's own files, then each to its name, where nothing may be.
fn write(project: &Dir, files: &[NewFile]) -> Result<()> {
    if project.has(STAGING)? {
        let message =
            format!("`{STAGING}` is there, of an init that runs now or was killed: remove it when none runs");
        return Err(Fault::refused(message).into());
    }
    let staging = project.make_dir(Utf8Path::new(STAGING))?;
    let written = stage(&staging, files).and_then(|()| publish(&staging, project, files));
    staging.empty()?;
    project.remove_if_empty(STAGING)?;
    project.sync()?;
    written
}

fn stage(staging: &Dir, files: &[NewFile]) -> Result<()> {
    for (number, file) in files.iter().enumerate() {
        let written = staging.write_new(&number.to_string(), file.text.as_bytes(), FileMode::SHARED);
        written
            .and_then(|written| Ok(written.sync_all()?))
            .with_context(|| format!("could not write `{}`: nothing was written", file.path))?;
    }
    Ok(())
}

fn publish(staging: &Dir, project: &Dir, files: &[NewFile]) -> Result<()> {
    for (number, file) in files.iter().enumerate() {
        let parent = project.make_dir(file.path.parent().unwrap_or(Utf8Path::new("")))?;
        let name = file.path.file_name().unwrap_or_default();
        if !staging.rename_new(&number.to_string(), &parent, name)? {
            let message = format!("`{}` appeared meanwhile: kinfra init replaces nothing", file.path);
            return Err(Fault::refused(message).into());
        }
        parent.sync()?;
    }
    Ok(())
}
