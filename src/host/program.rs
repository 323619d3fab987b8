//! Becoming another program.
#![expect(clippy::disallowed_methods, reason = "this is where kinfra gives way to a command")]

use std::ffi::OsStr;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use super::fs::Umask;

/// Replaces kinfra by a program, found as shells find it, so that its signals and its exit code are its own. Comes back
/// only with what kept it from starting.
pub fn become_program<'a>(
    program: &OsStr,
    arguments: impl IntoIterator<Item = &'a OsStr>,
    unset: impl IntoIterator<Item = &'a str>,
    set: impl IntoIterator<Item = (&'a str, &'a str)>,
    umask: Umask,
) -> io::Error {
    let mut command = Command::new(program);
    command.args(arguments);
    for name in unset {
        command.env_remove(name);
    }
    command.envs(set);
    umask.restore();
    command.exec()
}
