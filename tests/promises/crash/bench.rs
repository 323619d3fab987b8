//! A place to run a scenario on, again and again: always the same paths, so that trees can be compared byte
//! by byte.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::scenario::Scenario;
use super::tree::{self, Tree};
use crate::rig::strace::{Call, Injection, Traced};
use crate::support::{PORTS, Run};

/// A home and a project, of their own for every worker.
pub(super) struct Bench {
    dir: TempDir,
}

/// A scenario on a bench.
pub(super) struct Prepared {
    /// The tree before the run.
    pub(super) before: Tree,
    /// The tree after an undisturbed run.
    pub(super) after: Tree,
    /// The calls of an undisturbed run.
    pub(super) calls: Vec<Call>,
}

impl Bench {
    /// In memory where possible: nothing here depends on a disk.
    pub(super) fn new() -> Self {
        let memory = Path::new("/dev/shm");
        let dir = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        Self { dir: dir.expect("a temporary directory") }
    }

    /// What the sweeps look at: the home and the project.
    fn top(&self) -> PathBuf {
        self.dir.path().join("machine")
    }

    /// The path of a file: `~` and `~/…` are the home and what is in it, anything else is in the project.
    pub(super) fn path(&self, path: &str) -> PathBuf {
        let (top, below) = path.strip_prefix('~').map_or(("project", path), |below| ("home", below));
        self.top().join(top).join(below.trim_start_matches('/')).components().collect()
    }

    /// Writes a file, and the directories above it.
    pub(super) fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("directories");
        fs::write(&path, text).expect("a written file");
    }

    pub(super) fn remove(&self, path: &str) {
        let path = self.path(path);
        let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        removed.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }

    /// A command that runs kinfra in a directory of the project, and sees nothing of the real environment.
    /// There is no docker, because strace would disturb it, too. No port is in use, so that each run makes
    /// the same calls.
    pub(super) fn kinfra(&self, arguments: &str, here: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kinfra"));
        command.args(arguments.split_whitespace()).current_dir(self.path(here)).env_clear();
        command.env("HOME", self.path("~")).env("PATH", self.path("~")).env(PORTS, "");
        command
    }

    /// Sets a scenario up, runs it once undisturbed, and lists its calls.
    pub(super) fn prepare(&self, scenario: &Scenario) -> Prepared {
        self.rebuild(&Tree::new());
        for path in ["~", ""] {
            fs::create_dir(self.path(path)).expect("a directory");
        }
        (scenario.set_up)(self);
        let before = self.look();
        self.run(scenario).exits(0);
        let after = self.look();
        self.rebuild(&before);
        let mut calls = self.run_under_strace(scenario, &Injection::None).calls();
        calls.retain(|call| !call.is_an_assertion());
        Prepared { before, after, calls }
    }

    pub(super) fn run(&self, scenario: &Scenario) -> Run {
        Run::of(&mut self.kinfra(scenario.verb, scenario.here))
    }

    pub(super) fn run_under_strace(&self, scenario: &Scenario, injection: &Injection<'_>) -> Traced {
        injection.run(&self.kinfra(scenario.verb, scenario.here), &self.dir.path().join("trace"))
    }

    pub(super) fn look(&self) -> Tree {
        tree::look(&self.top())
    }

    pub(super) fn rebuild(&self, tree: &Tree) {
        tree::rebuild(&self.top(), tree);
    }

    /// Everything that a run from here depends on, the same on every bench.
    pub(super) fn fingerprint(&self) -> String {
        tree::fingerprint(&self.top()).replace(&*self.dir.path().to_string_lossy(), "")
    }
}
