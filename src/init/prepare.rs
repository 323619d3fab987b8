//! What `kinfra init` would write in the current directory. Reads the project and the machine, and writes
//! nothing.

use anyhow::{Context as _, Result, anyhow};
use camino::{Utf8Path, Utf8PathBuf};

use super::draft::{Draft, NewPool, Reading};
use super::isolation::Place;
use super::pool_name::{candidates, pool_name};
use super::read::read;
use super::slots_toml::Remedies;
use super::write_draft::missing;
use crate::compose::project::Project;
use crate::embedded;
use crate::fault::Fault;
use crate::file::RelPath;
use crate::health::check_age::{COPIES, MOVE_OVER, copies_compose_files};
use crate::host;
use crate::host::fs::Dir;
use crate::host::invocation::Invocation;
use crate::names::SPEC;
use crate::spec::{ComposeSpec, Spec};
use crate::which::choice::PoolChoice;
use crate::which::collisions::Collision;
use crate::which::neighbours::Neighbours;
use crate::which::spec_file;

/// The most that slots.toml may be, in bytes.
const LIMIT: u64 = 16 << 20;

/// What a new pool is made from.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Wanted<'a> {
    /// The pool that kinfra carries.
    Embedded,
    /// The Compose files of the current directory: these, or those that Compose finds.
    Compose(&'a [Utf8PathBuf]),
}

/// The pool for the Compose files in the current directory, or a sample if there are none; the embedded pool
/// on request.
///
/// # Errors
/// Which file cannot be read, and [`Fault`] when a file that would be written exists.
pub(crate) fn prepare(wanted: Wanted<'_>, invocation: &Invocation) -> Result<Draft> {
    refuse_earlier_pool(&invocation.here)?;
    let draft = match wanted {
        Wanted::Embedded => Draft::embedded(embedded::SPEC, &embedded::TEMPLATES),
        Wanted::Compose(files) => draft(files, invocation)?,
    };
    let here = &invocation.here;
    let directory = Dir::open(here).with_context(|| format!("could not open `{here}`"))?;
    missing(&directory, &draft.files)?;
    Ok(draft)
}

/// Says how to move over from a pool that an earlier init made.
fn refuse_earlier_pool(here: &Utf8Path) -> Result<()> {
    let Ok(Some(bytes)) = host::fs::read_named(&here.join(SPEC), LIMIT) else { return Ok(()) };
    let text = String::from_utf8_lossy(&bytes);
    if Spec::parse(&text).is_ok_and(|spec| copies_compose_files(&spec)) {
        let what = format!("`{SPEC}` exists already, and kinfra init replaces nothing: {COPIES}");
        return Err(Fault::refused(what).advise(MOVE_OVER).into());
    }
    Ok(())
}

fn draft(files: &[Utf8PathBuf], invocation: &Invocation) -> Result<Draft> {
    let here = invocation.here.as_path();
    let name = free_name(&pool_name(here.file_name().unwrap_or_default()), invocation)?;
    let spec = ComposeSpec { files: named(files)?, ..ComposeSpec::default() };
    let Some(project) = Project::look(here, &spec)? else {
        return beside_others(|remedies| Ok(Draft::sample(&name, remedies)), invocation);
    };
    let worktree = host::git::top_of(here)?.unwrap_or(here);
    let reading = read(&name, &project, invocation)?;
    let files = spec.files.iter().flatten().map(|file| file.as_str().to_owned()).collect();
    let reading = Reading { files, ..reading };
    let pool = NewPool { name: &name, place: Place { worktree, home: invocation.home.as_deref() } };
    beside_others(|remedies| Draft::of(&reading, pool, remedies), invocation)
}

/// The files that were given, if any were.
fn named(files: &[Utf8PathBuf]) -> Result<Option<Vec<RelPath>>> {
    if files.is_empty() {
        return Ok(None);
    }
    let path = |file: &Utf8PathBuf| {
        let file = file.strip_prefix("./").unwrap_or(file);
        RelPath::new(file.as_str()).map_err(|reason| {
            Fault::usage(reason)
                .advise("name files of this directory, such as `--file deploy/compose.yaml`")
                .into()
        })
    };
    files.iter().map(path).collect::<Result<_>>().map(Some)
}

/// The name, with a number if the root of a pool of that name exists. It most likely belongs to another
/// project.
fn free_name(name: &str, invocation: &Invocation) -> Result<String> {
    let Some(home) = &invocation.home else { return Ok(name.to_owned()) };
    for name in candidates(name) {
        if !host::fs::exists(&home.join(format!(".{name}/slots")))? {
            return Ok(name);
        }
    }
    Ok(name.to_owned())
}

/// A draft whose ports no other pool on this machine has, as far as that is known.
fn beside_others(
    draft: impl Fn(&Remedies) -> Result<Draft, String>,
    invocation: &Invocation,
) -> Result<Draft> {
    let alone = draft(&Remedies::new()).map_err(|reason| anyhow!(reason))?;
    let spec = alone.files.iter().find(|file| file.path == SPEC).map(|file| file.text.clone());
    let remedies = remedies(spec, invocation);
    if remedies.is_empty() {
        return Ok(alone);
    }
    draft(&remedies).map_err(|reason| anyhow!(reason))
}

/// What the other pools on this machine ask of a drafted one. If that cannot be found out, `kinfra plan` says
/// why.
fn remedies(spec: Option<String>, invocation: &Invocation) -> Remedies {
    let found = spec.map(|text| (invocation.here.join(SPEC), text));
    let args = PoolChoice::default();
    let Ok(declared) = spec_file::parse(found, invocation) else { return Remedies::new() };
    let Ok(root) = declared.root(&args, invocation) else { return Remedies::new() };
    let neighbours = Neighbours::look(&declared, &root, &args, invocation);
    let remedy = |collision: Collision<'_>| {
        let why = format!("{} is {}", collision.port, collision.user());
        Some((collision.ours.0.clone(), (collision.remedy?, why)))
    };
    neighbours.collisions().into_iter().filter_map(remedy).collect()
}
