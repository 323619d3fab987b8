//! The programs that a test can start by name. Only those that are linked here are on its PATH.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::Run;

/// Programs that test scripts use, if the machine has them. A test that needs `docker` brings its own.
const NAMES: &[&str] = &[
    "[", "awk", "basename", "bash", "cat", "chmod", "comm", "cp", "cut", "date", "diff", "dirname", "env",
    "expr", "false", "find", "fish", "git", "grep", "head", "id", "jq", "ln", "ls", "mkdir", "mkfifo",
    "mktemp", "mv", "od", "printf", "pwd", "readlink", "realpath", "rm", "rmdir", "sed", "seq", "sh",
    "sleep", "sort", "stat", "stty", "tail", "tee", "test", "touch", "tr", "true", "uname", "uniq", "wc",
    "xargs", "zsh",
];

/// Fills a directory with links to them, and to kinfra.
pub(super) fn install(dir: &Path) {
    static FOUND: OnceLock<Vec<(&str, PathBuf)>> = OnceLock::new();
    let found = FOUND.get_or_init(|| NAMES.iter().filter_map(|name| Some((*name, find(name)?))).collect());
    for (name, path) in found {
        link(path, &dir.join(name));
    }
    link(Path::new(env!("CARGO_BIN_EXE_kinfra")), &dir.join("kinfra"));
}

/// The path of a program on the real machine.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let dirs = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&dirs).map(|dir| dir.join(name)).find(|path| path.is_file())
}

/// Gives a file or a directory a mode. A file that becomes a program is replaced by a copy that another
/// process writes: a test that forked while this one wrote it may have it open, and then it cannot be run.
pub(crate) fn set_mode(path: &Path, mode: u32) {
    let new = path.with_extension("new");
    let is_program = path.is_file() && mode & 0o111 != 0;
    if is_program {
        Run::of(Command::new("cp").arg(path).arg(&new)).exits(0);
    }
    fs::set_permissions(if is_program { &new } else { path }, Permissions::from_mode(mode)).expect("a mode");
    if is_program {
        fs::rename(&new, path).expect("the program in its place");
    }
}

pub(super) fn link(to: &Path, at: &Path) {
    symlink(to, at).unwrap_or_else(|error| panic!("a link to {}: {error}", to.display()));
}
