//! A terminal for a program, by `script`, and what a person sees on it.

use std::io::{Read as _, Write as _};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};

use crate::support::{Machine, Running};

/// A program on a terminal.
pub(crate) struct Terminal {
    child: Running,
    stdin: ChildStdin,
    stdout: ChildStdout,
    columns: usize,
    printed: Vec<u8>,
}

impl Terminal {
    /// Runs a command on a terminal of this size. Its arguments have no spaces in them.
    pub(crate) fn run(machine: &Machine, command: &Command, rows: usize, columns: usize) -> Self {
        if !machine.tools().join("script").exists() {
            machine.install("script");
        }
        let stty = machine.tools().join("stty");
        let words = [command.get_program()].into_iter().chain(command.get_args());
        let words: Vec<&str> = words.map(|word| word.to_str().expect("UTF-8")).collect();
        let line = format!("{} rows {rows} cols {columns}; exec {}", stty.display(), words.join(" "));
        let mut script = machine.program("script");
        script.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
        script.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        script.current_dir(command.get_current_dir().expect("a directory"));
        let mut child = Running::start(script.stdin(Stdio::piped()).stdout(Stdio::piped()));
        let stdin = child.stdin.take().expect("its stdin");
        let stdout = child.stdout.take().expect("its stdout");
        Self { child, stdin, stdout, columns, printed: Vec::new() }
    }

    /// Reads until the lines on the screen are as they should be.
    #[track_caller]
    pub(crate) fn until(&mut self, is_right: impl Fn(&[String]) -> bool) -> Vec<String> {
        loop {
            let lines = self.lines();
            if is_right(&lines) {
                return lines;
            }
            assert!(self.read(), "it ended with {lines:#?}");
        }
    }

    /// Types a text.
    pub(crate) fn types(&mut self, text: &str) {
        self.stdin.write_all(text.as_bytes()).expect("it reads");
    }

    /// Waits for its end: its exit code, what it printed, and the lines that are left on the screen.
    pub(crate) fn ends(mut self) -> (Option<i32>, String, Vec<String>) {
        while self.read() {}
        let code = self.child.wait().expect("its end").code();
        (code, String::from_utf8_lossy(&self.printed).into_owned(), self.lines())
    }

    fn read(&mut self) -> bool {
        let mut bytes = [0; 4096];
        let read = self.stdout.read(&mut bytes).expect("its output");
        self.printed.extend(&bytes[..read]);
        read > 0
    }

    /// The lines on the screen, without spaces at their ends. A terminal of these tests never scrolls.
    fn lines(&self) -> Vec<String> {
        let mut screen = Screen { lines: vec![Vec::new()], row: 0, column: 0, wraps: true };
        let printed = String::from_utf8_lossy(&self.printed);
        let mut characters = printed.chars();
        while let Some(character) = characters.next() {
            match character {
                '\u{1b}' => {
                    let mut code = String::new();
                    for character in characters.by_ref().skip(1) {
                        code.push(character);
                        if character.is_ascii_alphabetic() {
                            break;
                        }
                    }
                    screen.obeys(&code);
                }
                '\r' => screen.column = 0,
                '\n' => screen.goes_to(screen.row + 1),
                character => screen.shows(character, self.columns),
            }
        }
        let lines = screen.lines.into_iter().map(String::from_iter);
        lines.map(|line: String| line.trim_end().to_owned()).collect()
    }
}

/// A screen, as far as kinfra uses one.
struct Screen {
    lines: Vec<Vec<char>>,
    row: usize,
    column: usize,
    wraps: bool,
}

impl Screen {
    fn goes_to(&mut self, row: usize) {
        self.row = row;
        self.lines.resize(self.lines.len().max(row + 1), Vec::new());
    }

    fn shows(&mut self, character: char, columns: usize) {
        if self.column == columns {
            if self.wraps {
                self.goes_to(self.row + 1);
                self.column = 0;
            } else {
                self.column -= 1;
            }
        }
        let line = &mut self.lines[self.row];
        line.resize(line.len().max(self.column + 1), ' ');
        line[self.column] = character;
        self.column += 1;
    }

    fn obeys(&mut self, code: &str) {
        match code {
            "H" => (self.row, self.column) = (0, 0),
            "K" => self.lines[self.row].truncate(self.column),
            "J" => {
                self.lines[self.row].truncate(self.column);
                self.lines.truncate(self.row + 1);
            }
            "?7l" => self.wraps = false,
            "?7h" => self.wraps = true,
            "?1049h" => (self.lines, self.row, self.column) = (vec![Vec::new()], 0, 0),
            code => {
                if let Some(rows) = code.strip_suffix('A') {
                    self.row -= rows.parse::<usize>().expect("a number");
                }
            }
        }
    }
}
