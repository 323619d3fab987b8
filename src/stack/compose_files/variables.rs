//! The variables by which plain `docker compose` means the slot.

use anyhow::{Error, Result};
use camino::Utf8PathBuf;

use super::derive::Derived;
use super::look::Remarks;
use super::place::Place;
use crate::claims::held::Held;
use crate::dotenv::Variables;
use crate::fault::Fault;
use crate::host::fs::is_kept;
use crate::host::invocation::Invocation;
use crate::host::lock::LockPolicy;
use crate::names::{COMPOSE_ENV_FILES, COMPOSE_FILE, COMPOSE_PATH_SEPARATOR, COMPOSE_PROJECT_NAME};

/// What separates the files in `COMPOSE_FILE`.
const FILES: char = ':';
/// What separates the files in `COMPOSE_ENV_FILES`.
const ENV_FILES: char = ',';

/// The variables of a slot, with those by which plain `docker compose` means its stack.
///
/// # Errors
/// [`Fault`] when the overlay cannot be made: without it, Compose would mean the main stack.
pub fn of_slot(held: &Held, policy: &LockPolicy<'_>, invocation: &Invocation) -> Result<Variables> {
    match Place::find(held, invocation).map_err(|error| no_overlay(error, held))? {
        Some(place) => of_place(&place, policy, invocation),
        None => held.variables(),
    }
}

/// [`of_slot`] for a caller that need not write, as in a sandbox; and why the overlay could not be written.
/// Compose refuses the files that are named then.
///
/// # Errors
/// As [`of_slot`], but not where only the overlay could not be written.
pub fn of_slot_unwritten(
    held: &Held,
    policy: &LockPolicy<'_>,
    invocation: &Invocation,
) -> Result<(Variables, Option<Error>)> {
    let error = match of_slot(held, policy, invocation) {
        Err(error) if is_kept(&error) => error,
        variables => return Ok((variables?, None)),
    };
    let Some(place) = Place::find(held, invocation)? else { return Err(error) };
    let Some(derived) = place.unwritten()? else { return Err(error) };
    let mut variables = held.variables()?;
    variables.extend(place.compose_variables(&derived)?);
    Ok((variables, Some(error)))
}

fn no_overlay(error: Error, held: &Held) -> Error {
    let what = format!("slot {} has no overlay, so Compose would mean the main stack", held.slot);
    error.context(Fault::refused(what))
}

/// [`of_slot`] for a stack that was found.
///
/// # Errors
/// As [`of_slot`].
pub(in crate::stack) fn of_place(
    place: &Place<'_>,
    policy: &LockPolicy<'_>,
    invocation: &Invocation,
) -> Result<Variables> {
    let mut variables = place.held.variables()?;
    let derived = match place.derive(policy, invocation) {
        // The files of a template pool are the slot's own already: only the labels are missing.
        Err(_) if !place.runs_own_files() => {
            Derived { files: place.project.files.clone(), remarks: Remarks::default() }
        }
        derived => derived.map_err(|error| no_overlay(error, place.held))?,
    };
    variables.extend(place.compose_variables(&derived)?);
    Ok(variables)
}

impl Place<'_> {
    /// The variables by which `docker compose` in any directory runs the stack of the slot.
    ///
    /// # Errors
    /// [`Fault`] when a path has the character that separates paths there.
    fn compose_variables(&self, derived: &Derived) -> Result<Variables> {
        let env_files = &self.project.env_files;
        let mut variables = Variables::from([
            (COMPOSE_FILE.to_owned(), joined(&derived.files, FILES)?),
            (COMPOSE_PATH_SEPARATOR.to_owned(), FILES.to_string()),
            (COMPOSE_PROJECT_NAME.to_owned(), self.name.clone()),
        ]);
        if !env_files.is_empty() {
            variables.insert(COMPOSE_ENV_FILES.to_owned(), joined(env_files, ENV_FILES)?);
        }
        Ok(variables)
    }
}

fn joined(paths: &[Utf8PathBuf], separator: char) -> Result<String, Fault> {
    if let Some(path) = paths.iter().find(|path| path.as_str().contains(separator)) {
        let what = format!("`{path}` has a `{separator}` in it, which Compose reads as the end of a path");
        return Err(Fault::refused(what).advise("move it to another directory, or use `kinfra compose`"));
    }
    let paths: Vec<&str> = paths.iter().map(|path| path.as_str()).collect();
    Ok(paths.join(&separator.to_string()))
}
