//! The place in the queue, shown while `kinfra claim --wait` waits.

use std::io::{self, IsTerminal as _};

use anyhow::Result;

use super::output::say;
use crate::claims::wait::Progress;
use crate::report::claim::waiting;

/// Shows the place in the queue: redrawn on a terminal, printed once elsewhere.
pub(super) struct Sign {
    shown: Option<usize>,
    is_redrawn: bool,
    has_told: bool,
}

impl Sign {
    /// Nothing is shown yet.
    pub(super) fn new() -> Self {
        Self { shown: None, is_redrawn: io::stderr().is_terminal(), has_told: false }
    }

    /// Shows it, if it changed.
    pub(super) fn show(&mut self, progress: Progress) -> Result<()> {
        match progress {
            Progress::Waiting(ahead)
                if self.shown.is_none() || (self.is_redrawn && self.shown != Some(ahead)) =>
            {
                self.shown = Some(ahead);
                let line = waiting(ahead);
                say(&if self.is_redrawn { format!("\r\u{1b}[K{line}") } else { format!("{line}\n") })?;
            }
            Progress::Unasked(why) if !self.has_told => {
                (self.has_told, self.shown) = (true, self.shown.filter(|_| !self.is_redrawn));
                let before = if self.is_redrawn { "\r\u{1b}[K" } else { "" };
                say(&format!("{before}Waiting: {why}\n"))?;
            }
            Progress::Over if self.shown.take().is_some() && self.is_redrawn => say("\r\u{1b}[K")?,
            Progress::Waiting(_) | Progress::Unasked(_) | Progress::Over => {}
        }
        Ok(())
    }
}
