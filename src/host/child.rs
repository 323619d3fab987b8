//! A program that runs as a child of kinfra for a while. Its output goes to kinfra's stderr, or its last
//! lines are kept.
#![expect(clippy::disallowed_methods, reason = "kinfra starts a program here")]

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, PipeReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use camino::Utf8Path;
use rustix::process::{Pid, Signal, kill_process};

use super::asked::{NOTICED, REST};
use super::clock::{Stopwatch, pause};
use super::family::Family;
use super::fs::Umask;
use super::invocation::as_value;
use super::root::StackLock;
use super::signals::Interrupt;
use crate::ended::{Ended, How};

/// How long a program that was asked to end may take, before it is killed.
const GRACE: Duration = Duration::from_secs(10);

/// Ctrl-C reaches the whole foreground of a terminal. A program that lives on after so long did not hear it.
const HEARD: Duration = Duration::from_secs(2);

/// The most lines that are kept.
const MOST_LINES: usize = 20;
/// The most bytes of a line that are kept.
const WIDEST: usize = 400;

/// Where its output goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination {
    /// To kinfra's stderr.
    Stderr,
    /// Its last lines are kept.
    LastLines,
}

/// How a child is watched.
#[derive(Debug, Clone, Copy)]
pub struct Watch<'a> {
    /// How long it may run.
    pub timeout: Duration,
    /// What ends it early.
    pub interrupt: &'a Interrupt,
    /// Where its output goes.
    pub output: Destination,
    /// The lock that it holds for as long as it runs.
    pub lock: Option<&'a StackLock>,
}

/// A command of the user, with changed variables.
pub struct Program<'a> {
    /// The command and its arguments.
    pub words: &'a [String],
    /// Where it runs.
    pub directory: &'a Utf8Path,
    /// The variables that it does not get.
    pub unset: Vec<&'a str>,
    /// The variables that it gets.
    pub set: Vec<(&'a str, &'a str)>,
    /// The umask that it gets.
    pub umask: Umask,
}

/// Runs a command of the user to its end.
///
/// # Errors
/// When it cannot be started.
pub fn run_program(program: &Program<'_>, watch: &Watch<'_>) -> io::Result<Ended> {
    let (name, arguments) = program.words.split_first().ok_or_else(|| io::Error::other("it has no name"))?;
    let mut command = Command::new(name);
    command.args(arguments).current_dir(program.directory);
    for name in &program.unset {
        command.env_remove(name);
    }
    command.envs(program.set.iter().map(|(name, value)| (name, as_value(value))));
    run(command, Some(program.umask), watch)
}

/// Runs a program to its end, to the timeout, or until the user stops it.
pub(super) fn run(mut command: Command, umask: Option<Umask>, watch: &Watch<'_>) -> io::Result<Ended> {
    command.stdin(Stdio::null());
    let reader = match watch.output {
        Destination::Stderr => {
            command.stdout(io::stderr()).stderr(io::stderr());
            None
        }
        Destination::LastLines => {
            let (reader, writer) = io::pipe()?;
            command.stdout(writer.try_clone()?).stderr(writer);
            Some(reader)
        }
    };
    let family = Family::mark(&mut command);
    let mut spawn = || match umask {
        Some(umask) => umask.during(|| command.spawn()),
        None => command.spawn(),
    };
    let mut child = match watch.lock {
        Some(lock) => lock.lend(spawn)?,
        None => spawn()?,
    };
    // It has the ends of the pipe that it writes to, and must be the only one.
    drop(command);
    let lines = reader.map(Lines::read);
    let how = wait(&mut child, &family, watch)?;
    Ok(Ended { how, last_lines: lines.map(Lines::last).unwrap_or_default() })
}

fn wait(child: &mut Child, family: &Family, watch: &Watch<'_>) -> io::Result<How> {
    let running = Stopwatch::start();
    let (mut heard, mut asked) = (None::<Stopwatch>, None::<Stopwatch>);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(match status {
                _ if watch.interrupt.is_requested() => How::Interrupted,
                _ if asked.is_some() => {
                    family.kill();
                    How::NotInTime
                }
                status if status.success() => How::Well,
                status => How::Badly(told(status)),
            });
        }
        if watch.interrupt.is_requested() && heard.is_none() {
            heard = Some(Stopwatch::start());
        }
        let is_over = heard.is_some_and(|since| since.elapsed() >= HEARD);
        match asked {
            None if is_over || running.elapsed() >= watch.timeout => {
                let _ = kill_process(Pid::from_child(child), Signal::TERM);
                asked = Some(Stopwatch::start());
            }
            Some(since) if since.elapsed() >= GRACE => child.kill()?,
            None | Some(_) => {}
        }
        pause(NOTICED);
    }
}

fn told(status: ExitStatus) -> String {
    status.code().map_or_else(|| status.to_string(), |code| format!("exit code {code}"))
}

/// The last lines of a program's output.
struct Lines {
    kept: Arc<Mutex<VecDeque<String>>>,
    reading: JoinHandle<()>,
}

impl Lines {
    fn read(reader: PipeReader) -> Self {
        let kept = Arc::new(Mutex::new(VecDeque::new()));
        let to = Arc::clone(&kept);
        let reading = thread::spawn(move || {
            let mut reader = BufReader::new(reader);
            while let Some(line) = line_of(&mut reader) {
                let line: String = String::from_utf8_lossy(&line).trim_end().chars().take(WIDEST).collect();
                let mut kept = to.lock().unwrap_or_else(PoisonError::into_inner);
                if !line.is_empty() {
                    kept.push_back(line);
                }
                if kept.len() > MOST_LINES {
                    kept.pop_front();
                }
            }
        });
        Self { kept, reading }
    }

    fn last(self) -> Vec<String> {
        let waiting = Stopwatch::start();
        while !self.reading.is_finished() && waiting.elapsed() < REST {
            pause(Duration::from_millis(1));
        }
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).drain(..).collect()
    }
}

/// The beginning of the next line. The rest of a line that is too long is read and dropped.
fn line_of(reader: &mut impl BufRead) -> Option<Vec<u8>> {
    let mut line = Vec::new();
    let mut is_there = false;
    loop {
        let some = reader.fill_buf().ok()?;
        if some.is_empty() {
            return is_there.then_some(line);
        }
        is_there = true;
        let end = some.iter().position(|byte| *byte == b'\n');
        let part = some.get(..end.unwrap_or(some.len())).unwrap_or_default();
        // A character has at most four bytes.
        let kept = part.len().min((WIDEST * 4).saturating_sub(line.len()));
        line.extend_from_slice(part.get(..kept).unwrap_or_default());
        let read = part.len() + usize::from(end.is_some());
        reader.consume(read);
        if end.is_some() {
            return Some(line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str, timeout: Duration) -> Ended {
        let mut sh = Command::new("sh");
        sh.args(["-c", script]);
        let interrupt = Interrupt::default();
        run(sh, None, &Watch { timeout, interrupt: &interrupt, output: Destination::LastLines, lock: None })
            .unwrap()
    }

    #[test]
    fn the_last_lines_of_both_streams_are_kept() {
        let ended = sh("seq 1 30; echo; echo bad >&2; exit 3", GRACE);
        assert_eq!(ended.how, How::Badly("exit code 3".to_owned()));
        assert_eq!(ended.last_lines.len(), MOST_LINES);
        assert_eq!(ended.last_lines.first().map(String::as_str), Some("12"));
        assert_eq!(ended.last_lines.last().map(String::as_str), Some("bad"));
    }

    #[test]
    fn of_a_line_without_an_end_only_its_beginning_is_kept() {
        let flood = vec![b'x'; 3_000_000];
        let text = [flood.as_slice(), b"\nlast"].concat();
        let mut reader = BufReader::new(text.as_slice());
        assert_eq!(line_of(&mut reader).map(|line| line.len()), Some(WIDEST * 4));
        assert_eq!(line_of(&mut reader), Some(b"last".to_vec()));
        assert_eq!(line_of(&mut reader), None);
    }

    #[test]
    fn a_program_that_takes_too_long_is_ended_and_not_waited_for() {
        let running = Stopwatch::start();
        // What it leaves behind holds the pipe.
        let ended = sh("sleep 30 & echo on; exec sleep 31", Duration::from_millis(100));
        assert_eq!(ended, Ended { how: How::NotInTime, last_lines: vec!["on".to_owned()] });
        assert!(running.elapsed() < Duration::from_secs(5), "{:?}", running.elapsed());
    }
}
