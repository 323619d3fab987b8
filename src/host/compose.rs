//! Docker, asked through its command line.
#![expect(clippy::disallowed_methods, reason = "this is where kinfra starts docker")]

use std::collections::BTreeSet;
use std::io;
use std::process::{Command, Stdio};

/// What docker answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer<T> {
    /// What was asked for.
    Is(T),
    /// There is no docker command.
    NoDocker,
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
    ask(&["compose", "version", "--short"])
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
        Answer::NoDocker => Answer::NoDocker,
        Answer::NoDaemon => Answer::NoDaemon,
        Answer::Failed(said) => Answer::Failed(said),
    }
}

fn ask(arguments: &[&str]) -> Answer<String> {
    match Command::new("docker").args(arguments).stdin(Stdio::null()).output() {
        Ok(output) if output.status.success() => {
            Answer::Is(String::from_utf8_lossy(&output.stdout).trim().to_owned())
        }
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            let unreachable = ["Cannot connect to the Docker daemon", "Is the docker daemon running"];
            if unreachable.iter().any(|words| said.contains(words)) {
                return Answer::NoDaemon;
            }
            Answer::Failed(said.lines().next().unwrap_or("it said nothing").trim().to_owned())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Answer::NoDocker,
        Err(error) => Answer::Failed(error.to_string()),
    }
}
