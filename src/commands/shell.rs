//! `kinfra shell`

use std::ffi::OsString;
use std::io::{self, IsTerminal as _};

use anyhow::Result;

use super::say_not_recorded;
use super::slot_of::renewed;
use crate::cli::ShellArgs;
use crate::fault::{Exit, Fault};
use crate::host::docker::become_exec;
use crate::host::fs::Umask;
use crate::host::invocation::Invocation;
use crate::stack::enter::target;

/// Runs `bash`, or `sh` where there is none.
const SHELL: [&str; 3] = ["sh", "-c", "command -v bash >/dev/null 2>&1 && exec bash || exec sh"];

/// Returns only if `docker` could not be started.
pub(super) fn run(args: &ShellArgs, umask: Umask, invocation: &Invocation) -> Result<Exit> {
    let policy = args.lock.policy("kinfra shell");
    let held = renewed(&args.slot, &policy, invocation)?;
    let container = target(&held, args.service.as_deref(), &policy)?;
    let words = if args.command.is_empty() {
        SHELL.iter().map(OsString::from).collect()
    } else {
        args.command.clone()
    };
    let is_terminal = io::stdin().is_terminal() && io::stdout().is_terminal();
    say_not_recorded();
    let error = become_exec(held.engine(), &container.id, is_terminal, &words, umask);
    Err(Fault::docker(format!("`docker` cannot be started: {error}")).into())
}
