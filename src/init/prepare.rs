//! What `kinfra init` would write in the current directory. Reads the project and the machine, and writes
//! nothing.

use anyhow::{Context as _, Result, anyhow};

use super::draft::Draft;
use super::formulas::Remedies;
use super::pool_name::{candidates, pool_name};
use super::read_project::read_project;
use super::write_draft::refuse_existing;
use crate::embedded;
use crate::host;
use crate::host::fs::Dir;
use crate::host::invocation::Invocation;
use crate::names::SPEC;
use crate::which::choice::PoolChoice;
use crate::which::collisions::Collision;
use crate::which::neighbours::Neighbours;
use crate::which::spec_file;

/// The pool for the Compose file in the current directory, or a sample if there is none; the embedded pool on
/// request.
///
/// # Errors
/// Which file cannot be read, and [`crate::fault::Fault`] when a file that would be written exists.
pub(crate) fn prepare(embedded: bool, invocation: &Invocation) -> Result<Draft> {
    let draft =
        if embedded { Draft::embedded(embedded::SPEC, &embedded::TEMPLATES) } else { draft(invocation)? };
    let here = &invocation.here;
    let directory = Dir::open(here).with_context(|| format!("could not open `{here}`"))?;
    refuse_existing(&directory, &draft.files)?;
    Ok(draft)
}

fn draft(invocation: &Invocation) -> Result<Draft> {
    let directory = invocation.here.file_name().unwrap_or_default();
    let name = free_name(&pool_name(directory), invocation)?;
    match read_project(&name, invocation)? {
        Some(project) => beside_others(|remedies| Draft::of(&project, remedies), invocation),
        None => beside_others(|remedies| Ok(Draft::sample(&name, remedies)), invocation),
    }
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
    let remedies = remedies(&alone, invocation);
    if remedies.is_empty() {
        return Ok(alone);
    }
    draft(&remedies).map_err(|reason| anyhow!(reason))
}

/// What the other pools on this machine ask of a drafted one. If that cannot be found out, `kinfra plan` says
/// why.
fn remedies(draft: &Draft, invocation: &Invocation) -> Remedies {
    let spec = draft.files.iter().find(|file| file.path == SPEC).map(|file| file.text.clone());
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
