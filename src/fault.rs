//! How a run can end: the exit codes, and the error that carries one.

use std::fmt;

/// The exit codes, the same for every verb.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// Failed for a reason that has no code of its own.
    Failed = 1,
    /// There are differences; only with `--detailed-exitcode`.
    Differences = 2,
    /// No slot is free, or none that matches.
    NoSlot = 3,
    /// Refused: unsafe path, stale plan, held by another worktree.
    Refused = 4,
    /// kinfra's own state cannot be read: corrupt, newer, vanished.
    Unreadable = 5,
    /// The lock was not obtained.
    Locked = 6,
    /// The stack does not run.
    DoesNotRun = 7,
    /// The stack is not ready in time.
    NotInTime = 8,
    /// Docker failed, or does not answer.
    Docker = 9,
    /// The command line is wrong.
    Usage = 64,
    /// `slots.toml` or a template is invalid.
    Spec = 65,
    /// Done, but stdout could not be written.
    Unprinted = 74,
    /// `exec`: the command is there and cannot be executed, as shells say it.
    NotExecutable = 126,
    /// `exec`: there is no such command, as shells say it.
    NoCommand = 127,
    /// Interrupted: what was in flight is completed and committed.
    Interrupted = 130,
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

    /// Docker failed, or does not answer what it is asked.
    pub fn docker(what: impl Into<String>) -> Self {
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

    /// The command that kinfra was to become could not be started.
    pub fn command(is_there: bool, what: impl Into<String>) -> Self {
        Self::new(if is_there { Exit::NotExecutable } else { Exit::NoCommand }, what)
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

    /// The same fault, whose message adds that nothing was changed.
    #[must_use]
    pub fn unchanged(self) -> Self {
        Self { is_unchanged: true, ..self }
    }

    fn new(exit: Exit, what: impl Into<String>) -> Self {
        Self { exit, what: what.into(), advice: None, reason: None, has_headings: false, is_unchanged: false }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        if self.is_unchanged { f.write_str("; nothing was changed") } else { Ok(()) }
    }
}

impl std::error::Error for Fault {}

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
