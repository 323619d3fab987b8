//! The wheel, as a Python project uses it: real uv, real maturin, a real virtual environment.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tempfile::TempDir;

use crate::acceptance;
use crate::support::{PORTS, Run, Running};

const SOURCES: &str = env!("CARGO_MANIFEST_DIR");

/// What the wheel is built from. The rebuild test copies these and nothing else, so a build that
/// reads one more file fails there: name that file here, and in pyproject.toml's `cache-keys`.
const INPUTS: [&str; 8] =
    ["pyproject.toml", "Cargo.toml", "Cargo.lock", "src", "slots.toml", "templates", "README.md", "LICENSE"];

/// Both tests build in one directory, so they take turns.
static BUILD: Mutex<()> = Mutex::new(());

#[test]
#[ignore = "needs uv, Python, the network and minutes"]
fn the_acceptance_document_passes_with_the_wheel() {
    let _turn = BUILD.lock().unwrap_or_else(PoisonError::into_inner);
    let project = PythonProject::depending_on(Path::new(SOURCES));
    project.expect(&["sync"]);
    assert!(project.directory.join(".venv/bin/kinfra").is_file());

    let home = project.machine.path().join("home");
    fs::create_dir(&home).expect("a clean home directory");
    // The shipped files do not depend on the tests.
    let shipped = fs::read(project.directory.join(".venv/bin/kinfra")).expect("a binary");
    let holds = |word: &str| shipped.windows(word.len()).any(|bytes| bytes == word.as_bytes());
    assert!(holds("KINFRA_ROOT") && !holds(PORTS));
    acceptance::pass_every_step(|| {
        let mut bash = Command::new("bash");
        bash.current_dir(&project.directory).env_clear().env("HOME", &home);
        bash.env("PATH", std::env::var_os("PATH").expect("PATH is set"));
        bash.env("UV_CACHE_DIR", project.uv_cache()).env("UV_OFFLINE", "1");
        bash
    });
}

#[test]
#[ignore = "needs uv, Python, the network and minutes"]
fn uv_rebuilds_the_wheel_when_a_file_in_it_changes() {
    let _turn = BUILD.lock().unwrap_or_else(PoisonError::into_inner);
    let sources = tempfile::tempdir().expect("a temporary directory");
    for input in INPUTS {
        copy(&Path::new(SOURCES).join(input), &sources.path().join(input));
    }
    let project = PythonProject::depending_on(sources.path());
    let ports = project.expect(&["run", "kinfra", "ports"]);
    assert!(!ports.contains("8101"), "{ports}");

    for file in one_of_each_depth(sources.path()) {
        assert!(project.is_up_to_date(), "before {} changes", file.display());
        touch(&file);
        assert!(
            !project.is_up_to_date(),
            "uv does not see that {} changed: name it in cache-keys",
            file.display(),
        );
        project.expect(&["sync"]);
    }

    let spec = sources.path().join("slots.toml");
    let moved = fs::read_to_string(&spec).expect("slots.toml").replace("8000", "8100");
    fs::write(&spec, moved).expect("slots.toml can be written");
    let ports = project.expect(&["run", "kinfra", "ports"]);
    assert!(ports.contains("8101"), "{ports}");
}

/// A Python project that depends on kinfra's sources, with its own uv cache: no earlier wheel is
/// found.
struct PythonProject {
    machine: TempDir,
    directory: PathBuf,
}

/// How the wheel's binary is built otherwise than the shipped one: in a fraction of the time, for it does not matter how
/// fast it is.
const QUICK: [(&str, &str); 3] = [
    ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0"),
    ("CARGO_PROFILE_RELEASE_LTO", "off"),
    ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16"),
];

impl PythonProject {
    fn depending_on(sources: &Path) -> Self {
        let machine = tempfile::tempdir().expect("a temporary directory");
        let directory = machine.path().join("ktrdr");
        fs::create_dir(&directory).expect("the project's directory");
        let manifest = format!(
            "[project]\n\
             name = 'ktrdr'\n\
             version = '1'\n\
             requires-python = '>=3.8'\n\
             dependencies = ['kinfra']\n\
             [tool.uv.sources]\n\
             kinfra = {{ path = '{}' }}\n",
            sources.display(),
        );
        fs::write(directory.join("pyproject.toml"), manifest).expect("the project's manifest");
        Self { machine, directory }
    }

    fn uv_cache(&self) -> PathBuf {
        self.machine.path().join("uv-cache")
    }

    /// uv's standard output. uv must succeed.
    fn expect(&self, arguments: &[&str]) -> String {
        let run = self.uv(arguments);
        assert_eq!(run.code, Some(0), "uv {arguments:?}: {}", run.stderr);
        run.stdout
    }

    fn is_up_to_date(&self) -> bool {
        self.uv(&["sync", "--check"]).code == Some(0)
    }

    fn uv(&self, arguments: &[&str]) -> Run {
        let mut uv = Command::new("uv");
        uv.args(arguments).current_dir(&self.directory).env("UV_CACHE_DIR", self.uv_cache());
        // Not the build directory whose binary other tests are running.
        uv.env("CARGO_TARGET_DIR", Path::new(env!("CARGO_TARGET_TMPDIR")).join("wheel"));
        uv.envs(QUICK);
        uv.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Running::start_within(Duration::from_mins(30), &mut uv).ends()
    }
}

fn copy(from: &Path, to: &Path) {
    if from.is_dir() {
        fs::create_dir(to).expect("a directory to copy into");
        for entry in fs::read_dir(from).expect("a directory to copy") {
            let name = entry.expect("an entry to copy").file_name();
            copy(&from.join(&name), &to.join(&name));
        }
    } else {
        fs::copy(from, to).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
    }
}

/// For each input, a file of each depth below it. To uv, which matches paths, the others there are the same.
fn one_of_each_depth(sources: &Path) -> Vec<PathBuf> {
    let mut files = BTreeMap::new();
    for input in INPUTS {
        let mut level = vec![sources.join(input)];
        for depth in 0.. {
            let (directories, here): (Vec<_>, Vec<_>) = level.into_iter().partition(|path| path.is_dir());
            files.extend(here.into_iter().next().map(|file| ((input, depth), file)));
            if directories.is_empty() {
                break;
            }
            level = directories
                .iter()
                .flat_map(|directory| fs::read_dir(directory).expect("a directory"))
                .map(|entry| entry.expect("an entry").path())
                .collect();
        }
    }
    files.into_values().collect()
}

/// Changes a file's ctime, which is the time that uv looks at. Cargo looks at the mtime and compiles
/// nothing anew.
fn touch(file: &Path) {
    let permissions = fs::metadata(file).expect("a file's metadata").permissions();
    fs::set_permissions(file, permissions).expect("a file's permissions");
}
