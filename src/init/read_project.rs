//! Reads a project: its Compose files and the files that they include, its place in the repository, and the
//! ports that Docker Compose says it publishes.

use anyhow::{Context as _, Result, anyhow};
use camino::{Utf8Path, Utf8PathBuf};

use super::compose::{includes, published};
use super::project::{ComposeFile, Project, PublishedPorts};
use crate::host;
use crate::host::docker::Answer;
use crate::host::invocation::Invocation;
use crate::names::{COMPOSE_FILES, OVERRIDE_FILES};

/// The most that a Compose file may be, in bytes.
const LIMIT: u64 = 16 << 20;

/// How many files of one project are read. It ends a chain of includes that never ends.
const MOST_FILES: usize = 200;

/// The project in the current directory, with the name that its pool is to have; `None` if it has no Compose
/// file.
///
/// # Errors
/// Which of its files cannot be read.
pub(super) fn read_project(name: &str, invocation: &Invocation) -> Result<Option<Project>> {
    let here = &invocation.here;
    let Some(main) = first_of(here, &COMPOSE_FILES)? else { return Ok(None) };
    let layers: Vec<ComposeFile> =
        [Some(main), first_of(here, &OVERRIDE_FILES)?].into_iter().flatten().collect();
    let published = ask_compose(here, &layers);
    let below_home = invocation.home.as_deref().and_then(|home| here.strip_prefix(home).ok());
    let below_home = below_home.filter(|below| !below.as_str().is_empty());
    let directory = below_home.map_or_else(|| here.clone(), |below| Utf8Path::new("~").join(below));
    let layer_count = layers.len();
    let (files, missing) = with_included(here, layers)?;
    let has_env_file = host::fs::exists(&here.join(".env")).context("could not look for `.env`")?;
    let top = host::git::top_of(here)?.unwrap_or(here);
    Ok(Some(Project {
        name: name.to_owned(),
        directory: directory.into_string(),
        below: here.strip_prefix(top).map_or("", Utf8Path::as_str).to_owned(),
        files,
        layers: layer_count,
        missing,
        has_env_file,
        published,
    }))
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

/// The files that are missing, each with the file that includes it.
type Missing = Vec<(Utf8PathBuf, Utf8PathBuf)>;

/// The files and all that they include, and the included files that are missing.
fn with_included(here: &Utf8Path, layers: Vec<ComposeFile>) -> Result<(Vec<ComposeFile>, Missing)> {
    let (mut files, mut missing) = (layers, Vec::new());
    let mut next = 0;
    while let Some(file) = files.get(next).filter(|_| next < MOST_FILES) {
        let included = includes(file).map_err(|reason| anyhow!(reason))?;
        let by = file.path.clone();
        for (path, base) in included {
            if files.iter().any(|file| file.path == path) {
                continue;
            }
            match read(here, path.clone(), base)? {
                Some(file) => files.push(file),
                None => missing.push((path, by.clone())),
            }
        }
        next += 1;
    }
    Ok((files, missing))
}

/// The ports that Docker Compose says the files publish, or why it cannot be asked.
fn ask_compose(here: &Utf8Path, layers: &[ComposeFile]) -> Result<PublishedPorts, String> {
    let paths: Vec<Utf8PathBuf> = layers.iter().map(|file| here.join(&file.path)).collect();
    match host::docker::unresolved(&paths) {
        Answer::Is(config) => {
            published(&config).ok_or_else(|| "it printed something else than its config".to_owned())
        }
        Answer::NoCommand => Err("it is not there".to_owned()),
        Answer::NoDaemon => Err("it has no daemon".to_owned()),
        Answer::Failed(said) => Err(said),
    }
}
