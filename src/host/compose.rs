//! Compose, run through the `docker` command.
#![expect(clippy::disallowed_methods, reason = "this is where kinfra starts Compose")]

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::thread;

use camino::{Utf8Path, Utf8PathBuf};

use super::asked::{Asked, NoAnswer};
use super::child::{Watch, run as run_child};
use super::docker::{Answer, TIMEOUT, ask, docker, is_warning, unanswered};
use super::fs::Umask;
use crate::ended::Ended;
use crate::names::COMPOSE_VARIABLES;
use crate::registry::Engine;

/// The version of Compose, such as `2.26.1`.
pub fn compose_version() -> Answer<String> {
    ask_compose(&["version", "--short"])
}

/// A call of Compose that says itself what it is for, so that nothing of the caller's environment decides it.
#[derive(Debug, Clone, Copy)]
pub struct ComposeCall<'a> {
    /// The project's name; without one, Compose finds it in the files.
    pub project: Option<&'a str>,
    /// Its files, absolute. A later one is merged over an earlier one.
    pub files: &'a [Utf8PathBuf],
    /// The directory that relative paths in them are relative to, absolute.
    pub directory: &'a Utf8Path,
    /// Its env files, absolute. A later one has precedence.
    pub env_files: &'a [Utf8PathBuf],
    /// The active profiles; `*` is all of them. Without any, the env files' `COMPOSE_PROFILES` counts.
    pub profiles: &'a [String],
    /// The caller's variables that it does not get: those of slots, which the env files have.
    pub without: &'a BTreeSet<String>,
    /// The engine. `None` is the caller's.
    pub engine: Option<&'a Engine>,
}

impl ComposeCall<'_> {
    /// The command up to Compose's own command.
    fn command(&self) -> Command {
        let mut docker = docker(self.engine);
        docker.arg("compose");
        docker.args(self.project.iter().flat_map(|project| ["--project-name", project]));
        docker.args(self.files.iter().flat_map(|file| ["--file", file.as_str()]));
        docker.args(["--project-directory", self.directory.as_str()]);
        docker.args(self.env_files.iter().flat_map(|file| ["--env-file", file.as_str()]));
        docker.args(self.profiles.iter().flat_map(|profile| ["--profile", profile.as_str()]));
        for (name, _) in std::env::vars_os().filter(|(name, _)| is_composes(name)) {
            docker.env_remove(name);
        }
        for name in self.without {
            docker.env_remove(name);
        }
        // Files may name it, and what they come to must not depend on where kinfra was called.
        docker.env("PWD", self.directory);
        docker
    }
}

/// Whether a variable could lead Compose elsewhere. Which Docker it talks to stays the caller's choice.
fn is_composes(name: &OsStr) -> bool {
    name == "DOCKER_DEFAULT_PLATFORM" || name.as_encoded_bytes().starts_with(b"COMPOSE_")
}

/// The first version of Compose that merges an overlay: `!override` is new in it. Older ones ignore the tag,
/// and would publish the main stack's ports once more.
pub const NEEDED_COMPOSE: [u32; 3] = [2, 24, 4];

/// The project that a call is for, resolved, as JSON. The version of Compose is checked at the same time.
pub fn config(call: &ComposeCall<'_>) -> Answer<String> {
    let mut docker = call.command();
    docker.args(["config", "--format", "json"]);
    let config = match Asked::start(docker) {
        Ok(config) => config,
        Err(error) => return unanswered(error.into()),
    };
    // Waiting reads what the other one prints meanwhile: it must not fill its pipe.
    let config = thread::spawn(move || config.answer(TIMEOUT));
    let version = supported_compose();
    let lost = |_| Err(io::Error::other("docker could not be waited for").into());
    let config = config.join().unwrap_or_else(lost);
    match (version, config) {
        (Answer::Is(_), Ok(output)) if output.status.success() => {
            Answer::Is(String::from_utf8_lossy(&output.stdout).into_owned())
        }
        (Answer::Is(_), Ok(output)) => Answer::Failed(told(&String::from_utf8_lossy(&output.stderr))),
        (Answer::Is(_), Err(why)) => unanswered(why),
        (refused @ (Answer::NoCommand | Answer::NoDaemon | Answer::Silent(_) | Answer::Failed(_)), _) => {
            refused
        }
    }
}

/// The version of Compose, if kinfra can use it. It is asked for once a run.
fn supported_compose() -> Answer<String> {
    static ANSWER: OnceLock<Answer<String>> = OnceLock::new();
    let ask = || match compose_version() {
        Answer::Is(version) if is_older(&version) => {
            let [major, minor, patch] = NEEDED_COMPOSE;
            let needed = format!("{major}.{minor}.{patch}");
            Answer::Failed(format!("Docker Compose {version} is too old: {needed} or newer is needed"))
        }
        answer @ (Answer::Is(_)
        | Answer::NoCommand
        | Answer::NoDaemon
        | Answer::Silent(_)
        | Answer::Failed(_)) => answer,
    };
    ANSWER.get_or_init(ask).clone()
}

/// Whether a version such as `v2.24.4-desktop.1` is older than what is needed. One without a number is not.
fn is_older(version: &str) -> bool {
    let numbers = version.trim_start_matches('v').split(|c: char| !c.is_ascii_digit());
    let numbers: Vec<u32> =
        numbers.map_while(|number| number.parse().ok()).take(NEEDED_COMPOSE.len()).collect();
    !numbers.is_empty() && numbers.as_slice() < NEEDED_COMPOSE.as_slice()
}

/// The most lines of Compose's own that are passed on.
const MOST_LINES: usize = 5;

/// The most that is passed on of one of them, in characters.
const WIDEST: usize = 2000;

/// What Compose says went wrong, without its warnings.
fn told(messages: &str) -> String {
    let lines = messages.lines().map(str::trim_end);
    let lines = lines.filter(|line| !line.trim().is_empty() && !is_warning(line));
    let lines: Vec<String> = lines.map(|line| line.chars().take(WIDEST).collect()).collect();
    match lines.get(..MOST_LINES) {
        Some(first) if lines.len() > MOST_LINES => format!("{}\n…", first.join("\n")),
        _ if lines.is_empty() => "it failed without a message".to_owned(),
        _ => lines.join("\n"),
    }
}

/// Whether there is no Compose to become. One that is among the plugins of `docker` needs no question.
pub fn is_missing() -> bool {
    let own = std::env::var_os("DOCKER_CONFIG").map(PathBuf::from);
    let own = own.or_else(|| Some(Path::new(&std::env::var_os("HOME")?).join(".docker")));
    let of_system = ["/usr/local/lib", "/usr/local/libexec", "/usr/lib", "/usr/libexec"].map(Path::new);
    let of_system = of_system.into_iter().map(|dir| dir.join("docker"));
    let plugin = |dir: PathBuf| dir.join("cli-plugins/docker-compose");
    let is_there = || own.into_iter().chain(of_system).map(plugin).any(|plugin| plugin.exists());
    !is_there_in_a_test().unwrap_or_else(is_there) && compose_version() == Answer::NoCommand
}

/// Whether the plugin is there according to a test, `KINFRA_TEST_PLUGIN=true`. A release build ignores it.
fn is_there_in_a_test() -> Option<bool> {
    let said = std::env::var("KINFRA_TEST_PLUGIN").ok().filter(|_| cfg!(debug_assertions));
    said.and_then(|said| said.parse().ok())
}

/// Replaces the kinfra process by Compose, for this call. Compose gets the signals and gives the exit code.
/// Returns only if it cannot be started, with the reason.
pub fn become_compose<'a>(
    call: &ComposeCall<'_>,
    arguments: impl IntoIterator<Item = &'a OsStr>,
    umask: Umask,
) -> io::Error {
    let mut docker = call.command();
    docker.args(arguments);
    umask.restore();
    docker.exec()
}

/// Runs a command of Compose as a child.
///
/// # Errors
/// When `docker` cannot be started.
pub fn run_compose(call: &ComposeCall<'_>, arguments: &[&str], watch: &Watch<'_>) -> io::Result<Ended> {
    let mut docker = call.command();
    docker.args(arguments);
    run_child(docker, None, watch)
}

fn ask_compose(arguments: &[&str]) -> Answer<String> {
    // What `docker` says without the Compose plugin. Some versions complain of the first flag instead of
    // `compose`.
    let no_plugin = ["unknown flag", "unknown shorthand flag", "unknown command", "is not a docker command"];
    match ask(&[&["compose"], arguments].concat()) {
        Answer::Failed(reason) if no_plugin.iter().any(|words| reason.contains(words)) => Answer::NoCommand,
        answer @ (Answer::Is(_)
        | Answer::NoCommand
        | Answer::NoDaemon
        | Answer::Silent(_)
        | Answer::Failed(_)) => answer,
    }
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
    match Asked::start(docker).map_err(NoAnswer::Failed).and_then(|asked| asked.answer(TIMEOUT)) {
        Ok(output) => {
            let messages = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            if output.status.success() { Answer::Is(messages) } else { Answer::Failed(messages) }
        }
        Err(why) => unanswered(why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        for version in ["2.24.3", "v2.9.0", "1.29.2", "2.24", "2.3.4-desktop.1", "v2"] {
            assert!(is_older(version), "{version}");
        }
        for version in
            ["2.24.4", "v2.24.10-desktop.1", "2.100.0", "5.0.0", "2.26.1-4", "2.24.4+ds1", "dev", ""]
        {
            assert!(!is_older(version), "{version}");
        }
    }

    #[test]
    fn what_compose_says_is_passed_on_in_a_few_lines() {
        let said = "time=\"x\" level=warning msg=\"obsolete\"\n\nvalidating a.yaml: services.web bad\n";
        assert_eq!(told(said), "validating a.yaml: services.web bad");
        assert_eq!(told("1\n2\n3\n4\n5\n6"), "1\n2\n3\n4\n5\n…");
        assert_eq!(told("1\n2\n3\n4\n5\n"), "1\n2\n3\n4\n5");
        assert_eq!(told(" \n"), "it failed without a message");
    }

    #[test]
    fn a_call_says_what_it_is_for() {
        let (files, env_files) = (["/p/a.yaml".into(), "/r/overlay.yaml".into()], ["/p/.env".into()]);
        let call = ComposeCall {
            project: Some("shop-slot-1"),
            files: &files,
            directory: "/p".into(),
            env_files: &env_files,
            profiles: &["*".to_owned()],
            without: &BTreeSet::new(),
            engine: None,
        };
        let command = call.command();
        let arguments: Vec<_> = command.get_args().filter_map(OsStr::to_str).collect();
        let expected = "compose --project-name shop-slot-1 --file /p/a.yaml --file /r/overlay.yaml \
                        --project-directory /p --env-file /p/.env --profile *";
        assert_eq!(arguments.join(" "), expected);
        for name in ["COMPOSE_FILE", "COMPOSE_X", "DOCKER_DEFAULT_PLATFORM"] {
            assert!(is_composes(OsStr::new(name)), "{name}");
        }
        for name in ["DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "MY_COMPOSE_FILE", "COMPOSER"] {
            assert!(!is_composes(OsStr::new(name)), "{name}");
        }
    }
}
