//! A run of kinfra that is stopped after a system call, so that a test can act at that moment.

use std::fs;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::strace::{Call, Injection};
use crate::support::{Run, Running};

/// A run that is stopped.
pub(crate) struct Paused {
    strace: Running,
    kinfra: Pid,
    _dir: TempDir,
}

impl Paused {
    /// Starts a command and stops it after a call. `None` if it ended before.
    pub(crate) fn after(command: &Command, call: &Call) -> Option<Self> {
        Self::under(command, &Injection::Stop(call))
    }

    /// Starts a command under an injection that stops it. `None` if it ended before.
    pub(crate) fn under(command: &Command, injection: &Injection<'_>) -> Option<Self> {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let trace = dir.path().join("trace");
        let mut strace = injection.command(command, &trace);
        let mut strace = Running::piped(&mut strace);
        let begun = Instant::now();
        loop {
            let trace = fs::read_to_string(&trace).unwrap_or_default();
            let stopped = trace.lines().filter(|line| line.ends_with("--- stopped by SIGSTOP ---"));
            let stopped = stopped.filter_map(process).collect::<Vec<_>>();
            let kinfra = trace.lines().find_map(process);
            if let Some(kinfra) = kinfra.filter(|kinfra| stopped.contains(kinfra)) {
                return Some(Self { strace, kinfra, _dir: dir });
            }
            // A program that kinfra started makes the same calls.
            for other in stopped {
                let _ = kill_process(other, Signal::CONT);
            }
            if strace.try_wait().expect("strace can be asked").is_some() {
                return None;
            }
            assert!(begun.elapsed() < Duration::from_secs(30), "neither stopped nor ended: {trace}");
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Presses Ctrl-C, and lets it go on.
    pub(crate) fn interrupt(self) -> Run {
        kill_process(self.kinfra, Signal::INT).expect("kinfra can be interrupted");
        self.resume()
    }

    /// Lets it go on, to its end.
    pub(crate) fn resume(self) -> Run {
        kill_process(self.kinfra, Signal::CONT).expect("kinfra can be continued");
        self.strace.ends()
    }
}

/// The process of a line of a trace.
fn process(line: &str) -> Option<Pid> {
    line.split(' ').next().and_then(|pid| pid.parse().ok()).and_then(Pid::from_raw)
}
