//! Questions to Docker and Compose, asked through the `docker` command.
#![expect(clippy::disallowed_methods, reason = "this is where kinfra starts docker")]

use std::collections::BTreeSet;
use std::io;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use rustix::process::{Pid, Signal, kill_process};

use crate::names::{COMPOSE_VARIABLES, PROJECT_LABEL};

/// The timeout of a question. Without one, a `docker` that cannot reach a remote daemon runs for minutes.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Docker's answer to a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer<T> {
    /// The answer.
    Is(T),
    /// There is no `docker` command, or no Compose plugin.
    NoCommand,
    /// There is a `docker` command, but it reaches no daemon.
    NoDaemon,
    /// It failed in another way. Holds its message.
    Failed(String),
}

impl<T> Answer<T> {
    fn map<U>(self, convert: impl FnOnce(T) -> U) -> Answer<U> {
        match self {
            Self::Is(answer) => Answer::Is(convert(answer)),
            Self::NoCommand => Answer::NoCommand,
            Self::NoDaemon => Answer::NoDaemon,
            Self::Failed(reason) => Answer::Failed(reason),
        }
    }
}

/// The version of the `docker` command.
pub fn docker_version() -> Answer<String> {
    ask(&["--version"])
}

/// The version of Compose, such as `2.26.1`.
pub fn compose_version() -> Answer<String> {
    ask_compose(&["version", "--short"])
}

/// What Compose reads in these files, as JSON, before it resolves them. Has the services of all profiles; variables and
/// relative paths stay as written.
pub fn unresolved(files: &[Utf8PathBuf]) -> Answer<String> {
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
    // What `docker` says without the Compose plugin. Some versions complain of the first flag instead of
    // `compose`.
    let no_plugin = ["unknown flag", "unknown shorthand flag", "unknown command", "is not a docker command"];
    match ask(&[&["compose"], arguments].concat()) {
        Answer::Failed(reason) if no_plugin.iter().any(|words| reason.contains(words)) => Answer::NoCommand,
        answer @ (Answer::Is(_) | Answer::NoCommand | Answer::NoDaemon | Answer::Failed(_)) => answer,
    }
}

/// The version of the daemon.
pub fn daemon_version() -> Answer<String> {
    ask(&["version", "--format", "{{.Server.Version}}"])
}

/// The names of the Compose projects that have containers, running or stopped.
pub fn projects() -> Answer<BTreeSet<String>> {
    let filter = format!("label={PROJECT_LABEL}");
    let format = format!("{{{{.Label \"{PROJECT_LABEL}\"}}}}");
    let listed = ask(&["ps", "--all", "--filter", &filter, "--format", &format]);
    listed.map(|lines| lines.lines().map(str::to_owned).collect())
}

/// The names of the volumes that belong to one of these Compose projects, sorted.
pub fn volumes(projects: &BTreeSet<String>) -> Answer<Vec<String>> {
    let filter = format!("label={PROJECT_LABEL}");
    let format = format!("{{{{.Label \"{PROJECT_LABEL}\"}}}} {{{{.Name}}}}");
    ask(&["volume", "ls", "--filter", &filter, "--format", &format]).map(|lines| {
        let volumes = lines.lines().filter_map(|line| line.split_once(' '));
        let ours = volumes.filter(|(project, _)| projects.contains(*project));
        let mut names: Vec<String> = ours.map(|(_, name)| name.to_owned()).collect();
        names.sort();
        names
    })
}

/// Has Compose check the files in a directory. The answer is its warnings, empty if there are none.
pub fn check(dir: &Utf8Path, env_file: Option<&str>) -> Answer<String> {
    let mut docker = Command::new("docker");
    docker.arg("compose").args(env_file.map(|name| format!("--env-file={name}")));
    docker.args(["config", "--quiet"]).current_dir(dir);
    // The caller's variables may name other files.
    for variable in COMPOSE_VARIABLES {
        docker.env_remove(variable);
    }
    match run(docker) {
        Ok(output) => {
            let messages = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            if output.status.success() { Answer::Is(messages) } else { Answer::Failed(messages) }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Answer::NoCommand,
        Err(error) => Answer::Failed(error.to_string()),
    }
}

/// Runs a question to its end, or to the timeout.
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
            let messages = String::from_utf8_lossy(&output.stderr);
            let unreachable = [
                "Cannot connect to the Docker daemon",
                "failed to connect to the docker API",
                "Is the docker daemon running",
            ];
            if unreachable.iter().any(|words| messages.contains(words)) {
                return Answer::NoDaemon;
            }
            let mut lines = messages.lines().map(str::trim);
            let line = lines.find(|line| !line.is_empty() && !line.contains("level=warning"));
            Answer::Failed(line.unwrap_or("it failed without a message").to_owned())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Answer::NoCommand,
        Err(error) => Answer::Failed(error.to_string()),
    }
}

/// Waits for a program to end. Kills it at the timeout.
fn wait(program: Child) -> io::Result<Output> {
    let pid = Pid::from_child(&program);
    let (send, receive) = mpsc::channel();
    thread::spawn(move || send.send(program.wait_with_output()));
    receive.recv_timeout(TIMEOUT).unwrap_or_else(|_| {
        let _ = kill_process(pid, Signal::KILL);
        Err(io::Error::other(format!("docker did not answer within {}s", TIMEOUT.as_secs())))
    })
}
