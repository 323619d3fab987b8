//! strace: what kinfra asks of the system, and answering it otherwise.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// The calls that the sweeps are about: those with a path, and those with a file.
const CLASSES: &str = "%file,%desc";

/// How the first call of kinfra's own code begins.
const BEGINNING: &str = "getcwd(";

/// A call of a run, as strace can find it again: the `nth` of its name.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) name: String,
    nth: usize,
    /// The call as traced, for messages.
    shown: String,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.name, self.nth, self.shown)
    }
}

/// What strace does to a run.
pub(super) enum Injection<'a> {
    /// Nothing: it only tells.
    None,
    /// Kills it before a call.
    Kill(&'a Call),
    /// Makes a call fail without doing anything.
    Error(&'a Call, &'static str),
}

/// A run under strace that has ended.
#[derive(Debug)]
pub(super) struct Traced {
    pub(super) code: Option<i32>,
    signal: Option<i32>,
    pub(super) stdout: String,
    pub(super) stderr: String,
    /// What strace wrote, line by line.
    pub(super) trace: Vec<String>,
}

/// Refuses to go on without strace.
pub(super) fn need_strace() {
    let version =
        Command::new("strace").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    assert!(
        version.is_ok_and(|status| status.success()),
        "the crash tests need strace: `apt-get install strace`, or what your system has for it"
    );
}

impl Injection<'_> {
    /// Runs a command under strace, which writes to `trace`.
    pub(super) fn run(&self, command: &Command, trace: &Path) -> Traced {
        let mut strace = Command::new("strace");
        strace.args(["-f", "-qq", "-y", "-o"]).arg(trace);
        match self {
            Self::None => strace.arg(format!("--trace={CLASSES}")),
            Self::Kill(Call { name, nth, .. }) => {
                strace.arg(format!("--trace={name}")).arg(format!("--inject={name}:signal=KILL:when={nth}"))
            }
            // The filter lets all other calls pass at full speed. With it strace 6.1 drops injected signals.
            Self::Error(Call { name, nth, .. }, error) => strace
                .arg("--seccomp-bpf")
                .arg(format!("--trace={name}"))
                .arg(format!("--inject={name}:error={error}:when={nth}")),
        };
        strace.arg(command.get_program()).args(command.get_args()).stdin(Stdio::null()).env_clear();
        strace.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        if let Some(dir) = command.get_current_dir() {
            strace.current_dir(dir);
        }
        Traced::of(&strace.output().expect("strace starts"), trace)
    }
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
    pub(super) fn calls(&self) -> Vec<Call> {
        assert_eq!(self.code, Some(0), "a run that only strace disturbs: {self:#?}");
        let mut counts = BTreeMap::<&str, usize>::new();
        let mut calls = None;
        for line in &self.trace {
            let (process, call) = line.split_once(' ').expect("a process and its call");
            // strace counts by process, and so does this only while there is one.
            assert!(self.trace[0].starts_with(&format!("{process} ")), "a second process: {line}");
            let call = call.trim_start();
            let Some((name, _)) = call.split_once('(').filter(|_| !call.starts_with(['+', '-'])) else {
                continue;
            };
            let nth = counts.entry(name).or_default();
            *nth += 1;
            if call.starts_with(BEGINNING) {
                calls.get_or_insert_with(Vec::new);
            }
            // Memory is no file, though `mmap` takes one.
            if let Some(calls) = calls.as_mut().filter(|_| name != "mmap") {
                calls.push(Call { name: name.to_owned(), nth: *nth, shown: call.to_owned() });
            }
        }
        calls.expect("kinfra asks where it is")
    }

    pub(super) fn was_killed(&self) -> bool {
        self.signal == Some(9)
    }

    /// Whether it ended as a panic does, with and without unwinding.
    pub(super) fn panicked(&self) -> bool {
        self.signal.is_some() || matches!(self.code, Some(101 | 134)) || self.stderr.contains("panicked")
    }

    /// The line of the call that was made to fail, and those after it.
    pub(super) fn injected(&self) -> Option<(&str, &[String])> {
        let at = self.trace.iter().position(|line| line.ends_with("(INJECTED)"))?;
        Some((&self.trace[at], &self.trace[at + 1..]))
    }
}
