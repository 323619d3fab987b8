//! Docker: its command line, Compose and the daemon.

use super::finding::Findings;
use crate::host::docker::Answer;
use crate::host::{compose, docker};

/// Checks all three, and returns whether a daemon answers. kinfra itself works without them, so nothing here
/// is an error.
pub(super) fn check_docker(findings: &mut Findings) -> bool {
    let install = "install Docker; kinfra itself works without it, the slots' stacks do not";
    match docker::docker_version() {
        Answer::Is(version) => findings.fine("docker", version),
        Answer::NoCommand | Answer::NoDaemon => {
            findings.warning("docker", "there is no docker command", install);
            return false;
        }
        Answer::Silent(said) | Answer::Failed(said) => {
            findings.warning("docker", said, install);
            return false;
        }
    }
    match compose_version() {
        Ok(version) => findings.fine("compose", format!("version {version}")),
        Err(why) => {
            let upgrade = "install Docker Compose 2 or newer, the plugin that brings `docker compose`";
            findings.warning("compose", why, upgrade);
        }
    }
    match docker::daemon_version() {
        Answer::Is(version) => {
            findings.fine("docker daemon", format!("version {version}"));
            return true;
        }
        Answer::NoCommand | Answer::NoDaemon => {
            findings.warning("docker daemon", "none answers", "start Docker before you start a slot's stack");
        }
        Answer::Silent(said) | Answer::Failed(said) => {
            findings.warning("docker daemon", said, "check whether Docker runs");
        }
    }
    false
}

/// The version of Compose, or why kinfra cannot use it.
pub(super) fn compose_version() -> Result<String, String> {
    match compose::compose_version() {
        Answer::Is(version) if version.trim_start_matches('v').starts_with("1.") => {
            Err(format!("version {version} is too old"))
        }
        Answer::Is(version) => Ok(version),
        Answer::NoCommand | Answer::NoDaemon => Err("there is no `docker compose`".to_owned()),
        Answer::Silent(said) | Answer::Failed(said) => Err(format!("`docker compose version` fails: {said}")),
    }
}
