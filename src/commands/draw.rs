//! Drawing in place on the terminal that stderr is.

use crate::host::streams::Stream;
use crate::shown::printable_output;

/// Draws on the terminal that stderr is, from where `start` moves the cursor to. What was below goes.
pub(super) fn draw(start: &str, text: &str) {
    let text = printable_output(text);
    let text = Stream::Stderr.dressed(&text);
    let lines: String = text.split_inclusive('\n').flat_map(|line| ["\u{1b}[K", line]).collect();
    let _ = Stream::Stderr.write(&format!("{start}{lines}\u{1b}[J"));
}
