//! The terminal that kinfra prints on, if it is on one.

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Stdout, Write as _};

/// A screen of its own on the terminal: drawn over and over, and gone when it is dropped, with what was there before back.
#[derive(Debug)]
pub struct Screen {
    stdout: Stdout,
}

impl Screen {
    /// Opens it. `None` where stdout is no terminal.
    ///
    /// # Errors
    /// What keeps it from being written to.
    pub fn open() -> io::Result<Option<Self>> {
        let stdout = io::stdout();
        if !stdout.is_terminal() {
            return Ok(None);
        }
        // Another screen, no cursor, and lines that are cut off instead of going on in the next.
        let mut screen = Self { stdout };
        screen.stdout.write_all(b"\x1b[?1049h\x1b[?25l\x1b[?7l")?;
        Ok(Some(screen))
    }

    /// Shows a text in place of the last one. What does not fit below is left out, and that is said.
    ///
    /// # Errors
    /// What keeps it from being written.
    pub fn draw(&mut self, text: &str) -> io::Result<()> {
        let rows = rustix::termios::tcgetwinsize(&self.stdout).map_or(0, |size| usize::from(size.ws_row));
        let lines: Vec<&str> = text.lines().collect();
        let fit = if rows == 0 || lines.len() <= rows { lines.len() } else { rows.saturating_sub(1) };
        let mut frame = "\x1b[H".to_owned();
        for (row, line) in lines.iter().take(fit).enumerate() {
            frame += if row > 0 { "\r\n" } else { "" };
            frame += line;
            frame += "\x1b[K";
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
