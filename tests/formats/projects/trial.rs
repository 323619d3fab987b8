//! A project of the corpus on a machine: its main checkout and two worktrees, and what Compose makes of them.

use std::fs;
use std::path::Path;
use std::process::Command;

use camino::{Utf8Path, Utf8PathBuf};
use kinfra::compose::project::Project;
use serde_json::Value;

use super::{CORPUS, EXPECTED};
use crate::formats::compose::docker_config;
use crate::formats::compose::judge::{Things, things};
use crate::support::Run;

/// A home that no machine has: nothing of the real one gets into what is expected.
pub(super) const HOME: &str = "/home/dev";
/// Stands for the main checkout in a file of a project.
const MAIN: &str = "@MAIN@";

/// A project of the corpus on a machine.
pub(super) struct Trial {
    _dir: tempfile::TempDir,
    base: Utf8PathBuf,
    pub(super) name: String,
}

/// A stack as Compose resolves it.
pub(super) struct Resolved {
    pub(super) worktree: Utf8PathBuf,
    /// What Compose printed.
    pub(super) text: String,
    pub(super) json: Value,
    /// What the judge finds in it.
    pub(super) things: Things,
}

impl Trial {
    pub(super) fn of(name: &str) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let base = Utf8PathBuf::from_path_buf(dir.path().canonicalize().expect("a path")).expect("UTF-8");
        let trial = Self { _dir: dir, base, name: name.to_owned() };
        for worktree in [trial.main(), trial.worktree(1), trial.worktree(2)] {
            copy(&Path::new(CORPUS).join(name), &worktree, trial.main().as_str());
        }
        trial
    }

    /// The main checkout.
    pub(super) fn main(&self) -> Utf8PathBuf {
        self.base.join(&self.name)
    }

    /// The worktree that holds a slot.
    pub(super) fn worktree(&self, slot: u16) -> Utf8PathBuf {
        self.base.join(format!("{}-{slot}", self.name))
    }

    /// A home that can be written to.
    pub(super) fn home(&self) -> Utf8PathBuf {
        self.base.join("home")
    }

    /// A file beside the worktrees, with this text.
    pub(super) fn write(&self, name: &str, text: &str) -> Utf8PathBuf {
        let path = self.base.join(name);
        fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
        fs::write(&path, text).expect("a file");
        path
    }

    /// The text without this machine's paths.
    pub(super) fn masked(&self, text: &str) -> String {
        text.replace(self.base.as_str(), "/repos")
    }

    /// What `kinfra init` in the main checkout would write to slots.toml, and what it says.
    pub(super) fn init(&self) -> Result<(String, String), String> {
        let mut kinfra = bare(env!("CARGO_BIN_EXE_kinfra"), &self.main());
        let run = Run::of(kinfra.args(["init", "--dry-run"]));
        if run.code == Some(0) { Ok((run.stdout, run.stderr)) } else { Err(self.masked(&run.stderr)) }
    }

    /// The main stack, as a plain `docker compose` in the main checkout has it.
    pub(super) fn main_stack(&self) -> Result<Resolved, String> {
        self.compose(&self.main(), &self.main(), &[])
    }

    /// What a worktree's files come to under a project's name, with further files over them.
    pub(super) fn stack(
        &self,
        project: &Project,
        name: &str,
        overlays: &[&Utf8Path],
    ) -> Result<Resolved, String> {
        let mut arguments = vec!["--project-name", name, "--project-directory", project.directory.as_str()];
        let files = project.files.iter().map(Utf8PathBuf::as_path).chain(overlays.iter().copied());
        arguments.extend(files.flat_map(|file| ["--file", file.as_str()]));
        arguments.extend(project.env_files.iter().flat_map(|file| ["--env-file", file.as_str()]));
        self.compose(&project.worktree, &project.directory, &arguments)
    }

    fn compose(
        &self,
        worktree: &Utf8Path,
        directory: &Utf8Path,
        arguments: &[&str],
    ) -> Result<Resolved, String> {
        let mut docker = bare("docker", directory);
        docker.arg("compose").args(arguments).args(["--profile", "*", "config", "--format", "json"]);
        let Run { code, stdout: text, stderr: told } = Run::of(&mut docker);
        if code != Some(0) {
            let told: Vec<&str> = told.lines().filter(|line| !line.contains("level=warning")).collect();
            return Err(self.masked(&told.join("\n")));
        }
        let json = serde_json::from_str(&text).expect("JSON");
        let things = things(&json, worktree.as_str());
        Ok(Resolved { worktree: worktree.to_owned(), text, json, things })
    }
}

/// A program with nothing of this machine's environment but where programs and their plugins are.
pub(super) fn bare(program: &str, directory: &Utf8Path) -> Command {
    let mut command = Command::new(program);
    command.env_clear().current_dir(directory).env("PWD", directory).env("HOME", HOME);
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("DOCKER_CONFIG", docker_config());
    command
}

/// Copies a project without what is expected of it.
fn copy(from: &Path, to: &Utf8Path, main: &str) {
    fs::create_dir_all(to).expect("a directory");
    for entry in fs::read_dir(from).expect("a directory") {
        let entry = entry.expect("an entry");
        let name = entry.file_name().into_string().expect("UTF-8");
        if entry.path().is_dir() {
            copy(&entry.path(), &to.join(name), main);
        } else if !EXPECTED.contains(&name.as_str()) {
            let text = fs::read_to_string(entry.path()).expect("a file");
            fs::write(to.join(name), text.replace(MAIN, main)).expect("a file");
        }
    }
}
