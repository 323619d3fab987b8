//! Writes the files of a draft: all or none, and over nothing that exists.

use anyhow::{Context as _, Result};
use camino::Utf8Path;

use super::draft::{Draft, DraftFile};
use crate::fault::Fault;
use crate::file::FileMode;
use crate::host::fs::{Dir, Found};
use crate::host::project_staging::ProjectStaging;

/// The most that is read of a file in the way, in bytes.
const LIMIT: u64 = 16 << 20;

/// Writes the files of a draft into a project's directory, but for those that are there as they would be
/// written: an init that was killed left them. Returns whether one was missing.
///
/// # Errors
/// [`Fault`] when one of them exists by now with another text, or another init is at work; else what failed.
/// Nothing is written then, but for files that got their names before one failed.
pub(crate) fn write(here: &Utf8Path, draft: &Draft) -> Result<bool> {
    let project = Dir::open(here).with_context(|| format!("could not open `{here}`"))?;
    let staging = ProjectStaging::begin(project)?;
    let written = missing(staging.project(), &draft.files).and_then(|missing| {
        stage(staging.dir(), &missing)?;
        publish(staging.dir(), staging.project(), &missing)?;
        Ok(!missing.is_empty())
    });
    staging.end()?;
    written
}

/// The files that are not there yet.
///
/// # Errors
/// [`Fault`] when something else has the name of one.
pub(super) fn missing<'a>(project: &Dir, files: &'a [DraftFile]) -> Result<Vec<&'a DraftFile>> {
    let mut missing = Vec::new();
    for file in files {
        let taken = match project.read(&file.path, LIMIT) {
            Ok(Found::Nothing) => {
                missing.push(file);
                continue;
            }
            Ok(Found::This(content)) if content.bytes == file.text.as_bytes() => continue,
            Ok(Found::This(_)) => format!("`{}` exists already", file.path),
            Ok(Found::Other(obstacle)) => format!("`{}` leads to {obstacle}", file.path),
            Err(error) => format!("`{}` is in the way: {error:#}", file.path),
        };
        let what = format!("{taken}, and kinfra init replaces nothing");
        return Err(Fault::refused(what).advise("move it away first").into());
    }
    Ok(missing)
}

fn stage(staging: &Dir, files: &[&DraftFile]) -> Result<()> {
    for (number, file) in files.iter().enumerate() {
        let written = staging.write_new(&number.to_string(), file.text.as_bytes(), FileMode::SHARED);
        written
            .and_then(|written| Ok(written.sync_all()?))
            .with_context(|| format!("could not write `{}`: nothing was written", file.path))?;
    }
    Ok(())
}

fn publish(staging: &Dir, project: &Dir, files: &[&DraftFile]) -> Result<()> {
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
