//! Printing: data to stdout, messages to stderr.

use std::io::{self, IsTerminal as _, Write as _};

use crate::host::invocation::home;
use crate::shown::Paths;

/// Prints data to stdout.
pub(super) fn print(text: &str) -> io::Result<()> {
    let mut stdout = anstream::stdout().lock();
    unless_closed(stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()))
}

/// Prints data that only people read to stdout.
pub(super) fn show(text: &str) -> io::Result<()> {
    print(&for_people(text))
}

/// Prints a message to stderr.
pub(super) fn say(text: &str) -> io::Result<()> {
    pass_on(&for_people(text))
}

/// Prints a message to stderr that has the words of other programs in it, such as lines of a log.
pub(super) fn pass_on(text: &str) -> io::Result<()> {
    unless_closed(anstream::stderr().lock().write_all(text.as_bytes()))
}

/// A text with its paths as people write them.
pub(super) fn for_people(text: &str) -> String {
    Paths { home: home().as_deref() }.in_text(text)
}

/// Says what comes next to a person; a script knows.
pub(super) fn hint(text: &str) -> io::Result<()> {
    if io::stderr().is_terminal() { say(text) } else { Ok(()) }
}

/// Draws on the terminal that stderr is: without colours, too, the cursor moves.
pub(super) fn draw(text: &str) -> io::Result<()> {
    unless_closed(io::stderr().lock().write_all(text.as_bytes()))
}

/// Prints notices before the rest.
pub(super) fn warn(notices: &[String]) -> io::Result<()> {
    notices.iter().try_for_each(|notice| say(&format!("warning: {notice}\n")))
}

/// A reader that closed its end must not stop the work.
fn unless_closed(written: io::Result<()>) -> io::Result<()> {
    written.or_else(|error| if error.kind() == io::ErrorKind::BrokenPipe { Ok(()) } else { Err(error) })
}
