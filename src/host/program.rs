//! Replacing the kinfra process by another program.
#![expect(clippy::disallowed_methods, reason = "kinfra becomes another program here")]

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use camino::Utf8Path;

use super::fs::{Dir, Umask};
use super::invocation::as_value;

/// The program that opens an address with what the desktop has for it.
pub const OPENS: &str = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };

/// The names of the programs in the directories of a `PATH` that begin with a text.
pub fn commands(path: &str, start: &str) -> BTreeSet<String> {
    let dirs = path.split(':').filter(|dir| dir.starts_with('/'));
    let dirs = dirs.filter_map(|dir| Dir::open(Utf8Path::new(dir)).ok());
    let programs = dirs.flat_map(|dir| {
        let names = dir.names().unwrap_or_default().into_iter();
        let names = names.filter_map(|name| name.into_string().ok()).filter(|name| name.starts_with(start));
        names.filter(|name| dir.is_program(name)).collect::<Vec<_>>()
    });
    programs.collect()
}

/// Replaces the kinfra process by a program, which is looked up in `PATH`. The program gets the signals and
/// gives the exit code. Returns only if it cannot be started, with the reason.
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
    command.envs(set.into_iter().map(|(name, value)| (name, as_value(value))));
    umask.restore();
    command.exec()
}
