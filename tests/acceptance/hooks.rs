//! Runs the hooks in docs/hooks.md as they stand there, with real worktrees of git.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::support::{Machine, Run, Running};

const HOOKS: &str = include_str!("../../docs/hooks.md");

/// The first block of code after the page's words "In `path`".
fn snippet(path: &str) -> &'static str {
    let (_, after) = HOOKS.split_once(&format!("In `{path}`")).unwrap_or_else(|| panic!("nothing on {path}"));
    let (_, block) = after.split_once("\n```").expect("a block");
    let (_, text) = block.split_once('\n').expect("a first line");
    text.split_once("```\n").expect("the end of a block").0
}

/// A repository with an applied pool of two slots, and a name that a shell could trip over.
struct Repository {
    machine: Machine,
}

impl Repository {
    fn new() -> Self {
        let repository = Self { machine: Machine::small() };
        repository.git(&["init", "--quiet"]);
        repository.git(&["add", "."]);
        repository.git(&["commit", "--quiet", "--message", "the pool"]);
        repository.machine.kinfra("apply").exits(0);
        repository
    }

    /// A command that knows git and kinfra.
    fn command(&self, program: impl AsRef<std::ffi::OsStr>, dir: &Path) -> Command {
        let mut command = self.machine.program(program);
        command.current_dir(dir).env("GIT_CONFIG_NOSYSTEM", "1").env("CLAUDE_PROJECT_DIR", self.project());
        for who in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{who}_NAME"), "dev").env(format!("GIT_{who}_EMAIL"), "dev@example.com");
        }
        command
    }

    fn git(&self, arguments: &[&str]) {
        let run = Run::of(self.command("git", &self.machine.project()).args(arguments));
        assert_eq!(run.code, Some(0), "git {arguments:?}: {run:?}");
    }

    fn project(&self) -> PathBuf {
        self.machine.project().canonicalize().expect("a directory")
    }

    /// Writes an executable from the page into the repository.
    fn install(&self, path: &str) {
        self.machine.write(path, snippet(path));
        self.machine.set_mode(path, 0o755);
    }

    /// Who holds the slots: the last names of their directories.
    fn holders(&self) -> Vec<String> {
        let slots: Value =
            serde_json::from_str(&self.machine.kinfra("slots --json").exits(0).stdout).expect("JSON");
        let slots = slots["slots"].as_array().expect("slots").iter();
        let holders =
            slots.filter_map(|slot| slot["claimed_by"].as_str()?.rsplit('/').next().map(str::to_owned));
        holders.collect()
    }
}

#[test]
fn git_s_post_checkout_claims_for_a_new_worktree_and_only_then() {
    let repository = Repository::new();
    repository.install(".git/hooks/post-checkout");
    repository.git(&["worktree", "add", "--quiet", "-b", "one", "../one tree's"]);
    assert_eq!(repository.holders(), ["one tree's"]);
    repository.git(&["checkout", "--quiet", "-b", "other"]);
    assert_eq!(repository.holders(), ["one tree's"]);
    repository.git(&["worktree", "add", "--quiet", "../two"]);
    // A full pool does not stop `git worktree add`.
    repository.git(&["worktree", "add", "--quiet", "../three"]);
    assert_eq!(repository.holders(), ["one tree's", "two"]);
}

#[test]
fn worktrunk_s_hooks_claim_and_release() {
    let repository = Repository::new();
    let hooks: toml::Table = snippet(".config/wt.toml").parse().expect("TOML");
    repository.git(&["worktree", "add", "--quiet", "../feature"]);
    let worktree = repository.machine.project().with_file_name("feature");
    for (hook, holders) in [("pre-start", vec!["feature"]), ("pre-remove", vec![])] {
        // As worktrunk does: each command by a shell, in the worktree.
        for (_, command) in hooks[hook].as_table().expect("commands") {
            let mut shell = repository.command("sh", &worktree);
            Run::of(shell.arg("-c").arg(command.as_str().expect("a command"))).exits(0);
        }
        assert_eq!(repository.holders(), holders, "{hook}");
    }
    // The hooks succeed even if no slot is free, and if none is held.
    for slot in ["1", "2"] {
        std::fs::create_dir(repository.machine.path(&format!("~/{slot}"))).expect("a directory");
        repository.machine.kinfra(&format!("claim --for ../home/{slot}")).exits(0);
    }
    for hook in ["pre-start", "pre-remove"] {
        for (_, command) in hooks[hook].as_table().expect("commands") {
            let mut shell = repository.command("sh", &worktree);
            Run::of(shell.arg("-c").arg(command.as_str().expect("a command"))).exits(0);
        }
    }
    assert_eq!(repository.holders(), ["1", "2"]);
}

/// Calls a hook as Claude Code does: by a shell, with the event as JSON on stdin.
fn call(repository: &Repository, event: &str, mut input: Value) -> Run {
    let settings: Value = serde_json::from_str(snippet(".claude/settings.json")).expect("JSON");
    let hook = &settings["hooks"][event][0]["hooks"][0];
    assert_eq!(hook["type"], "command");
    input["hook_event_name"] = json!(event);
    input["cwd"] = json!(repository.project());
    let mut shell = repository.command("sh", &repository.project());
    shell.arg("-c").arg(hook["command"].as_str().expect("a command"));
    let mut child = Running::piped(shell.stdin(Stdio::piped()));
    let mut stdin = child.stdin.take().expect("its stdin");
    stdin.write_all(input.to_string().as_bytes()).expect("it reads");
    drop(stdin);
    child.ends()
}

#[test]
#[ignore = "needs jq"]
fn claude_code_s_hooks_make_a_worktree_with_a_slot_and_remove_both() {
    let repository = Repository::new();
    repository.install(".claude/hooks/worktree-create");
    repository.install(".claude/hooks/worktree-remove");
    for name in ["fix-login", "fix-search", "no-slot-left"] {
        let created = call(&repository, "WorktreeCreate", json!({ "name": name }));
        let dir = repository.project().join(".claude/worktrees").join(name);
        assert_eq!(created.stdout, format!("{}\n", dir.display()), "{created:?}");
        assert!(created.code == Some(0) && dir.join("slots.toml").is_file(), "{created:?}");
    }
    assert_eq!(repository.holders(), ["fix-login", "fix-search"]);
    // It was edited, and is removed all the same: the user was asked before the hook.
    let dir = repository.project().join(".claude/worktrees/fix-login");
    fs::write(dir.join("notes.txt"), "mine").expect("a file");
    let removed = call(&repository, "WorktreeRemove", json!({ "worktree_path": dir }));
    assert!(removed.code == Some(0) && !dir.exists(), "{removed:?}");
    assert_eq!(repository.holders(), ["fix-search"]);
    // A worktree without a slot is removed, too. A new one whose branch exists is on that branch.
    let dir = repository.project().join(".claude/worktrees/no-slot-left");
    let removed = call(&repository, "WorktreeRemove", json!({ "worktree_path": dir }));
    assert!(removed.code == Some(0) && !dir.exists(), "{removed:?}");
    let created = call(&repository, "WorktreeCreate", json!({ "name": "fix-login" }));
    assert!(created.code == Some(0), "{created:?}");
    assert_eq!(repository.holders(), ["fix-login", "fix-search"]);
    // Another program was faster: the directory is gone, and its slot is released all the same.
    let dir = repository.project().join(".claude/worktrees/fix-search");
    fs::remove_dir_all(&dir).expect("it is removed");
    let removed = call(&repository, "WorktreeRemove", json!({ "worktree_path": dir }));
    assert!(removed.code == Some(0), "{removed:?}");
    assert_eq!(repository.holders(), ["fix-login"]);
    let again = call(&repository, "WorktreeCreate", json!({ "name": "fix-login" }));
    assert!(again.code != Some(0) && again.stdout.is_empty(), "{again:?}");
}

#[test]
fn direnv_s_envrc_has_the_variables_of_the_worktree_s_slot() {
    let repository = Repository::new();
    repository.machine.kinfra("claim").exits(0);
    // The first line calls direnv's own library, which is not under test.
    let text = format!("watch_file() {{ :; }}\n{}\nenv", snippet(".envrc"));
    let mut bash = repository.command("bash", &repository.project());
    let run = Run::of(bash.args(["-c", &text]).env("COMPOSE_FILE", "other.yml")).exits(0);
    let run = run.prints("\nWEB_PORT=8001\n").prints("KINFRA_SLOT=1\n");
    assert!(!run.stdout.contains("COMPOSE_FILE="), "{}", run.stdout);
    run.says("note: COMPOSE_FILE was set to `other.yml`: dropped");
    // Without a slot, .envrc does not fail: direnv would undo all of it.
    repository.machine.kinfra("release").exits(0);
    let mut bash = repository.command("bash", &repository.project());
    let text = format!("set -e\n{text} && echo loaded");
    Run::of(bash.args(["-c", &text])).exits(0).prints("\nloaded\n").says("holds no slot");
}
