//! What ends a verb.

use std::fmt::Display;

use anyhow::{Error, Result};

use super::output::{complain, pass_on, print, show_as_laid_out};
use crate::fault::{Exit, Fault, advice_of, exit_of};
use crate::host::fs::room_for;
use crate::host::invocation::agent;
use crate::report;

/// Prints an error.
pub fn tell(error: &Error) -> Exit {
    let room = room_for(error).filter(|_| advice_of(error).is_none());
    let room = room.map_or_else(String::new, |room| format!("help: {room}, and run again\n"));
    complain(&format!("{}{room}", report::fault::text_for(error, agent())));
    exit_of(error)
}

/// Prints what clap says: help, or what is wrong with the command line.
pub(super) fn explain(error: &clap::Error) -> Exit {
    let text = error.render().ansi().to_string();
    if error.use_stderr() {
        pass_on(&text);
        return Exit::Usage;
    }
    show_as_laid_out(&text).map_or_else(|why| tell(&why.into()), |()| Exit::Done)
}

/// What was printed after something was done: where that failed, the error says what was `done`.
pub(super) fn after(done: impl Display, printed: Result<(), Fault>) -> Result<(), Fault> {
    printed.map_err(|why| Fault::unprinted(format!("{done}, but {why}")))
}

/// Passes a result on. Where JSON was asked for, that there is no slot is printed as a document, too.
pub(super) fn with_reason<T>(result: Result<T>, json: bool) -> Result<T> {
    if let Some(text) = result.as_ref().err().filter(|_| json).and_then(report::fault::json) {
        // The error says more than that its document could not be printed.
        let _ = print(&text);
    }
    result
}
