//! Has Compose resolve files to a model.

use anyhow::Result;

use crate::compose::model::Model;
use crate::fault::Fault;
use crate::host::compose::{ComposeCall, config};
use crate::host::docker::Answer;

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

/// [`resolve`], as Compose prints it.
///
/// # Errors
/// As [`resolve`].
pub(in crate::stack) fn resolve_text(call: &ComposeCall<'_>, what: &str) -> Result<String> {
    let said = match config(call) {
        Answer::Is(json) => return Ok(json),
        Answer::NoCommand => {
            let missing = Fault::docker(format!("Docker Compose is needed for {what}, and it is not there"));
            return Err(missing.advise("install Docker with the Compose plugin").into());
        }
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
