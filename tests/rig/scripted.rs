//! An engine in place of Docker, whose state is a file and which goes wrong when a test says so:
//! `tests/fixtures/scripted-engine`. It is compiled once, because a script takes longer to start than kinfra to run.
//!
//! ```text
//! let engine = Scripted::new(machine.path("~/../engine"));
//! Run::of(engine.reach(&mut machine.command("compose up -d")));   // kinfra finds it as `docker`
//! engine.fails(Fault::Hang, When::At(7));                         // from now on; `mend` ends it
//! engine.containers()                                             // what there is, with its labels
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::Value;

use crate::support::Run;

const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/scripted-engine");

/// The label with the project that a thing is of.
pub(crate) const PROJECT: &str = "com.docker.compose.project";

/// The label with the directory of the project: which worktree's files made a container.
pub(crate) const DIRECTORY: &str = "com.docker.compose.project.working_dir";

/// The label with the service that a container is of.
pub(crate) const SERVICE: &str = "com.docker.compose.service";

/// A scripted engine.
pub(crate) struct Scripted {
    dir: PathBuf,
}

/// What goes wrong with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// An error, and nothing is done.
    Fail,
    /// An error in the middle of the work.
    FailHalf,
    /// No daemon answers.
    Gone,
    /// No answer until it is killed.
    Hang,
    /// It says that all went well, and nothing is done. A question gets no answer, or that of [`Scripted::remember`].
    Lie,
    /// It says that all went well, and did half.
    Half,
    /// It prints what Docker never would.
    Junk,
    /// kinfra dies before the call does anything.
    KillBefore,
    /// kinfra dies in the middle.
    KillHalf,
    /// kinfra dies after the call did all.
    KillAfter,
}

impl Fault {
    pub(crate) const ALL: [Self; 10] = [
        Self::KillBefore,
        Self::KillHalf,
        Self::KillAfter,
        Self::Fail,
        Self::FailHalf,
        Self::Gone,
        Self::Hang,
        Self::Lie,
        Self::Half,
        Self::Junk,
    ];

    /// Whether it stops a call in the middle. A question has none.
    pub(crate) fn is_half(self) -> bool {
        matches!(self, Self::KillHalf | Self::FailHalf | Self::Half)
    }

    fn word(self) -> &'static str {
        match self {
            Self::Fail => "fail",
            Self::FailHalf => "fail-half",
            Self::Gone => "gone",
            Self::Hang => "hang",
            Self::Lie => "lie",
            Self::Half => "half",
            Self::Junk => "junk",
            Self::KillBefore => "kill-before",
            Self::KillHalf => "kill-half",
            Self::KillAfter => "kill-after",
        }
    }
}

/// Which calls it is about. They are counted since [`Scripted::forget_calls`].
#[derive(Debug, Clone)]
pub(crate) enum When {
    /// The one with this number, from 1 on.
    At(usize),
    /// It and all later ones.
    From(usize),
    /// This one, wherever it comes: two calls at once have no order.
    Call(Call),
    /// The one with this number among those that change something.
    Changes(usize),
    /// Each that contains a text.
    Matches(&'static str),
    /// All of them.
    Always,
}

/// A call of an earlier run, as another run makes it, too: the `nth` of its shape, which has no ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) shape: String,
    pub(crate) nth: usize,
}

impl Call {
    /// Whether it only asks.
    pub(crate) fn asks(&self) -> bool {
        let words: Vec<&str> = self.shape.split(' ').collect();
        match words[..] {
            ["compose", ..] => ["config", "version", "ps", "logs"].iter().any(|word| words.contains(word)),
            [
                "ps" | "inspect" | "version" | "--version" | "info" | "logs" | "events" | "system" | "exec",
                ..,
            ] => true,
            [_, verb, ..] => ["ls", "ps", "inspect", "logs"].contains(&verb),
            _ => true,
        }
    }
}

impl Scripted {
    /// The engine with its state in a directory. An empty one has what a new engine has.
    pub(crate) fn new(dir: impl Into<PathBuf>) -> Self {
        let dir = dir.into();
        fs::create_dir_all(&dir).expect("a directory");
        Self { dir }
    }

    /// Lets a command find it as `docker`.
    pub(crate) fn reach<'command>(&self, command: &'command mut Command) -> &'command mut Command {
        let path = command.get_envs().find(|(name, _)| *name == "PATH").and_then(|(_, path)| path);
        let mut dirs = vec![program().parent().expect("its directory").to_owned()];
        dirs.extend(path.iter().flat_map(std::env::split_paths));
        let path = std::env::join_paths(dirs).expect("a PATH");
        command.env("PATH", path).env("ENGINE_STATE", &self.dir).env("KINFRA_TEST_CLOCK", self.clock())
    }

    /// Runs `docker`. It counts as a call.
    pub(crate) fn docker(&self, words: &[&str]) -> Run {
        let mut docker = Command::new(program());
        docker.env_clear().stdin(Stdio::null()).args(words).env("ENGINE_STATE", &self.dir);
        Run::of(docker.current_dir(&self.dir))
    }

    /// Ends the containers of a service, or the one with this name, as if their program ended.
    pub(crate) fn crash(&self, word: &str) -> Run {
        self.docker(&["engine-crash", word])
    }

    /// Time passes, for the engine and for kinfra: also for those that run.
    pub(crate) fn passes(&self, time: Duration) {
        let new = self.dir.join("clock.new");
        fs::write(&new, (self.ahead() + time).as_secs().to_string()).expect("a written file");
        fs::rename(new, self.clock()).expect("the clock");
    }

    /// How far its clock is ahead of the machine's.
    pub(crate) fn ahead(&self) -> Duration {
        let seconds = fs::read_to_string(self.clock()).ok().map(|text| text.parse().expect("seconds"));
        Duration::from_secs(seconds.unwrap_or_default())
    }

    fn clock(&self) -> PathBuf {
        self.dir.join("clock")
    }

    /// Ends all containers, and starts those with a restart policy, as the machine or Docker started anew.
    pub(crate) fn reboot(&self) {
        self.docker(&["engine-reboot"]).exits(0);
    }

    /// The same, with a later version of Docker and Compose, or again with the earlier one.
    pub(crate) fn upgrade(&self) {
        self.docker(&["engine-upgrade"]).exits(0);
    }

    /// A program in a container that runs adds a line to the data of its volume.
    pub(crate) fn write(&self, volume: &str, line: &str) -> Run {
        self.docker(&["engine-write", volume, line])
    }

    /// Sets a field of a thing. `value` is JSON.
    pub(crate) fn set(&self, kind: &str, name: &str, field: &str, value: &Value) {
        self.docker(&["engine-set", kind, name, field, &value.to_string()]).exits(0);
    }

    pub(crate) fn containers(&self) -> Vec<Thing> {
        self.things("containers")
    }

    pub(crate) fn volumes(&self) -> Vec<Thing> {
        self.things("volumes")
    }

    /// Without the three that every engine has.
    pub(crate) fn networks(&self) -> Vec<Thing> {
        let own = ["bridge", "host", "none"];
        self.things("networks").into_iter().filter(|network| !own.contains(&&*network.name())).collect()
    }

    pub(crate) fn images(&self) -> Vec<Thing> {
        self.things("images")
    }

    /// The containers, volumes, networks and images of a project, a line each.
    pub(crate) fn made_by(&self, project: &str) -> Vec<String> {
        let kinds = ["containers", "volumes", "networks", "images"];
        let of = |kind: &str| self.things(kind).into_iter().filter(|thing| thing.label(PROJECT) == project);
        kinds.iter().flat_map(|kind| of(kind).map(move |thing| format!("{kind} {}", thing.name()))).collect()
    }

    fn things(&self, kind: &str) -> Vec<Thing> {
        let Ok(text) = fs::read_to_string(self.dir.join("state.json")) else { return Vec::new() };
        let state: Value = serde_json::from_str(&text).expect("the engine's state");
        state[kind].as_array().into_iter().flatten().map(|thing| Thing(thing.clone())).collect()
    }

    /// The calls since [`Scripted::forget_calls`], as they were.
    pub(crate) fn calls(&self) -> Vec<String> {
        let text = fs::read_to_string(self.dir.join("calls")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// The same, to be found again in another run.
    pub(crate) fn points(&self) -> Vec<Call> {
        let mut counts = BTreeMap::<String, usize>::new();
        let calls = self.calls().into_iter().map(|call| {
            let shape = shape(&call);
            let nth = counts.entry(shape.clone()).or_default();
            *nth += 1;
            Call { shape, nth: *nth }
        });
        calls.collect()
    }

    pub(crate) fn forget_calls(&self) {
        fs::write(self.dir.join("calls"), "").expect("a written file");
    }

    /// From now on, this goes wrong, and nothing else.
    pub(crate) fn fails(&self, fault: Fault, when: &When) {
        let when = match when {
            When::At(number) => format!("at {number}"),
            When::Changes(number) => format!("change {number}"),
            When::From(number) => format!("from {number}"),
            When::Call(Call { shape, nth }) => format!("nth {nth} {shape}"),
            When::Matches(text) => format!("match {text}"),
            When::Always => "always".to_owned(),
        };
        fs::write(self.dir.join("faults"), format!("{} {when}\n", fault.word())).expect("a written file");
    }

    /// From now on, a question that is lied to gets the answer of this moment.
    pub(crate) fn remember(&self) {
        fs::copy(self.dir.join("state.json"), self.dir.join("stale.json")).expect("a copy of the state");
    }

    /// Nothing goes wrong any more.
    pub(crate) fn mend(&self) {
        fs::write(self.dir.join("faults"), "").expect("a written file");
    }
}

/// Something that the engine has, with the engine's own fields.
#[derive(Debug, Clone)]
pub(crate) struct Thing(pub(crate) Value);

impl Thing {
    /// A name; of an image its first tag.
    pub(crate) fn name(&self) -> String {
        let name = self.0["tags"][0].as_str().or(self.0["name"].as_str());
        name.unwrap_or_default().to_owned()
    }

    /// A label; empty if it is not there.
    pub(crate) fn label(&self, name: &str) -> &str {
        self.0["labels"][name].as_str().unwrap_or_default()
    }

    pub(crate) fn state(&self) -> &str {
        self.0["state"].as_str().unwrap_or_default()
    }

    /// The directories of the projects whose containers a volume was in.
    pub(crate) fn used_by(&self) -> Vec<&str> {
        self.texts("used_by")
    }

    /// The lines that were written into a volume.
    pub(crate) fn data(&self) -> Vec<&str> {
        self.texts("data")
    }

    fn texts(&self, field: &str) -> Vec<&str> {
        self.0[field].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
    }
}

/// A call without what differs from run to run. The engine has the same function.
fn shape(call: &str) -> String {
    let (mut shape, mut run) = (String::new(), String::new());
    for c in call.chars() {
        if c.is_ascii_hexdigit() {
            run.push(c);
            continue;
        }
        shape.push_str(if run.len() >= 12 { "ID" } else { &run });
        run.clear();
        shape.push(c);
    }
    shape.push_str(if run.len() >= 12 { "ID" } else { &run });
    shape
}

/// The compiled engine. Its directory is named after its sources, so an unchanged one is compiled once for all runs.
/// Not optimized: that takes longer than it saves, as a call is over in a millisecond or two.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let mut hasher = DefaultHasher::new();
        let entries =
            fs::read_dir(SOURCES).expect("the sources").map(|entry| entry.expect("an entry").path());
        let mut sources: Vec<PathBuf> = entries.collect();
        sources.sort();
        for source in sources {
            fs::read(source).expect("a source").hash(&mut hasher);
        }
        let dir = format!("scripted-engine-{:016x}", hasher.finish());
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(dir);
        let docker = dir.join("docker");
        if !docker.exists() {
            fs::create_dir_all(&dir).expect("a directory");
            // Other test processes may compile it at the same time.
            let new = tempfile::tempdir_in(&dir).expect("a temporary directory");
            let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
            let mut rustc = Command::new(rustc);
            rustc.args(["--edition", "2024", "-D", "warnings"]).arg(Path::new(SOURCES).join("main.rs"));
            Run::of(rustc.arg("-o").arg(new.path().join("docker"))).exits(0);
            fs::rename(new.path().join("docker"), &docker).expect("the program in its place");
        }
        docker
    })
}
