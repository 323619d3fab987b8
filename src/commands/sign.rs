//! The place in the queue, shown while `kinfra claim --wait` waits.

use super::draw::draw;
use super::output::say;
use crate::claims::refusal::Obstacles;
use crate::claims::wait::Progress;
use crate::host::terminal::size_of_stderr;
use crate::report::claim::{obstacles, waiting};
use crate::report::wrapped;

/// What begins a line anew on a terminal.
const ANEW: &str = "\r";

/// Shows the place in the queue: redrawn on a terminal, printed once elsewhere.
pub(super) struct Sign {
    shown: Option<usize>,
    /// How wide the terminal is, if there is one.
    columns: Option<usize>,
    has_told: bool,
    /// What stands in the way, until it is told.
    obstacles: Option<Obstacles>,
}

impl Sign {
    /// Nothing is shown yet.
    pub(super) fn new() -> Self {
        let columns = size_of_stderr().map(|(_, columns)| columns);
        Self { shown: None, columns, has_told: false, obstacles: None }
    }

    /// Shows it, if it changed.
    pub(super) fn show(&mut self, progress: Progress) {
        let is_redrawn = self.columns.is_some();
        match progress {
            Progress::Refused(obstacles) if self.shown.is_none() => self.obstacles = Some(obstacles),
            Progress::Waiting(ahead) if self.shown.is_none() || (is_redrawn && self.shown != Some(ahead)) => {
                self.shown = Some(ahead);
                let told = self.obstacles.take().map(|them| obstacles(&them)).unwrap_or_default();
                let line = waiting(ahead);
                if is_redrawn {
                    let told = if told.is_empty() { told } else { wrapped(&(told + "\n"), self.columns) };
                    draw(ANEW, &format!("{told}{line}"));
                } else {
                    let rest = if told.is_empty() { told } else { format!(". {told}") };
                    say(&format!("{line}{rest}\n"));
                }
            }
            Progress::Unasked(why) if !self.has_told => {
                (self.has_told, self.shown) = (true, self.shown.filter(|_| !is_redrawn));
                let text = format!("Waiting: {why}\n");
                if is_redrawn { draw(ANEW, &text) } else { say(&text) }
            }
            Progress::Over if self.shown.take().is_some() && is_redrawn => draw(ANEW, ""),
            Progress::Refused(_) | Progress::Waiting(_) | Progress::Unasked(_) | Progress::Over => {}
        }
    }
}
