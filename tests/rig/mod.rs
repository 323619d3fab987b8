//! What the proofs need besides a machine: strace and other programs, file systems, and figures for the docs.

mod bouncer;
pub(crate) mod cut;
pub(crate) mod daemon;
pub(crate) mod disk;
pub(crate) mod engine;
pub(crate) mod fleet;
pub(crate) mod listed;
pub(crate) mod order;
mod paused;
pub(crate) mod postgres;
pub(crate) mod random;
mod real;
pub(crate) mod scripted;
mod scripted_tests;
pub(crate) mod strace;
pub(crate) mod terminal;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt::Display;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;

use kinfra::registry::Registry;

pub(crate) use disk::{Image, Mount};
pub(crate) use paused::Paused;

use crate::support::{Machine, Running};

/// Prints a figure of a proof, and adds it to the file that `KINFRA_FIGURES` names, if it is set.
pub(crate) fn figure(text: &str) {
    // Not by `println!`, which is swallowed when a test passes.
    writeln!(io::stderr(), "    {text}").expect("stderr takes a line");
    if let Some(path) = std::env::var_os("KINFRA_FIGURES") {
        let mut file = File::options().create(true).append(true).open(path).expect("KINFRA_FIGURES opens");
        writeln!(file, "{text}").expect("KINFRA_FIGURES takes a line");
    }
}

/// The same command, run by another program: `through(["strace", "-f"], …)`.
pub(crate) fn through(program: impl IntoIterator<Item = impl AsRef<OsStr>>, command: &Command) -> Command {
    let mut words = program.into_iter();
    // Resolved here, because the command's own PATH may lead to no programs.
    let program = words.next().expect("a program");
    let dirs = std::env::var_os("PATH").unwrap_or_default();
    let found =
        std::env::split_paths(&dirs).map(|dir| dir.join(program.as_ref())).find(|path| path.is_file());
    let mut wrapped =
        Command::new(found.unwrap_or_else(|| panic!("this test needs {}", program.as_ref().display())));
    wrapped.args(words).arg(command.get_program()).args(command.get_args());
    wrapped.stdin(Stdio::null()).env_clear();
    wrapped.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    if let Some(dir) = command.get_current_dir() {
        wrapped.current_dir(dir);
    }
    wrapped
}

/// Runs a program of the system that must succeed.
pub(crate) fn must(command: &mut Command) {
    let output = Running::piped(command).outcome();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}(this test needs root)");
}

/// The root of the embedded pool.
pub(crate) const ROOT: &str = "~/.ktrdr/sandboxes";

/// The registry of the embedded pool, if there is one. It must be one that kinfra reads.
pub(crate) fn registry(machine: &Machine) -> Option<Registry> {
    let path = format!("{ROOT}/registry.json");
    let text = machine.exists(&path).then(|| machine.read(&path))?;
    Some(Registry::parse(&text).unwrap_or_else(|corrupt| panic!("{corrupt}\n{text}")))
}

/// Everything in a home, as [`Machine::tree`] has it.
pub(crate) type Tree = BTreeMap<PathBuf, String>;

/// The paths that differ between two trees. Two backups count as equal if both are registries.
pub(crate) fn changes(one: &Tree, other: &Tree) -> Vec<PathBuf> {
    let is_backup = |state: Option<&String>| {
        let text = state.and_then(|state| state.strip_prefix("600 "));
        text.is_some_and(|text| Registry::parse(text).is_ok())
    };
    let alike = |path: &PathBuf| {
        let (one, other) = (one.get(path), other.get(path));
        one == other || (path.ends_with("registry.json.bak") && is_backup(one) && is_backup(other))
    };
    let paths = one.keys().chain(other.keys().filter(|path| !one.contains_key(*path)));
    paths.filter(|path| !alike(path)).cloned().collect()
}

/// Asserts that a machine has a tree.
#[track_caller]
pub(crate) fn assert_tree(machine: &Machine, tree: &Tree, when: impl Display) {
    let now = machine.tree();
    let changes = changes(&now, tree);
    let Some(first) = changes.first() else { return };
    let (now, then) = (brief(now.get(first)), brief(tree.get(first)));
    panic!("{when}: {changes:?} differ, the first is {now} and should be {then}");
}

/// The state of a path, in short.
pub(crate) fn brief(state: Option<&String>) -> String {
    state.map_or_else(
        || "missing".to_owned(),
        |state| format!("{:?}", state.chars().take(99).collect::<String>()),
    )
}

/// Repeats some tasks, each on a thread of its own, while another task runs once.
pub(crate) fn meanwhile<T>(over_and_over: &[&(dyn Fn() + Sync)], once: impl FnOnce() -> T) -> T {
    /// Stops the threads, also when a check fails.
    struct Stop<'a>(&'a AtomicBool);

    impl Drop for Stop<'_> {
        fn drop(&mut self) {
            self.0.store(true, Relaxed);
        }
    }

    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let stop = Stop(&done);
        for again in over_and_over {
            scope.spawn(|| {
                while !done.load(Relaxed) {
                    again();
                }
            });
        }
        let result = once();
        drop(stop);
        result
    })
}

/// Every byte, mode, owner, inode and time below a directory. Touching anything there changes this.
pub(crate) fn traces(dir: &Path) -> Vec<String> {
    use std::os::unix::fs::MetadataExt as _;

    let meta = dir.symlink_metadata().expect("metadata");
    let content = match () {
        () if meta.is_file() => std::fs::read(dir).expect("a file to read"),
        () if meta.is_symlink() => {
            std::fs::read_link(dir).expect("a link").into_os_string().into_encoded_bytes()
        }
        () => Vec::new(),
    };
    let facts = [u64::from(meta.mode()), meta.ino(), meta.nlink(), meta.uid().into(), meta.gid().into()];
    let times = [meta.mtime(), meta.mtime_nsec(), meta.ctime(), meta.ctime_nsec()];
    let mut traces =
        vec![format!("{} {facts:?} {times:?} {:?}", dir.display(), String::from_utf8_lossy(&content))];
    if meta.is_dir() {
        let entries = std::fs::read_dir(dir).expect("a directory to list");
        let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
        paths.sort();
        traces.extend(paths.iter().flat_map(|path| self::traces(path)));
    }
    traces
}
