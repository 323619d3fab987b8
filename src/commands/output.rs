//! Printing: data to stdout, messages to stderr. Every text for people is escaped here: no word in it steers
//! the terminal.

use std::io::{self, IsTerminal as _};

use super::terse::{About, within};
use crate::fault::Fault;
use crate::host::invocation::{home, is_plain};
use crate::host::streams::Stream;
use crate::host::terminal::{columns_of_stdout, size_of_stderr};
use crate::report::wrapped;
use crate::shown::{Paths, printable_output};

/// Prints data for programs to stdout, exactly. Fails where that cannot be written, as on a full disk.
pub(super) fn print(data: &(impl AsRef<[u8]> + ?Sized)) -> Result<(), Fault> {
    let printed = Stream::Stdout.write(data);
    printed.map_err(|error| Fault::failed(format!("could not print to stdout: {error}")))
}

/// Prints to stdout what people read: with paths as they write them, and in lines as wide as the terminal.
pub(super) fn show(text: &str) -> Result<(), Fault> {
    show_as_laid_out(&wrapped(&for_people(text), columns_of_stdout()))
}

/// Prints to stdout what people read, with the lines and the paths that the report chose: tables and
/// differences.
pub(super) fn show_as_laid_out(text: &str) -> Result<(), Fault> {
    print(&*within(&Stream::Stdout.dressed(&printable_output(text)), About::Asked))
}

/// Prints a message to stderr. One that cannot be printed stops no verb.
pub(super) fn say(text: &str) {
    tell(&wrapped(&for_people(text), size_of_stderr().map(|(_, columns)| columns)), About::Besides);
}

/// Prints a message to stderr that has the lines of other programs in it, such as those of a log.
pub(super) fn pass_on(text: &str) {
    tell(text, About::Asked);
}

/// Prints why a verb fails to stderr.
pub(super) fn complain(text: &str) {
    pass_on(&wrapped(&for_people(text), size_of_stderr().map(|(_, columns)| columns)));
}

fn tell(text: &str, about: About) {
    let _ = Stream::Stderr.write(&*within(&Stream::Stderr.dressed(&printable_output(text)), about));
}

/// Says what comes next to a person or an agent; a script knows.
pub(super) fn hint(text: &str) {
    if io::stderr().is_terminal() || is_plain() {
        say(text);
    }
}

/// A text with its paths as people write them, and without what could steer a terminal.
fn for_people(text: &str) -> String {
    Paths { home: home().as_deref() }.in_text(&printable_output(text))
}
