//! Has Compose resolve files to a model.

use std::ffi::OsString;

use anyhow::Result;

use super::compose_args::ComposeArgs;
use crate::compose::model::Model;
use crate::fault::Fault;
use crate::host::compose::{self, ComposeCall, config};
use crate::host::docker::Answer;
use crate::host::fs::Umask;

/// What Compose takes for every profile.
pub const EVERY_PROFILE: &str = "*";

/// What the files of a call come to. `what` names them in errors.
///
/// # Errors
/// [`Fault`] when Compose is missing or too old, or does not take the files.
pub(in crate::stack) fn resolve(call: &ComposeCall<'_>, what: &str) -> Result<Model> {
    parsed(&resolve_text(call, what)?, what)
}

/// The model in the text that [`resolve_text`] gave.
///
/// # Errors
/// [`Fault`] when it is not as Compose prints it.
pub(in crate::stack) fn parsed(json: &str, what: &str) -> Result<Model> {
    let model = Model::parse(json);
    Ok(model.map_err(|error| {
        Fault::docker(format!("Compose printed what kinfra does not understand for {what}: {error}"))
    })?)
}

/// The error where there is no Compose.
fn missing(what: &str) -> Fault {
    let missing = Fault::docker(format!("Docker Compose is needed for {what}, and it is not there"));
    missing.advise("install Docker with the Compose plugin")
}

/// Replaces the kinfra process by Compose. Returns only if it cannot be started, with the reason.
pub(in crate::stack) fn become_compose(
    call: &ComposeCall<'_>,
    args: &ComposeArgs,
    umask: Umask,
    what: &str,
) -> Fault {
    if compose::is_missing() {
        return missing(what);
    }
    let error = compose::become_compose(call, args.all.iter().map(OsString::as_os_str), umask);
    Fault::docker(format!("`docker` cannot be started: {error}"))
}

/// [`resolve`], as Compose prints it.
///
/// # Errors
/// As [`resolve`].
pub(in crate::stack) fn resolve_text(call: &ComposeCall<'_>, what: &str) -> Result<String> {
    let said = match config(call) {
        Answer::Is(json) => return Ok(json),
        Answer::NoCommand => return Err(missing(what).into()),
        Answer::NoDaemon => return Err(Fault::docker("Docker does not answer").into()),
        Answer::Silent(said) => {
            return Err(Fault::docker(format!("Compose cannot be asked about {what}: {said}")).into());
        }
        Answer::Failed(said) => said,
    };
    let fault = Fault::refused(format!("Compose does not take {what}: {said}"));
    Err(if said.contains("required variable") {
        fault.advise("set the variable in `.env`. kinfra resolves every profile, so it may be one of a service that you do not start")
    } else {
        fault
    }
    .into())
}
