//! Writes the files of a draft: all or none, and over nothing that exists.

use anyhow::{Context as _, Result};
use camino::Utf8Path;

use super::draft::{Draft, DraftFile};
use crate::fault::Fault;
use crate::file::FileMode;
use crate::host::fs::{Dir, Found};

/// Where files are written before they get their names.
const STAGING: &str = ".kinfra-init";

/// The most that is read of a file in the way, in bytes.
const LIMIT: u64 = 16 << 20;

/// Writes the files of a draft into a project's directory.
///
/// # Errors
/// [`Fault`] when one of them exists by now, or another init is at work; else what failed. Nothing is written
/// then, but for files that got their names before one failed.
pub(crate) fn write(here: &Utf8Path, draft: &Draft) -> Result<()> {
    let project = Dir::open(here).with_context(|| format!("could not open `{here}`"))?;
    if project.has(STAGING)? {
        let what = format!("`{STAGING}` is there: an init runs now, or was killed");
        return Err(Fault::refused(what).advise(format!("remove `{STAGING}` when none runs")).into());
    }
    let staging = project.make_dir(Utf8Path::new(STAGING))?;
    let written = stage(&staging, &draft.files).and_then(|()| publish(&staging, &project, &draft.files));
    staging.empty()?;
    project.remove_if_empty(STAGING)?;
    project.sync()?;
    written
}

/// Refuses if one of the files exists.
pub(super) fn refuse_existing(project: &Dir, files: &[DraftFile]) -> Result<()> {
    for file in files {
        let taken = match project.read(&file.path, LIMIT) {
            Ok(Found::Nothing) => continue,
            Ok(Found::This(_)) => format!("`{}` exists already", file.path),
            Ok(Found::Other(obstacle)) => format!("`{}` leads to {obstacle}", file.path),
            Err(error) => format!("`{}` is in the way: {error:#}", file.path),
        };
        let what = format!("{taken}, and kinfra init replaces nothing");
        return Err(Fault::refused(what).advise("move it away first").into());
    }
    Ok(())
}

fn stage(staging: &Dir, files: &[DraftFile]) -> Result<()> {
    for (number, file) in files.iter().enumerate() {
        let written = staging.write_new(&number.to_string(), file.text.as_bytes(), FileMode::SHARED);
        written
            .and_then(|written| Ok(written.sync_all()?))
            .with_context(|| format!("could not write `{}`: nothing was written", file.path))?;
    }
    Ok(())
}

fn publish(staging: &Dir, project: &Dir, files: &[DraftFile]) -> Result<()> {
    for (number, file) in files.iter().enumerate() {
        let parent = project.make_dir(file.path.parent().unwrap_or(Utf8Path::new("")))?;
        let name = file.path.file_name().unwrap_or_default();
        if !staging.rename_new(&number.to_string(), &parent, name)? {
            let what = format!("`{}` appeared meanwhile, and kinfra init replaces nothing", file.path);
            return Err(Fault::refused(what).advise("move it away first").into());
        }
        parent.sync()?;
    }
    Ok(())
}
