//! How a run can end: the exit codes, and the error that carries one.

use std::ffi::OsStr;
use std::{fmt, io};

/// The exit codes, the same for every verb.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done,
    /// Failed for a reason that has no code of its own.
    Failed,
    /// There are differences; only with `--detailed-exitcode`.
    Differences,
    /// No slot is free, or none that matches.
    NoSlot,
    /// Refused: unsafe path, stale plan, held by another worktree.
    Refused,
    /// kinfra's own state cannot be read: corrupt, newer, vanished.
    Unreadable,
    /// The lock was not obtained.
    Locked,
    /// The stack does not run.
    DoesNotRun,
    /// The stack is not ready in time.
    NotInTime,
    /// Docker, or the server of the registry, failed or does not answer.
    Docker,
    /// The command line is wrong.
    Usage,
    /// `slots.toml` or a template is invalid.
    Spec,
    /// Done, but stdout could not be written.
    Unprinted,
    /// `exec` and `run`: the command is there and cannot be executed, as shells say it.
    NotExecutable,
    /// `exec` and `run`: there is no such command, as shells say it.
    NoCommand,
    /// Interrupted: what was in flight is completed and committed.
    Interrupted,
    /// `run`: the command's own code, or 128 and the number of the signal that ended it.
    Command(u8),
}

impl Exit {
    /// The end of a command of the user with this code.
    pub fn of_command(code: u8) -> Self {
        if code == 0 { Self::Done } else { Self::Command(code) }
    }

    /// The code that the process ends with.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Differences => 2,
            Self::NoSlot => 3,
            Self::Refused => 4,
            Self::Unreadable => 5,
            Self::Locked => 6,
            Self::DoesNotRun => 7,
            Self::NotInTime => 8,
            Self::Docker => 9,
            Self::Usage => 64,
            Self::Spec => 65,
            Self::Unprinted => 74,
            Self::NotExecutable => 126,
            Self::NoCommand => 127,
            Self::Interrupted => 130,
            Self::Command(code) => code,
        }
    }
}

/// Why there is no slot, for programs that ask for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Every slot that would do is held, or not fit for use.
    Full,
    /// The memory does not suffice.
    Memory,
}

impl Reason {
    /// Its word in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Memory => "memory",
        }
    }
}

/// An error that decides the exit code: what happened and, apart from it, what to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The code the process ends with.
    pub exit: Exit,
    /// What happened, to which slot or file.
    pub what: String,
    /// What to do next, if anything helps.
    pub advice: Option<String>,
    /// Why there is no slot, if that is it.
    pub reason: Option<Reason>,
    /// Whether `what` brings headings of its own, as the mistakes of a spec do.
    pub has_headings: bool,
    /// Whether the message adds that nothing was changed. `what` alone goes where that is no news, as in the
    /// doctor.
    pub is_unchanged: bool,
    /// Whether a server did not answer that may answer later.
    pub is_away: bool,
}

impl Fault {
    /// The verb failed, for a reason that has no exit code of its own.
    pub fn failed(what: impl Into<String>) -> Self {
        Self::new(Exit::Failed, what)
    }

    /// The request is refused; nothing was done.
    pub fn refused(what: impl Into<String>) -> Self {
        Self::new(Exit::Refused, what)
    }

    /// No slot is free, or none that matches.
    pub fn no_slot(what: impl Into<String>) -> Self {
        Self::new(Exit::NoSlot, what)
    }

    /// The registry or the root cannot be trusted; nothing was changed.
    pub fn unreadable(what: impl Into<String>) -> Self {
        Self::new(Exit::Unreadable, what)
    }

    /// Another process holds the lock.
    pub fn locked(what: impl Into<String>) -> Self {
        Self::new(Exit::Locked, what)
    }

    /// Docker, or the server of the registry, failed, or does not answer what it is asked.
    pub fn docker(what: impl Into<String>) -> Self {
        Self::new(Exit::Docker, what)
    }

    /// The server of the registry cannot be asked.
    pub fn server(what: impl Into<String>) -> Self {
        Self::new(Exit::Docker, what)
    }

    /// The command line, or the environment that stands for it, is wrong.
    pub fn usage(what: impl Into<String>) -> Self {
        Self::new(Exit::Usage, what)
    }

    /// `slots.toml` or a template cannot be used.
    pub fn spec(what: impl Into<String>) -> Self {
        Self::new(Exit::Spec, what)
    }

    /// `slots.toml` or its templates have mistakes. `rendered` shows each with its place and a heading.
    pub fn mistakes(rendered: impl Into<String>) -> Self {
        Self { has_headings: true, ..Self::new(Exit::Spec, rendered) }
    }

    /// Something was done, and stdout could not be written afterwards.
    pub fn unprinted(what: impl Into<String>) -> Self {
        Self::new(Exit::Unprinted, what)
    }

    /// The user's command could not be started.
    pub fn command(program: &OsStr, error: &io::Error) -> Self {
        let program = program.to_string_lossy();
        let program = program.escape_debug();
        if error.kind() == io::ErrorKind::NotFound {
            let why = "the command, or the interpreter that it needs, does not exist";
            return Self::new(Exit::NoCommand, format!("`{program}` is not found: {why}"));
        }
        Self::new(Exit::NotExecutable, format!("`{program}` cannot be executed: {error}"))
    }

    /// You asked kinfra to stop; nothing was done.
    pub fn interrupted(what: impl Into<String>) -> Self {
        Self::new(Exit::Interrupted, what)
    }

    /// The same fault, with what to do next.
    #[must_use]
    pub fn advise(self, advice: impl Into<String>) -> Self {
        Self { advice: Some(advice.into()), ..self }
    }

    /// The same fault, with why there is no slot.
    #[must_use]
    pub fn because(self, reason: Reason) -> Self {
        Self { reason: Some(reason), ..self }
    }

    /// The same fault, of a server that may answer later.
    #[must_use]
    pub fn away(self) -> Self {
        Self { is_away: true, ..self }
    }

    /// The same fault, whose message adds that nothing was changed.
    #[must_use]
    pub fn unchanged(self) -> Self {
        Self { is_unchanged: true, ..self }
    }

    fn new(exit: Exit, what: impl Into<String>) -> Self {
        Self {
            exit,
            what: what.into(),
            advice: None,
            reason: None,
            has_headings: false,
            is_unchanged: false,
            is_away: false,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        if self.is_unchanged { f.write_str("; nothing was changed") } else { Ok(()) }
    }
}

impl std::error::Error for Fault {}

/// That it is not known whether a change was made: what the network or the server said last.
#[derive(Debug)]
pub struct NotKnown(pub String);

impl fmt::Display for NotKnown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NotKnown {}

/// Whether an error says that a change was not made. [`NotKnown`] does not.
pub fn is_known(error: &anyhow::Error) -> bool {
    error.downcast_ref::<NotKnown>().is_none()
}

/// Whether an error says that a server did not answer which may answer later.
pub fn is_away(error: &anyhow::Error) -> bool {
    error.downcast_ref::<Fault>().is_some_and(|fault| fault.is_away)
}

/// Why there is no slot, by the error that says so.
pub fn reason_of(error: &anyhow::Error) -> Option<Reason> {
    error.downcast_ref::<Fault>().and_then(|fault| fault.reason)
}

/// The exit code of an error: a [`Fault`] in its chain decides, be it the cause or the context.
pub fn exit_of(error: &anyhow::Error) -> Exit {
    error.downcast_ref::<Fault>().map_or(Exit::Failed, |fault| fault.exit)
}

/// What to do about an error: the advice of its context, or else of its cause.
pub fn advice_of(error: &anyhow::Error) -> Option<&str> {
    let (context, cause) = (error.downcast_ref::<Fault>(), error.root_cause().downcast_ref::<Fault>());
    [context, cause].into_iter().flatten().find_map(|fault| fault.advice.as_deref())
}
