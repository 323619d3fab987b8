//! A program that is asked something: how long it may take, and how much of what it prints is kept.
#![expect(clippy::disallowed_methods, reason = "kinfra starts a program here")]

use std::io::{self, PipeReader, Read as _};
use std::os::fd::AsFd as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::clock::{Stopwatch, pause};
use super::family::Family;

/// The most that is kept of a program's messages, in bytes. The rest is read and dropped.
const MESSAGES: usize = 64 << 10;

/// The longest answer, in bytes.
pub(super) const LONGEST_ANSWER: usize = 32 << 20;

/// How soon it is noticed that a program ended. It may have left its pipes to another.
pub(super) const NOTICED: Duration = Duration::from_millis(20);

/// How long the rest of what it prints is waited for then.
pub(super) const REST: Duration = Duration::from_millis(500);

/// How long a question may take at least, however long others took.
const LEAST: Duration = Duration::from_secs(1);

/// For how long it counts that a program did not answer.
const REMEMBERED: Duration = Duration::from_mins(1);

/// A program that was started to answer something.
#[derive(Debug)]
pub(super) struct Asked {
    child: Child,
    family: Family,
    output: Kept,
    messages: Kept,
    clock: Stopwatch,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum NoAnswer {
    /// It took longer than this.
    Late(Duration),
    /// It printed more than this many bytes.
    TooLong(usize),
    /// It failed, and its messages are longer than this many bytes: what went wrong is not to be found there.
    Flooded(usize),
    /// This signal ended it: what it meant to say is not known.
    Killed(i32),
    /// The operating system's error.
    Failed(io::Error),
}

impl From<io::Error> for NoAnswer {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

impl Asked {
    /// Starts it. Nothing is typed into it.
    pub(super) fn start(mut command: Command) -> io::Result<Self> {
        let family = Family::mark(&mut command);
        let ((output, its_output), (messages, its_messages)) = (io::pipe()?, io::pipe()?);
        let child = command.stdin(Stdio::null()).stdout(its_output).stderr(its_messages).spawn()?;
        let [output, messages] = [(output, LONGEST_ANSWER), (messages, MESSAGES)].map(Kept::of);
        Ok(Self { child, family, output, messages, clock: Stopwatch::start() })
    }

    /// Its answer, `timeout` after its start at the latest. Otherwise it is ended, with all that it started.
    /// What other programs took that did not answer counts, too.
    pub(super) fn answer(self, timeout: Duration) -> Result<Output, NoAnswer> {
        let clock = self.clock;
        let answer = self.outcome(left_of(timeout));
        if let Err(NoAnswer::Late(_)) = answer {
            note_late(clock.elapsed());
        }
        answer
    }

    /// The same of a program that was told to do something. It has its time, whatever others took, and what
    /// it takes says nothing of how soon a question is answered.
    pub(super) fn outcome(mut self, timeout: Duration) -> Result<Output, NoAnswer> {
        let timeout = timeout_of_a_test().unwrap_or(timeout);
        let answered = self.read(timeout).and_then(|()| self.end(timeout));
        let status = answered.inspect_err(|_| {
            self.family.kill();
            // What cannot be killed now is not waited for.
            let _ = self.child.kill();
            let _ = self.child.try_wait();
        })?;
        if let Some(signal) = status.signal() {
            return Err(NoAnswer::Killed(signal));
        }
        if !status.success() && self.messages.dropped > 0 {
            return Err(NoAnswer::Flooded(MESSAGES));
        }
        Ok(Output { status, stdout: self.output.bytes, stderr: self.messages.bytes })
    }

    /// Reads what it prints, until both of its pipes end.
    fn read(&mut self, timeout: Duration) -> Result<(), NoAnswer> {
        let mut ended = None::<Stopwatch>;
        while self.output.pipe.is_some() || self.messages.pipe.is_some() {
            let left = timeout.saturating_sub(self.clock.elapsed());
            if left.is_zero() {
                return Err(NoAnswer::Late(timeout));
            }
            if !Kept::read_what_is_there([&mut self.output, &mut self.messages], left.min(NOTICED))? {
                // A program that it left behind may hold the pipes.
                if self.child.try_wait()?.is_some() {
                    let since = ended.get_or_insert_with(Stopwatch::start);
                    if since.elapsed() >= REST {
                        return Ok(());
                    }
                }
            }
            if self.output.dropped > 0 {
                return Err(NoAnswer::TooLong(LONGEST_ANSWER));
            }
        }
        Ok(())
    }

    /// Waits for its end.
    fn end(&mut self, timeout: Duration) -> Result<ExitStatus, NoAnswer> {
        let mut rest = Duration::from_micros(50);
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if self.clock.elapsed() >= timeout {
                return Err(NoAnswer::Late(timeout));
            }
            pause(rest);
            rest = (rest * 2).min(Duration::from_millis(20));
        }
    }
}

/// What is kept of what a program prints.
#[derive(Debug)]
struct Kept {
    /// Its end of the pipe, until that ends.
    pipe: Option<PipeReader>,
    bytes: Vec<u8>,
    most: usize,
    /// How many bytes were read and not kept.
    dropped: usize,
}

impl Kept {
    fn of((pipe, most): (PipeReader, usize)) -> Self {
        Self { pipe: Some(pipe), bytes: Vec::new(), most, dropped: 0 }
    }

    /// Reads from pipes what is there now. Returns whether there was something, or an end.
    fn read_what_is_there(pipes: [&mut Self; 2], most: Duration) -> io::Result<bool> {
        let mut open: Vec<&mut Self> = pipes.into_iter().filter(|kept| kept.pipe.is_some()).collect();
        let waits = open
            .iter()
            .filter_map(|kept| Some(PollFd::from_borrowed_fd(kept.pipe.as_ref()?.as_fd(), PollFlags::IN)));
        let mut waits: Vec<PollFd<'_>> = waits.collect();
        let timeout = Timespec::try_from(most).map_err(io::Error::other)?;
        match poll(&mut waits, Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let is_ready: Vec<bool> = waits.iter().map(|wait| !wait.revents().is_empty()).collect();
        let mut some = false;
        for (kept, _) in open.iter_mut().zip(is_ready).filter(|(_, is_ready)| *is_ready) {
            some = true;
            kept.read()?;
        }
        Ok(some)
    }

    fn read(&mut self) -> io::Result<()> {
        let Some(pipe) = &mut self.pipe else { return Ok(()) };
        let mut some = [0; 16 << 10];
        let read = pipe.read(&mut some)?;
        if read == 0 {
            self.pipe = None;
        }
        let kept = read.min(self.most.saturating_sub(self.bytes.len()));
        self.bytes.extend_from_slice(some.get(..kept).unwrap_or_default());
        self.dropped += read - kept;
        Ok(())
    }
}

/// How long programs took that did not answer, and since when that is known.
static LATE: Mutex<Option<(Duration, Stopwatch)>> = Mutex::new(None);

fn note_late(took: Duration) {
    let mut late = LATE.lock().unwrap_or_else(PoisonError::into_inner);
    let before = late.as_ref().map(|(before, since)| (*before, since.elapsed()));
    *late = Some((late_in_all(before, took), Stopwatch::start()));
}

/// What is left of a timeout. All questions of a verb to programs that do not answer have one.
fn left_of(timeout: Duration) -> Duration {
    let late = LATE.lock().unwrap_or_else(PoisonError::into_inner);
    let before = late.as_ref().map(|(before, since)| (*before, since.elapsed()));
    let taken = late_in_all(before, Duration::ZERO);
    timeout.saturating_sub(taken).max(LEAST.min(timeout))
}

/// How long programs took that did not answer: what is known of that, and for how long it is, with what one
/// more took. Of programs that were asked at the same time, the time counts once.
fn late_in_all(before: Option<(Duration, Duration)>, took: Duration) -> Duration {
    match before.filter(|(_, ago)| *ago < REMEMBERED) {
        Some((before, ago)) => before + took.min(ago),
        None => took,
    }
}

/// The timeout according to a test, such as `KINFRA_TEST_DOCKER_SECONDS=1`: a test of an engine that hangs
/// does not wait as long as a user would. A release build ignores the variable.
fn timeout_of_a_test() -> Option<Duration> {
    if !cfg!(debug_assertions) {
        return None;
    }
    std::env::var("KINFRA_TEST_DOCKER_SECONDS").ok()?.parse().map(Duration::from_secs).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str, timeout: Duration) -> Result<Output, NoAnswer> {
        let mut sh = Command::new("sh");
        sh.args(["-c", script]);
        Asked::start(sh).unwrap().answer(timeout)
    }

    const LONG: Duration = Duration::from_mins(1);

    #[test]
    fn a_flood_of_messages_is_dropped_and_one_of_answers_ends_the_program() {
        let output = sh("head -c 3000000 /dev/zero >&2; echo on", LONG).unwrap();
        assert_eq!((output.stdout.as_slice(), output.stderr.len()), (b"on\n".as_slice(), MESSAGES));
        let most = LONGEST_ANSWER;
        assert!(matches!(sh("cat /dev/zero", LONG), Err(NoAnswer::TooLong(length)) if length == most));
        assert_eq!(sh("head -c 300000 /dev/zero", LONG).unwrap().stdout.len(), 300_000);
    }

    #[test]
    fn a_program_that_ended_is_not_waited_for_where_another_has_its_pipes() {
        let output = sh("sleep 50 & echo on; exit 3", LONG).unwrap();
        assert_eq!((output.stdout.as_slice(), output.status.code()), (b"on\n".as_slice(), Some(3)));
    }

    #[test]
    fn a_failure_with_a_flood_of_messages_is_no_answer() {
        let failed = sh("head -c 65537 /dev/zero >&2; exit 1", LONG);
        assert!(matches!(failed, Err(NoAnswer::Flooded(MESSAGES))), "{failed:?}");
        assert_eq!(sh("head -c 65536 /dev/zero >&2; exit 1", LONG).unwrap().stderr.len(), MESSAGES);
    }

    #[test]
    fn what_late_programs_took_counts_once_and_is_forgotten_after_a_while() {
        let seconds = Duration::from_secs;
        assert_eq!(late_in_all(None, seconds(20)), seconds(20));
        assert_eq!(late_in_all(Some((seconds(20), seconds(30))), seconds(5)), seconds(25));
        assert_eq!(late_in_all(Some((seconds(20), seconds(0))), seconds(20)), seconds(20), "side by side");
        assert_eq!(late_in_all(Some((seconds(20), REMEMBERED)), seconds(5)), seconds(5));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_a_late_program_started_goes_with_it() {
        let mut sh = Command::new("sh");
        // One of them has another parent by then, one is in a session of its own.
        sh.args(["-c", "(sleep 50 &); setsid sleep 50 & exec >&- 2>&-; wait"]);
        let asked = Asked::start(sh).unwrap();
        let family = asked.family.clone();
        let is_there = || family.members().len();
        while is_there() < 3 {
            pause(Duration::from_millis(1));
        }
        assert!(matches!(asked.answer(Duration::from_millis(1)), Err(NoAnswer::Late(_))));
        while is_there() > 0 {
            pause(Duration::from_millis(1));
        }
    }
}
