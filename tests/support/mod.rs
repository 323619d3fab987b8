//! A machine to test kinfra on: a home, a project, programs and ports of its own.

mod on_server;
mod running;
pub(crate) mod tools;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

pub(crate) use running::Running;
use tempfile::TempDir;

use crate::rig::figure;
use crate::rig::postgres::Postgres;

/// A small pool: two slots, one file, one port.
pub(crate) const SMALL: &str = r#"version = 1

[pool]
name = "small"
root = "~/pool"

[ports]
web = 8000

[[profiles]]
name = "only"

[[slots]]
ids = "1-2"
profile = "only"

[files]
"conf.txt" = "conf.txt"
"#;

/// A pool for a project's own Compose files: two slots, one port that a service publishes.
pub(crate) const SHOP: &str = r#"version = 1
[pool]
name = "shop"
root = "~/pool"
env_prefix = "SHOP_"

[ports]
web = { base = 8000, publish = "web:80" }

[[profiles]]
name = "only"

[[slots]]
ids = "1-2"
profile = "only"

[compose]
"#;

/// [`SHOP`] under a name and on ports that no other test has: for a real engine.
pub(crate) fn shop(pool: &str, port: u16) -> String {
    SHOP.replace("shop", pool).replace("8000", &port.to_string())
}

/// The variable that tells kinfra which ports are in use.
pub(crate) const PORTS: &str = "KINFRA_TEST_PORTS";

/// The variable that tells kinfra whether Docker's plugin for Compose is there, so that it need not ask.
pub(crate) const PLUGIN: &str = "KINFRA_TEST_PLUGIN";

/// The variable that says where the pools of tests have their registries: in files, or on a server with
/// `postgres`, or behind `pgbouncer`. So the same tests are run on all.
const LEDGER: &str = "KINFRA_TEST_LEDGER";

/// The registry of a pool in `~/pool`. Where it is on a server, it is read and written there.
const REGISTRY: &str = "~/pool/registry.json";

/// Whether a test is over because the pools of this run are on a server: it is of what only a file has, as `why` says.
pub(crate) fn has_no_file(why: &str) -> bool {
    if is_on_server() {
        figure(&format!("of a registry in a file alone: {why}"));
    }
    is_on_server()
}

/// Whether the pools of this run are on a server.
pub(crate) fn is_on_server() -> bool {
    std::env::var(LEDGER).as_deref() == Ok("postgres") || has_bouncer()
}

/// Whether PgBouncer is between, in transaction mode.
pub(crate) fn has_bouncer() -> bool {
    std::env::var(LEDGER).as_deref() == Ok("pgbouncer")
}

/// A home and a project directory, both empty at first. Nothing listens there.
pub(crate) struct Machine {
    dir: TempDir,
    /// The ports in use, as the variable has them. `None`: those of the real machine.
    ports: Option<&'static str>,
    /// The url of its database, once it has one: see [`LEDGER`].
    database: OnceLock<String>,
}

impl Machine {
    /// A machine whose project has no `slots.toml`: the embedded pool.
    pub(crate) fn new() -> Self {
        Self::of(tempfile::tempdir())
    }

    /// The same, in memory where that is possible.
    pub(crate) fn in_memory() -> Self {
        let memory = Path::new("/dev/shm");
        Self::of(if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() })
    }

    fn of(dir: std::io::Result<TempDir>) -> Self {
        let dir = dir.expect("a temporary directory");
        let machine = Self { dir, ports: Some(""), database: OnceLock::new() };
        for dir in [machine.home(), machine.project(), machine.tools()] {
            fs::create_dir(dir).expect("a directory");
        }
        tools::install(&machine.tools());
        machine
    }

    /// The same, with the ports that are in use on the real machine.
    pub(crate) fn with_real_ports(self) -> Self {
        Self { ports: None, ..self }
    }

    /// The same, with these ports in use, separated by commas.
    pub(crate) fn with_ports_in_use(self, ports: &'static str) -> Self {
        Self { ports: Some(ports), ..self }
    }

    /// A machine whose project declares [`SMALL`].
    pub(crate) fn small() -> Self {
        let machine = Self::new();
        machine.spec(SMALL);
        machine.template("conf.txt", "slot {{ slot.id }} on {{ ports.web }}\n");
        machine
    }

    /// The same, applied, with its first slot held by the project.
    pub(crate) fn claimed() -> Self {
        let machine = Self::small();
        machine.kinfra("apply").exits(0);
        machine.kinfra("claim").exits(0);
        machine
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    pub(crate) fn project(&self) -> PathBuf {
        self.dir.path().join("project")
    }

    /// The directory that programs are found in.
    pub(crate) fn tools(&self) -> PathBuf {
        self.dir.path().join("tools")
    }

    /// Links a program of the real machine here. Panics if the real machine does not have it.
    pub(crate) fn install(&self, name: &str) {
        let path = tools::find(name).unwrap_or_else(|| panic!("this test needs {name}"));
        tools::link(&path, &self.tools().join(name));
    }

    /// The path of a file: `~/…` in the home, anything else in the project.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        match path.strip_prefix("~/") {
            Some(below) => self.home().join(below),
            None => self.project().join(path),
        }
    }

    /// Writes a file, and the directories above it.
    pub(crate) fn write(&self, path: &str, text: impl AsRef<[u8]>) {
        if let (REGISTRY, Some(url)) = (path, self.database.get()) {
            return on_server::write(url, &self.home().join("pool"), text.as_ref());
        }
        let path = self.path(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("directories");
        fs::write(&path, text).expect("a written file");
    }

    pub(crate) fn read(&self, path: &str) -> String {
        if let (REGISTRY, Some(url)) = (path, self.database.get()) {
            return on_server::read(url, &self.home().join("pool"));
        }
        let path = self.path(path);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// How many tickets are in the queue of the pool in `~/pool`.
    pub(crate) fn tickets(&self) -> usize {
        match self.database.get() {
            Some(url) => on_server::tickets(url),
            None => fs::read_dir(self.path("~/pool/.queue")).expect("a queue").count(),
        }
    }

    pub(crate) fn exists(&self, path: &str) -> bool {
        self.path(path).symlink_metadata().is_ok()
    }

    pub(crate) fn remove(&self, path: &str) {
        let path = self.path(path);
        let removed = if path.is_dir() && !path.is_symlink() {
            fs::remove_dir_all(&path)
        } else {
            fs::remove_file(&path)
        };
        removed.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }

    pub(crate) fn mode(&self, path: &str) -> u32 {
        self.path(path).metadata().expect("metadata").permissions().mode() & 0o7777
    }

    pub(crate) fn set_mode(&self, path: &str, mode: u32) {
        tools::set_mode(&self.path(path), mode);
    }

    /// Writes `slots.toml`.
    pub(crate) fn spec(&self, text: &str) {
        self.write("slots.toml", self.with_registry(text));
    }

    /// The text of a `slots.toml`, with the server that [`LEDGER`] asks for.
    fn with_registry(&self, text: &str) -> String {
        if !is_on_server() || text.contains("[registry]") {
            return text.to_owned();
        }
        let url = self.database.get_or_init(|| {
            let url = Postgres::shared().database().url();
            self.kinfra(&format!("registry init {url}")).exits(0);
            url
        });
        format!("{text}\n[registry]\nurl = \"{url}\"\n")
    }

    /// Writes a template.
    pub(crate) fn template(&self, name: &str, text: &str) {
        self.write(&format!("templates/{name}"), text);
    }

    /// Changes a text in `slots.toml` that is there.
    pub(crate) fn edit_spec(&self, from: &str, to: &str) {
        let spec = self.read("slots.toml");
        assert!(spec.contains(from), "slots.toml has no {from:?}");
        self.spec(&spec.replace(from, to));
    }

    /// A command that runs kinfra in the project, and sees nothing of the real environment.
    pub(crate) fn command(&self, arguments: &str) -> Command {
        let mut command = self.program(env!("CARGO_BIN_EXE_kinfra"));
        command.args(arguments.split_whitespace());
        command
    }

    /// A command that runs one of the [`tools`] in the project, and sees nothing of the real environment.
    pub(crate) fn program(&self, name: impl AsRef<OsStr>) -> Command {
        let name = name.as_ref();
        let program = if Path::new(name).is_absolute() { name.into() } else { self.tools().join(name) };
        let mut command = Command::new(program);
        command.current_dir(self.project()).stdin(Stdio::null()).env_clear();
        command.env("HOME", self.home()).env("PATH", self.tools());
        command.envs(self.ports.map(|ports| (PORTS, ports))).env(PLUGIN, "true");
        command
    }

    /// Runs git with arguments that have no spaces in them. What it printed.
    pub(crate) fn git(&self, dir: impl AsRef<Path>, arguments: &str) -> String {
        let mut git = self.program("git");
        git.args(["-c", "user.name=me", "-c", "user.email=me@example.org"])
            .args(arguments.split_whitespace());
        let run = Run::of(git.current_dir(dir).env("GIT_CONFIG_NOSYSTEM", "1"));
        assert_eq!(run.code, Some(0), "git {arguments}: {}", run.stderr);
        run.stdout
    }

    /// Makes a directory a git repository, with all that is in it.
    pub(crate) fn repository(&self, dir: impl AsRef<Path>) {
        for arguments in ["init --quiet", "add --all", "commit --quiet --allow-empty --message first"] {
            self.git(&dir, arguments);
        }
    }

    /// Adds a worktree of the project, `~/BRANCH`.
    pub(crate) fn worktree(&self, branch: &str) -> PathBuf {
        let path = self.path(&format!("~/{branch}"));
        let add = format!("worktree add --quiet -b {branch} {}", path.display());
        self.git(self.project(), &add);
        path
    }

    /// Runs kinfra with arguments that have no spaces in them.
    pub(crate) fn kinfra(&self, arguments: &str) -> Run {
        Run::of(&mut self.command(arguments))
    }

    /// Everything in the home: path → kind, mode and content. The same tree gives the same map.
    pub(crate) fn tree(&self) -> BTreeMap<PathBuf, String> {
        let mut tree = BTreeMap::new();
        walk(&self.home(), &mut tree);
        // Verbs that read note in it what they saw, and when.
        tree.retain(|path, _| !path.ends_with("registry.last-seen.json"));
        for (path, state) in &mut tree {
            // Who held the lock last and what happened when is not part of a pool's state.
            if path.ends_with(".lock") || path.ends_with("journal") {
                state.clear();
            } else if path.ends_with("registry.json") || path.ends_with("registry.json.bak") {
                *state = without_id(state);
            }
        }
        tree
    }
}

/// A registry's text without its id, which is random. A test may have laid the text out anew.
pub(crate) fn without_id(registry: &str) -> String {
    let Some((before, after)) = registry.split_once("\"id\":") else { return registry.to_owned() };
    let after = after.split_once(',').map_or("", |(_, rest)| rest);
    format!("{}{after}", before.trim_end())
}

fn walk(dir: &Path, tree: &mut BTreeMap<PathBuf, String>) {
    for entry in fs::read_dir(dir).expect("a directory to list") {
        let path = entry.expect("an entry").path();
        let meta = path.symlink_metadata().expect("metadata");
        let mode = meta.permissions().mode() & 0o7777;
        let content = if meta.is_dir() {
            walk(&path, tree);
            "directory".to_owned()
        } else if meta.is_symlink() {
            format!("link to {}", fs::read_link(&path).expect("a link").display())
        } else {
            String::from_utf8_lossy(&fs::read(&path).expect("a file to read")).into_owned()
        };
        tree.insert(path, format!("{mode:o} {content}"));
    }
}

/// A finished run of kinfra. Every check returns it, so that checks can be chained.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    pub(crate) fn of(command: &mut Command) -> Self {
        Running::piped(command).ends()
    }

    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "exit code of {self:#?}");
        self
    }

    #[track_caller]
    pub(crate) fn prints(self, text: &str) -> Self {
        assert!(self.stdout.contains(text), "no {text:?} on stdout of {self:#?}");
        self
    }

    #[track_caller]
    pub(crate) fn prints_exactly(self, text: &str) -> Self {
        assert_eq!(self.stdout, text, "stderr: {}", self.stderr);
        self
    }

    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "no {text:?} on stderr of {self:#?}");
        self
    }

    #[track_caller]
    pub(crate) fn never_says(self, text: &str) -> Self {
        let said = self.stdout.contains(text) || self.stderr.contains(text);
        assert!(!said, "{text:?} was said in {self:#?}");
        self
    }
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("kinfra prints UTF-8");
        Self { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}
