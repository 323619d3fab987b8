//! The terminal that stdout or stderr is connected to.

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Stdout, Write as _};
use std::os::fd::AsFd;

use anstream::adapter::strip_str;
use anstream::{AutoStream, ColorChoice};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::getpgrp;
use rustix::termios::tcgetpgrp;

use super::invocation::{in_environment, is_plain};
use crate::shown::printable_output;

/// The rows and columns of the terminal that stderr is connected to. `None` if it is none, or takes no
/// commands, as its type `dumb` says, or is to be plain.
pub fn size_of_stderr() -> Option<(usize, usize)> {
    let stderr = io::stderr();
    let is_dumb = in_environment("TERM").is_some_and(|kind| kind == "dumb");
    let size = (stderr.is_terminal() && !is_dumb && !is_plain())
        .then(|| rustix::termios::tcgetwinsize(&stderr).ok())??;
    Some((usize::from(size.ws_row), usize::from(size.ws_col)))
}

/// Whether what is printed to stdout may still be read: it is no pipe whose reader is gone.
pub fn has_reader() -> bool {
    let stdout = io::stdout();
    let mut polled = [PollFd::new(&stdout, PollFlags::empty())];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    let gone = PollFlags::ERR | PollFlags::HUP;
    !poll(&mut polled, Some(&now)).is_ok_and(|count| count > 0 && polled[0].revents().intersects(gone))
}

/// The columns of the terminal that stdout is connected to. `None` if it is none.
pub fn columns_of_stdout() -> Option<usize> {
    let stdout = io::stdout();
    let size = stdout.is_terminal().then(|| rustix::termios::tcgetwinsize(&stdout).ok())??;
    Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
}

/// Whether kinfra and its children are what a terminal has in front, so that its keys reach them all.
pub fn is_in_front() -> bool {
    fn has(stream: impl AsFd) -> bool {
        tcgetpgrp(stream).is_ok_and(|front| front == getpgrp())
    }
    has(io::stdin()) || has(io::stdout()) || has(io::stderr())
}

/// The terminal's alternate screen, which can be redrawn. Dropping it brings back the normal screen.
#[derive(Debug)]
pub struct Screen {
    stdout: Stdout,
    /// Whether colours are not wanted, as `NO_COLOR` says.
    is_plain: bool,
}

impl Screen {
    /// Switches to the alternate screen. `None` if stdout is not a terminal, or is to be plain.
    ///
    /// # Errors
    /// When stdout cannot be written.
    pub fn open() -> io::Result<Option<Self>> {
        let stdout = io::stdout();
        if !stdout.is_terminal() || is_plain() {
            return Ok(None);
        }
        // Alternate screen on, cursor off, line wrap off.
        let is_plain = AutoStream::choice(&stdout) == ColorChoice::Never;
        let mut screen = Self { stdout, is_plain };
        screen.stdout.write_all(b"\x1b[?1049h\x1b[?25l\x1b[?7l")?;
        Ok(Some(screen))
    }

    /// Shows a text in place of the last one. If it is too long for the screen, the last line says how much
    /// is missing.
    ///
    /// # Errors
    /// When stdout cannot be written.
    pub fn draw(&mut self, text: &str) -> io::Result<()> {
        let rows = rustix::termios::tcgetwinsize(&self.stdout).map_or(0, |size| usize::from(size.ws_row));
        let shown = printable_output(text);
        let plain = self.is_plain.then(|| strip_str(&shown).to_string());
        let lines: Vec<&str> = plain.as_deref().unwrap_or(&shown).lines().collect();
        let fit = if rows == 0 || lines.len() <= rows { lines.len() } else { rows.saturating_sub(1) };
        let mut frame = "\x1b[H".to_owned();
        for (row, line) in lines.iter().take(fit).enumerate() {
            frame += if row > 0 { "\r\n" } else { "" };
            // After a line as wide as the terminal, it would take the last character.
            frame += "\x1b[K";
            frame += line;
        }
        if let more @ 1.. = lines.len() - fit {
            let _ = write!(frame, "\r\n… {more} more\x1b[K");
        }
        frame += "\x1b[J";
        self.stdout.write_all(frame.as_bytes())?;
        self.stdout.flush()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = self.stdout.write_all(b"\x1b[?7h\x1b[?25h\x1b[?1049l").and_then(|()| self.stdout.flush());
    }
}
