//! Questions to Docker, asked through the `docker` command.
#![expect(clippy::disallowed_methods, reason = "this is where kinfra starts docker")]

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Output};
use std::time::Duration;

use super::asked::{Asked, NoAnswer};
use super::closed::is_closed_to_writing;
use super::context::elsewhere;
use super::fs::Umask;
use super::invocation::agent;
use crate::registry::Engine;

/// The timeout of a question. Without one, a `docker` that cannot reach a remote daemon runs for minutes.
pub(super) const TIMEOUT: Duration = Duration::from_secs(20);

/// The most that is shown of a line of `docker`'s, in characters.
const WIDEST: usize = 400;

/// Docker's answer to a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer<T> {
    /// The answer.
    Is(T),
    /// There is no `docker` command, or no Compose plugin.
    NoCommand,
    /// There is a `docker` command, but it reaches no daemon.
    NoDaemon,
    /// It did not answer in time, or with a flood of words. Says so.
    Silent(String),
    /// It failed in another way. Holds its message.
    Failed(String),
}

impl<T> Answer<T> {
    /// The answer, or in words why there is none.
    ///
    /// # Errors
    /// The reason.
    pub fn needed(self) -> Result<T, String> {
        match self {
            Self::Is(answer) => Ok(answer),
            Self::NoCommand => Err("there is no `docker` command".to_owned()),
            Self::NoDaemon => Err("Docker does not answer".to_owned()),
            Self::Silent(reason) | Self::Failed(reason) => Err(reason),
        }
    }

    /// The answer to a question that depends on this answer.
    pub(super) fn then<U>(self, ask: impl FnOnce(T) -> Answer<U>) -> Answer<U> {
        match self {
            Self::Is(answer) => ask(answer),
            Self::NoCommand => Answer::NoCommand,
            Self::NoDaemon => Answer::NoDaemon,
            Self::Silent(reason) => Answer::Silent(reason),
            Self::Failed(reason) => Answer::Failed(reason),
        }
    }

    pub(super) fn map<U>(self, convert: impl FnOnce(T) -> U) -> Answer<U> {
        self.then(|answer| Answer::Is(convert(answer)))
    }
}

/// The version of the `docker` command.
pub fn docker_version() -> Answer<String> {
    ask(&["--version"])
}

/// Replaces the kinfra process by a command in a container. Returns only if `docker` cannot be started.
pub fn become_exec(
    engine: Option<&Engine>,
    container: &str,
    is_terminal: bool,
    words: &[OsString],
    umask: Umask,
) -> io::Error {
    let mut docker = docker(engine);
    docker.args(["exec", "--interactive"]).args(is_terminal.then_some("--tty")).arg(container).args(words);
    umask.restore();
    docker.exec()
}

/// The version of the daemon.
pub fn daemon_version() -> Answer<String> {
    ask(&["version", "--format", "{{.Server.Version}}"])
}

/// The version of an engine's daemon.
pub fn daemon_version_of(engine: &Engine) -> Answer<String> {
    ask_of(Some(engine), &["version", "--format", "{{.Server.Version}}"], TIMEOUT)
}

/// The names of what the daemon consists of, a line each. Podman is one of them.
pub(super) fn server_components() -> Answer<String> {
    ask(&["version", "--format", "{{range .Server.Components}}{{println .Name}}{{end}}"])
}

/// The `docker` command for an engine, or for the caller's.
pub(super) fn docker(engine: Option<&Engine>) -> Command {
    let mut docker = Command::new("docker");
    match engine {
        None => {}
        Some(Engine::Address(address)) => drop(docker.env("DOCKER_HOST", address)),
        // An address in the environment has precedence over a context.
        Some(Engine::Context(name)) => drop(docker.env("DOCKER_CONTEXT", name).env_remove("DOCKER_HOST")),
    }
    docker
}

/// Asks the caller's engine.
pub(super) fn ask(arguments: &[&str]) -> Answer<String> {
    ask_of(None, arguments, TIMEOUT)
}

/// Asks an engine within a time.
pub(super) fn ask_of(engine: Option<&Engine>, arguments: &[&str], timeout: Duration) -> Answer<String> {
    located(engine, output_of(engine, arguments, timeout))
}

/// Has an engine do something, which may take its time.
pub(super) fn tell(engine: Option<&Engine>, arguments: &[&str], timeout: Duration) -> Answer<String> {
    let outcome = start(engine, arguments).map_err(NoAnswer::Failed).and_then(|it| it.outcome(timeout));
    located(engine, outcome)
}

/// Asks an engine several questions at once, all within a time. The answers are in the order of the
/// questions.
pub(super) fn ask_each(
    engine: Option<&Engine>,
    questions: &[Vec<&str>],
    timeout: Duration,
) -> Vec<Answer<String>> {
    let asked: Vec<io::Result<Asked>> = questions.iter().map(|question| start(engine, question)).collect();
    let answered =
        |asked: io::Result<Asked>| asked.map_err(NoAnswer::Failed).and_then(|asked| asked.answer(timeout));
    asked.into_iter().map(|asked| located(engine, answered(asked))).collect()
}

/// The answer. One that does not come from an engine that is not in use names it.
fn located(engine: Option<&Engine>, output: Result<Output, NoAnswer>) -> Answer<String> {
    let elsewhere = || elsewhere(engine).map(|it| it.to_string());
    let answer = match output {
        Err(why) => return unanswered_by(elsewhere, why),
        Ok(output) => answer(&output),
    };
    let how = match &answer {
        Answer::NoDaemon => Some("does not answer"),
        Answer::Failed(why) if why.contains("context not found") => Some("is not there any more"),
        Answer::Is(_) | Answer::NoCommand | Answer::Silent(_) | Answer::Failed(_) => None,
    };
    let named = how.and_then(|how| Some(format!("{} {how}", elsewhere()?)));
    named.map_or(answer, Answer::Failed)
}

fn answer(output: &Output) -> Answer<String> {
    if output.status.success() {
        return Answer::Is(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    let messages = String::from_utf8_lossy(&output.stderr);
    if let Some(agent) = agent().filter(|_| is_kept(&messages)) {
        return Answer::Failed(agent.keeps_from("Docker: run it outside of the sandbox"));
    }
    let unreachable = [
        "Cannot connect to the Docker daemon",
        "failed to connect to the docker API",
        "Is the docker daemon running",
    ];
    if unreachable.iter().any(|words| messages.contains(words)) {
        return Answer::NoDaemon;
    }
    let mut lines = messages.lines().map(str::trim);
    let line = lines.find(|line| !line.is_empty() && !is_warning(line));
    let line = line.unwrap_or("it failed without a message");
    Answer::Failed(line.chars().take(WIDEST).collect())
}

/// Whether something other than the modes of files keeps `docker` from its socket.
fn is_kept(messages: &str) -> bool {
    let said = messages.to_lowercase();
    let path = messages.split("unix://").nth(1).and_then(|rest| rest.split([':', ' ', ';', '\n']).next());
    let is_open = path.is_none_or(|path| !is_closed_to_writing(path.into()));
    let words = ["permission denied", "operation not permitted"];
    is_open && said.contains("connect to the docker") && words.iter().any(|words| said.contains(words))
}

/// Whether a line of `docker`'s messages is a warning.
pub fn is_warning(line: &str) -> bool {
    line.contains("level=warning")
}

/// Why `docker` gave no answer.
pub(super) fn unanswered<T>(why: NoAnswer) -> Answer<T> {
    unanswered_by(|| None, why)
}

/// The same of an engine that may be elsewhere.
fn unanswered_by<T>(elsewhere: impl FnOnce() -> Option<String>, why: NoAnswer) -> Answer<T> {
    let docker = || elsewhere().unwrap_or_else(|| "docker".to_owned());
    match why {
        NoAnswer::Late(timeout) => {
            Answer::Silent(format!("{} did not answer within {}s", docker(), timeout.as_secs().max(1)))
        }
        NoAnswer::TooLong(most) => {
            Answer::Silent(format!("{} printed more than {} MiB and was ended", docker(), most >> 20))
        }
        NoAnswer::Flooded(most) => {
            Answer::Silent(format!("{} failed with more than {} KiB of messages", docker(), most >> 10))
        }
        NoAnswer::Killed(signal) => Answer::Silent(format!("{} was ended by signal {signal}", docker())),
        NoAnswer::Failed(error) if error.kind() == io::ErrorKind::NotFound => Answer::NoCommand,
        NoAnswer::Failed(error) => Answer::Failed(error.to_string()),
    }
}

/// What `docker` prints for an engine, however it ends, within a time.
pub(super) fn output_of(
    engine: Option<&Engine>,
    arguments: &[&str],
    timeout: Duration,
) -> Result<Output, NoAnswer> {
    start(engine, arguments)?.answer(timeout)
}

fn start(engine: Option<&Engine>, arguments: &[&str]) -> io::Result<Asked> {
    let mut docker = docker(engine);
    docker.args(arguments);
    // A question is too short for threads to help: with them, it takes longer.
    docker.env("GOMAXPROCS", "1");
    Asked::start(docker)
}
