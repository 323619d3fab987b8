//! The project's own last check of a stack.

use std::time::Duration;

use anyhow::Result;

use super::request::Means;
use crate::claims::environment::Change;
use crate::ended::{Ended, How};
use crate::host::child::{Destination, Program, Watch, run_program};
use crate::host::invocation;
use crate::stack::compose_files::place::Place;
use crate::stack::compose_files::variables::of_place;

/// Runs the check in the worktree, with the slot's variables.
///
/// # Errors
/// When the variables are not known.
pub(in crate::stack) fn verify(
    place: &Place<'_>,
    words: &[String],
    timeout: Duration,
    means: &Means<'_>,
) -> Result<Ended> {
    let variables = of_place(place, &means.policy, means.invocation)?;
    let change = Change::to_slot(variables, &invocation::environment());
    let program = Program {
        words,
        directory: &place.worktree,
        unset: change.unset.iter().map(String::as_str).collect(),
        set: change.set.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect(),
        umask: means.umask,
    };
    let watch = Watch { timeout, interrupt: means.interrupt, output: Destination::LastLines, lock: None };
    Ok(run_program(&program, &watch).unwrap_or_else(|error| Ended {
        how: How::Badly(format!("it cannot be executed: {error}")),
        last_lines: Vec::new(),
    }))
}
