//! Docker, asked through its command line.
#![expect(clippy::disallowed_methods, reason = "this is where kinfra starts docker")]

use std::collections::BTreeSet;
use std::io;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use rustix::process::{Pid, Signal, kill_process};

/// How long docker may take for an answer. One that waits for a daemon on another machine would wait for minutes.
const PATIENCE: Duration = Duration::from_secs(20);

/// What docker answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer<T> {
    /// What was asked for.
    Is(T),
    /// There is no such command.
    NoCommand,
    /// There is a docker command, and no daemon behind it.
    NoDaemon,
    /// Something else: what docker said.
    Failed(String),
}

/// The version of Docker's command line.
pub fn docker_version() -> Answer<String> {
    ask(&["--version"])
}

/// The version of Compose, such as `2.26.1`.
pub fn compose_version() -> Answer<String> {
    ask_compose(&["version", "--short"])
}

/// What Compose makes of files that it merges, as JSON: variables and paths as written, services of every profile.
pub fn config(files: &[Utf8PathBuf]) -> Answer<String> {
    let mut arguments: Vec<&str> = files.iter().flat_map(|file| ["--file", file.as_str()]).collect();
    arguments.extend([
        "--profile",
        "*",
        "config",
        "--no-interpolate",
        "--no-path-resolution",
        "--format",
        "json",
    ]);
    ask_compose(&arguments)
}

fn ask_compose(arguments: &[&str]) -> Answer<String> {
    // Without the plugin, docker takes `compose` for nothing and its first flag for one of its own.
    let lacking = ["unknown flag", "unknown shorthand flag", "unknown command", "is not a docker command"];
    match ask(&[&["compose"], arguments].concat()) {
        Answer::Failed(said) if lacking.iter().any(|words| said.contains(words)) => Answer::NoCommand,
        answer @ (Answer::Is(_) | Answer::NoCommand | Answer::NoDaemon | Answer::Failed(_)) => answer,
    }
}

/// The version of the daemon.
pub fn daemon_version() -> Answer<String> {
    ask(&["version", "--format", "{{.Server.Version}}"])
}

/// The Compose projects that have containers, running or not.
pub fn projects() -> Answer<BTreeSet<String>> {
    let label = "com.docker.compose.project";
    let format = format!("{{{{.Label \"{label}\"}}}}");
    match ask(&["ps", "--all", "--filter", &format!("label={label}"), "--format", &format]) {
        Answer::Is(text) => Answer::Is(text.lines().map(str::to_owned).collect()),
        Answer::NoCommand => Answer::NoCommand,
        Answer::NoDaemon => Answer::NoDaemon,
        Answer::Failed(said) => Answer::Failed(said),
    }
}

/// The volumes of some Compose projects, in the order of their names.
pub fn volumes(projects: &BTreeSet<String>) -> Answer<Vec<String>> {
    let label = "com.docker.compose.project";
    let format = format!("{{{{.Label \"{label}\"}}}} {{{{.Name}}}}");
    match ask(&["volume", "ls", "--filter", &format!("label={label}"), "--format", &format]) {
        Answer::Is(text) => {
            let volumes = text.lines().filter_map(|line| line.split_once(' '));
            let mut names: Vec<String> = volumes
                .filter(|(project, _)| projects.contains(*project))
                .map(|(_, name)| name.to_owned())
                .collect();
            names.sort();
            Answer::Is(names)
        }
        Answer::NoCommand => Answer::NoCommand,
        Answer::NoDaemon => Answer::NoDaemon,
        Answer::Failed(said) => Answer::Failed(said),
    }
}

/// What Compose says of the files in a directory: nothing, if all is well, or warnings.
pub fn check(dir: &Utf8Path, env_file: Option<&str>) -> Answer<String> {
    let mut docker = Command::new("docker");
    docker.arg("compose").args(env_file.map(|name| format!("--env-file={name}")));
    docker.args(["config", "--quiet"]).current_dir(dir);
    // Those of whoever runs kinfra, which may name other files.
    for variable in ["COMPOSE_FILE", "COMPOSE_ENV_FILES", "COMPOSE_PROJECT_NAME", "COMPOSE_PROFILES"] {
        docker.env_remove(variable);
    }
    match run(docker) {
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            if output.status.success() { Answer::Is(said) } else { Answer::Failed(said) }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Answer::NoCommand,
        Err(error) => Answer::Failed(error.to_string()),
    }
}

fn run(mut docker: Command) -> io::Result<Output> {
    docker.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    docker.spawn().and_then(wait)
}

fn ask(arguments: &[&str]) -> Answer<String> {
    let mut docker = Command::new("docker");
    docker.args(arguments);
    match run(docker) {
        Ok(output) if output.status.success() => {
            Answer::Is(String::from_utf8_lossy(&output.stdout).trim().to_owned())
        }
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            let unreachable = [
                "Cannot connect to the Docker daemon",
                "failed to connect to the docker API",
                "Is the docker daemon running",
            ];
            if unreachable.iter().any(|words| said.contains(words)) {
                return Answer::NoDaemon;
            }
            let mut lines = said.lines().map(str::trim);
            let line = lines.find(|line| !line.is_empty() && !line.contains("level=warning"));
            Answer::Failed(line.unwrap_or("it failed without a word").to_owned())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Answer::NoCommand,
        Err(error) => Answer::Failed(error.to_string()),
    }
}

/// Waits for the end of a program, and ends it itself when that takes too long.
fn wait(program: Child) -> io::Result<Output> {
    let pid = Pid::from_child(&program);
    let (send, receive) = mpsc::channel();
    thread::spawn(move || send.send(program.wait_with_output()));
    receive.recv_timeout(PATIENCE).unwrap_or_else(|_| {
        let _ = kill_process(pid, Signal::KILL);
        Err(io::Error::other(format!("docker did not answer within {}s", PATIENCE.as_secs())))
    })
}
