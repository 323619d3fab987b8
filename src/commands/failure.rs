//! What ends a verb.

use anyhow::{Error, Result};

use super::output::{print, say};
use crate::fault::{Exit, exit_of};
use crate::report;

/// Prints an error.
pub fn tell(error: &Error) -> Exit {
    say(&report::fault::text(error));
    exit_of(error)
}

/// Passes a result on. Where JSON was asked for, that there is no slot is printed as a document, too.
pub(super) fn with_reason<T>(result: Result<T>, json: bool) -> Result<T> {
    if let Some(text) = result.as_ref().err().filter(|_| json).and_then(report::fault::json) {
        // The error says more than that its document could not be printed.
        let _ = print(&text);
    }
    result
}
