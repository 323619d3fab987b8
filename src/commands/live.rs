//! What a start shows meanwhile: Compose's output, and the services, in place on a terminal.

use super::draw::draw;
use super::output::say;
use crate::host::terminal::size_of_stderr;
use crate::host::{child::Destination, invocation::is_plain};
use crate::report::stack_gate::{changes, services};
use crate::stack::gate::state::Judged;

/// Shows the services on stderr.
pub(super) struct Live {
    seen: Vec<Judged>,
    /// How many lines of a terminal are drawn.
    drawn: usize,
}

impl Live {
    /// Nothing is shown yet.
    pub(super) fn new() -> Self {
        Self { seen: Vec::new(), drawn: 0 }
    }

    /// Goes on below what was printed meanwhile.
    pub(super) fn go_on_below(&mut self) {
        self.drawn = 0;
    }

    /// Shows what changed. Agents read only what it comes to.
    pub(super) fn show(&mut self, judged: &[Judged]) {
        if is_plain() {
            return;
        }
        if let Some((rows, columns)) = size_of_stderr() {
            let lines = services(judged, columns);
            // A line that wraps, or scrolls away, cannot be redrawn.
            let fit = lines.len().min(rows.saturating_sub(1).max(1));
            let lines = lines.into_iter().take(fit).map(|line| line + "\n");
            draw(&up(self.drawn), &lines.collect::<String>());
            self.drawn = fit;
        } else {
            let lines = changes(&self.seen, judged);
            say(&lines.into_iter().map(|line| line + "\n").collect::<String>());
        }
        self.seen = judged.to_vec();
    }
}

/// Back to the first line that was drawn.
fn up(lines: usize) -> String {
    if lines == 0 { String::new() } else { format!("\u{1b}[{lines}A\r") }
}

/// Where Compose's output goes: on a terminal, it shows what it builds and pulls. On less than 80 columns it
/// draws over and over, and never in place.
pub(super) fn of_compose() -> Destination {
    match size_of_stderr() {
        Some((_, columns)) if columns >= 80 => Destination::Stderr,
        Some(_) | None => Destination::LastLines,
    }
}
