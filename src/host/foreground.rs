//! The user's own command as a child that kinfra outlives. It has kinfra's streams, and gets kinfra's
//! signals.
#![expect(clippy::disallowed_methods, reason = "kinfra starts a program here")]

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitStatus};
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};

use super::asked::NOTICED;
use super::clock::{Stopwatch, pause};
use super::fs::Umask;
use super::invocation::as_value;
use super::signals::Relay;
use super::terminal::is_in_front;

/// What a signal adds to its number in an exit code, as shells say it.
const BY_SIGNAL: i32 = 128;

/// A command of the user, with changed variables.
pub struct Foreground<'a> {
    /// The command, which is looked up in `PATH`.
    pub program: &'a OsStr,
    /// Its arguments.
    pub arguments: &'a [OsString],
    /// The variables that it does not get.
    pub unset: Vec<&'a str>,
    /// The variables that it gets.
    pub set: Vec<(&'a str, &'a str)>,
    /// The umask that it gets.
    pub umask: Umask,
}

impl Foreground<'_> {
    /// Runs it to its end. `meanwhile` is called every so often. Its exit code, or 128 and the number of the
    /// signal that ended it.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn run(&self, relay: &Relay, every: Duration, mut meanwhile: impl FnMut()) -> io::Result<u8> {
        let mut child = self.start()?;
        let mut since = Stopwatch::start();
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(code(status));
            }
            for signal in relay.arrived() {
                // A terminal sends these to all that it has in front: a command would get them twice, and
                // many take the second as an order to give up at once.
                if !(is_of_a_terminal(signal) && is_in_front()) {
                    send(&child, signal);
                }
            }
            if since.elapsed() >= every {
                meanwhile();
                since = Stopwatch::start();
            }
            pause(NOTICED);
        }
    }

    fn start(&self) -> io::Result<Child> {
        let mut command = Command::new(self.program);
        match self.spawn(&mut command) {
            // A script without `#!` is one for sh, as shells and `exec` have it.
            Err(error) if error.raw_os_error() == Some(Errno::NOEXEC.raw_os_error()) => {
                self.spawn(Command::new("/bin/sh").args(["-c", "exec \"$0\" \"$@\""]).arg(self.program))
            }
            started => started,
        }
    }

    fn spawn(&self, command: &mut Command) -> io::Result<Child> {
        command.args(self.arguments);
        command.envs(self.set.iter().map(|(name, value)| (name, as_value(value))));
        for name in &self.unset {
            command.env_remove(name);
        }
        self.umask.during(|| command.spawn())
    }
}

/// It may have ended by itself.
fn send(child: &Child, signal: Signal) {
    let _ = kill_process(Pid::from_child(child), signal);
}

fn is_of_a_terminal(signal: Signal) -> bool {
    [Signal::INT, Signal::QUIT, Signal::HUP].contains(&signal)
}

fn code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| BY_SIGNAL + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)
}
