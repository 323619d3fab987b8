//! Printing: data to stdout, what is said about it to stderr.

use std::io::{self, Write as _};

/// Prints data, which goes to stdout.
pub(super) fn print(text: &str) -> io::Result<()> {
    let mut stdout = anstream::stdout().lock();
    unless_closed(stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()))
}

/// Prints what is said about the data, which goes to stderr.
pub(super) fn say(text: &str) -> io::Result<()> {
    unless_closed(anstream::stderr().lock().write_all(text.as_bytes()))
}

/// Prints what a person should know before the rest.
pub(super) fn warn(notices: &[String]) -> io::Result<()> {
    notices.iter().try_for_each(|notice| say(&format!("warning: {notice}\n")))
}

/// A reader that closed its end is no reason to leave the work undone.
fn unless_closed(written: io::Result<()>) -> io::Result<()> {
    written.or_else(|error| if error.kind() == io::ErrorKind::BrokenPipe { Ok(()) } else { Err(error) })
}
