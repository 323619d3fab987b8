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
    /// Refused: unsafe path, stale plan, held by someone else.
    Refused = 4,
    /// kinfra's own state cannot be read: corrupt, newer, vanished.
    Unreadable = 5,
    /// The lock was not obtained.
    Locked = 6,
    /// Docker failed.
    Docker = 7,
    /// The command line is wrong.
    Usage = 64,
    /// `slots.toml` or a template is invalid.
    Spec = 65,
    /// `exec`: the command is there and cannot be executed, as shells say it.
    NotExecutable = 126,
    /// `exec`: there is no such command, as shells say it.
    NoCommand = 127,
    /// Interrupted: what was in flight is completed and committed.
    Interrupted = 130,
}

/// An error that decides the exit code.
#[derive(Debug)]
pub struct Fault {
    /// The code the process ends with.
    pub exit: Exit,
    message: String,
}

impl Fault {
    /// The request is refused; nothing was done.
    pub fn refused(message: impl Into<String>) -> Self {
        Self::new(Exit::Refused, message)
    }

    /// No slot is free, or none that matches.
    pub fn no_slot(message: impl Into<String>) -> Self {
        Self::new(Exit::NoSlot, message)
    }

    /// The registry or the root cannot be trusted; nothing was changed.
    pub fn unreadable(message: impl Into<String>) -> Self {
        Self::new(Exit::Unreadable, message)
    }

    /// Someone else holds the lock.
    pub fn locked(message: impl Into<String>) -> Self {
        Self::new(Exit::Locked, message)
    }

    /// Docker failed, or does not say what it is asked.
    pub fn docker(message: impl Into<String>) -> Self {
        Self::new(Exit::Docker, message)
    }

    /// The command line, or the environment that stands for it, is wrong.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// `slots.toml` or a template is wrong.
    pub fn spec(message: impl Into<String>) -> Self {
        Self::new(Exit::Spec, message)
    }

    /// The command that kinfra was to become could not be started.
    pub fn command(is_there: bool, message: impl Into<String>) -> Self {
        Self::new(if is_there { Exit::NotExecutable } else { Exit::NoCommand }, message)
    }

    /// Somebody asked kinfra to stop; nothing was done.
    pub fn interrupted(message: impl Into<String>) -> Self {
        Self::new(Exit::Interrupted, message)
    }

    fn new(exit: Exit, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { exit, message }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Fault {}

/// The exit code of an error: a [`Fault`] in its chain decides, be it the cause or the context.
pub fn exit_of(error: &anyhow::Error) -> Exit {
    error.downcast_ref::<Fault>().map_or(Exit::Failed, |fault| fault.exit)
}
