//! strace: lists kinfra's system calls, and makes one fail, succeed or stop.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Output};

use super::through;
use crate::support::{Running, tools};

/// The calls that the sweeps are about: those with a path, and those with a file.
const CLASSES: &str = "%file,%desc";

/// How the first call of kinfra's own code begins.
const BEGINNING: &str = "getcwd(";

/// A call of a run, as strace can find it again: the `nth` of its name.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) name: String,
    pub(crate) nth: usize,
    /// The call as traced, for messages.
    pub(crate) shown: String,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.name, self.nth, self.shown)
    }
}

/// What strace does to a run of kinfra.
pub(crate) enum Injection<'a> {
    /// It only lists the calls.
    None,
    /// Kills it before a call.
    Kill(&'a Call),
    /// Makes a call fail without doing anything.
    Error(&'a Call, &'static str),
    /// Makes a call succeed without doing anything.
    Lie(&'a Call),
    /// Makes all calls of some names, separated by commas, succeed without doing anything.
    Lies(&'static str),
    /// Stops it after a call, until it gets SIGCONT.
    Stop(&'a Call),
    /// The same, with a second injection, such as `signal=KILL`, at a later call of another name.
    StopThen(&'a Call, &'a Call, &'static str),
}

/// A run under strace that has ended.
#[derive(Debug)]
pub(crate) struct Traced {
    pub(crate) code: Option<i32>,
    signal: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// What strace wrote, line by line.
    pub(crate) trace: Vec<String>,
}

/// Panics if strace is missing.
pub(crate) fn need_strace() {
    assert!(
        tools::find("strace").is_some(),
        "the crash tests need strace: `apt-get install strace`, or what your system has for it"
    );
}

impl Injection<'_> {
    /// The same command under strace, which writes to `trace`.
    pub(crate) fn command(&self, command: &Command, trace: &Path) -> Command {
        let trace = trace.to_str().expect("a UTF-8 path");
        let (names, injections) = match self {
            Self::None => (CLASSES.to_owned(), vec![]),
            Self::Kill(call) => (call.name.clone(), vec![call.inject("signal=KILL")]),
            Self::Error(call, error) => (call.name.clone(), vec![call.inject(&format!("error={error}"))]),
            Self::Lie(call) => (call.name.clone(), vec![call.inject("retval=0")]),
            Self::Lies(names) => ((*names).to_owned(), vec![format!("--inject={names}:retval=0")]),
            Self::Stop(call) => (call.name.clone(), vec![call.inject("signal=STOP")]),
            Self::StopThen(stop, call, what) => {
                (format!("{},{}", stop.name, call.name), vec![stop.inject("signal=STOP"), call.inject(what)])
            }
        };
        let traced = format!("--trace={names}");
        // The filter lets all other calls pass at full speed. With it strace 6.1 drops injected signals.
        let filter = matches!(self, Self::Error(..)).then_some("--seccomp-bpf");
        let strace = ["strace", "-f", "-qq", "-y", "-o", trace, &traced];
        through(strace.into_iter().chain(filter).chain(injections.iter().map(String::as_str)), command)
    }

    /// Runs a command under strace, which writes to `trace`.
    pub(crate) fn run(&self, command: &Command, trace: &Path) -> Traced {
        let mut command = self.command(command, trace);
        let output = Running::piped(&mut command).outcome();
        Traced::of(&output, trace)
    }
}

impl Call {
    /// Whether only a build with debug assertions makes it: Rust asks before each close whether the file is
    /// open.
    pub(crate) fn is_an_assertion(&self) -> bool {
        self.shown.contains(", F_GETFD)")
    }

    /// What it asks the system: the call without its result, and without numbers of files and addresses,
    /// which differ each time.
    pub(crate) fn question(&self) -> String {
        let asked = self.shown.rsplit_once(" = ").map_or(&*self.shown, |(asked, _)| asked);
        let words = asked.split_inclusive([' ', '(', ',', '<']);
        let is_number =
            |word: &str| word.starts_with("0x") || word.trim_end_matches('<').parse::<u32>().is_ok();
        words.filter(|word| !is_number(word)).collect()
    }

    fn inject(&self, what: &str) -> String {
        format!("--inject={}:{what}:when={}", self.name, self.nth)
    }
}

/// The calls that touch files in an undisturbed run, from the first of kinfra's own.
pub(crate) fn calls(command: &Command) -> Vec<Call> {
    need_strace();
    let dir = tempfile::tempdir().expect("a temporary directory");
    Injection::None.run(command, &dir.path().join("trace")).calls()
}

impl Traced {
    fn of(output: &Output, trace: &Path) -> Self {
        let trace = fs::read(trace).expect("strace writes a trace");
        Self {
            code: output.status.code(),
            signal: output.status.signal(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            trace: String::from_utf8_lossy(&trace).lines().map(str::to_owned).collect(),
        }
    }

    /// The calls of a run that was only traced.
    pub(crate) fn calls(&self) -> Vec<Call> {
        assert_eq!(self.code, Some(0), "a run that only strace disturbs: {self:#?}");
        let mut counts = BTreeMap::<&str, usize>::new();
        let mut calls = None;
        for line in &self.trace {
            let (process, call) = line.split_once(' ').expect("a process and its call");
            // strace counts by process. Any other process is a program that kinfra started.
            if !self.trace[0].starts_with(&format!("{process} ")) {
                continue;
            }
            let call = call.trim_start();
            let Some((name, _)) = call.split_once('(').filter(|_| !call.starts_with(['+', '-'])) else {
                continue;
            };
            let nth = counts.entry(name).or_default();
            *nth += 1;
            if call.starts_with(BEGINNING) {
                calls.get_or_insert_with(Vec::new);
            }
            // `mmap` takes a file, but touches memory only.
            if let Some(calls) = calls.as_mut().filter(|_| name != "mmap") {
                calls.push(Call { name: name.to_owned(), nth: *nth, shown: call.to_owned() });
            }
        }
        calls.expect("kinfra asks where it is")
    }

    pub(crate) fn was_killed(&self) -> bool {
        self.signal == Some(9)
    }

    /// Whether it ended as a panic does, with and without unwinding.
    pub(crate) fn panicked(&self) -> bool {
        self.signal.is_some() || matches!(self.code, Some(101 | 134)) || self.stderr.contains("panicked")
    }

    /// The line of the call that was made to fail, and those after it.
    pub(crate) fn injected(&self) -> Option<(&str, &[String])> {
        let at = self.trace.iter().position(|line| line.ends_with("(INJECTED)"))?;
        Some((&self.trace[at], &self.trace[at + 1..]))
    }
}
