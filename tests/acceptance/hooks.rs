//! Runs the hooks in docs/hooks.md as they stand there, with real worktrees of git.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::support::{Machine, Run};

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

/// The first block of code in a language below a heading of the page.
fn block(heading: &str, language: &str) -> &'static str {
    let (_, after) = HOOKS.split_once(&format!("\n## {heading}\n")).expect("the heading");
    let (_, text) = after.split_once(&format!("\n```{language}\n")).expect("a block");
    text.split_once("```\n").expect("the end of a block").0
}

#[test]
fn what_is_installed_is_what_the_page_shows() {
    let repository = Repository::new();
    for (tool, path, text) in [
        ("git", ".git/hooks/post-checkout", format!("#!/bin/sh\n{}", block("git", "sh"))),
        ("claude", ".claude/settings.json", block("Claude Code", "json").to_owned()),
    ] {
        repository.machine.kinfra(&format!("hook install {tool} --auto-approve")).exits(0);
        assert_eq!(repository.machine.read(path), text, "{tool}");
    }
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
