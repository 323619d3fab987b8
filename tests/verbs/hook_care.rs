//! `kinfra hook`: what is not this repository's, this session's or kinfra's own stays as it is.

use std::fs::{self, File};
use std::path::Path;
use std::process::Stdio;

use serde_json::json;

use super::hook::{claude, git, holders, install, path_with_kinfra, project, repository, shell, uninstall};
use crate::support::{Machine, Run, Running};

/// The same repository, with the hooks of Claude Code in a commit.
fn with_claude() -> Machine {
    let machine = repository();
    install(&machine, "claude").exits(0);
    machine.git(machine.project(), "add --all");
    machine.git(machine.project(), "commit --quiet --message hooks");
    machine
}

#[test]
fn a_session_gives_back_only_what_it_alone_claimed() {
    let machine = with_claude();
    let tree = machine.worktree("feature").canonicalize().expect("a directory");
    let starts = |id: &str| claude(&machine, &tree, "SessionStart", &json!({ "session_id": id })).exits(0);
    let ends = |id: &str| {
        claude(&machine, &tree, "SessionEnd", &json!({ "session_id": id, "reason": "logout" })).exits(0);
        holders(&machine)
    };
    let release = || Run::of(machine.command("release").current_dir(&tree)).exits(0);
    // A person, or another tool, claimed it with a lease.
    Run::of(machine.command("claim --lease 8h").current_dir(&tree)).exits(0);
    assert_eq!(ends("a"), ["feature"]);
    starts("a").prints("holds slot 1");
    assert_eq!(ends("a"), ["feature"]);
    release();
    // One session claims it, and another one works there, too.
    starts("a");
    starts("b");
    assert_eq!((ends("a"), ends("b")), (vec!["feature".to_owned()], vec!["feature".to_owned()]));
    release();
    // One alone gives it back, also if it was told twice that it begins.
    starts("a");
    starts("a");
    assert_eq!(ends("b"), ["feature"]);
    assert_eq!(ends("a"), [""; 0]);
}

#[test]
fn a_block_that_is_broken_or_edited_is_not_replaced() {
    let machine = repository();
    let hook = ".git/hooks/post-checkout";
    // What others add at the end of a script without a newline is theirs, and on a line of its own.
    machine.write(hook, "#!/bin/sh");
    machine.set_mode(hook, 0o755);
    install(&machine, "git").exits(0);
    let with = machine.read(hook);
    assert!(with.ends_with("\n# <<< kinfra <<<\n"), "{with}");
    machine.write(hook, format!("{with}echo mine\n"));
    uninstall(&machine, "git").exits(0);
    assert_eq!(machine.read(hook), "#!/bin/sh\necho mine\n");
    let block = "# >>> kinfra >>>\nif command -v kinfra >/dev/null 2>&1; then\n    kinfra hook run post-checkout \"$@\" || :\nfi\n";
    for (text, why) in [
        (format!("#!/bin/sh\n{block}echo mine\n"), "line 2: `# >>> kinfra >>>` has no `# <<< kinfra <<<`"),
        (
            format!("#!/bin/sh\n{block}echo mine\n# <<< kinfra <<<\n"),
            "line 2: kinfra did not write all of the lines",
        ),
        (
            "#!/bin/sh\necho\n# <<< kinfra <<<\n".to_owned(),
            "line 3: `# <<< kinfra <<<` has no `# >>> kinfra >>>`",
        ),
    ] {
        machine.write(hook, &text);
        for run in [install(&machine, "git"), uninstall(&machine, "git")] {
            run.exits(4).says(".git/hooks/post-checkout` cannot be changed: ").says(why).says("help: ");
        }
        assert_eq!(machine.read(hook), text);
    }
    // No shell reads such lines.
    machine.write(hook, "#!/bin/sh\r\necho\r\n");
    install(&machine, "git").exits(4).says("CRLF");
    // A file that was there stays, also if nothing else is in it.
    machine.write(hook, "#!/bin/sh\n");
    install(&machine, "git").exits(0);
    uninstall(&machine, "git").exits(0);
    assert_eq!(machine.read(hook), "#!/bin/sh\n");
    machine.write(hook, "#!/usr/bin/env -S bash -eu\necho\n");
    install(&machine, "git").exits(0);
}

#[test]
fn what_a_tool_says_besides_does_not_matter() {
    let machine = with_claude();
    let project = project(&machine);
    let path = |name: &str| format!("{}\n", project.join(".claude/worktrees").join(name).display());
    let deep = format!("{{\"deep\": {}{}, \"name\": \"c\"}}", "[".repeat(500), "]".repeat(500));
    for (input, name) in [
        ("\u{feff}{\"name\": \"a\", \"reason\": {\"of\": 1}, \"worktree_path\": 7, \"cwd\": []}", "a"),
        ("{\"worktree_name\": \"other\", \"name\": \"first\", \"name\": \"b\"}", "b"),
        (&*deep, "c"),
        ("{\"name\": \"d\", \"text\": \"\\ud800\"}", "d"),
    ] {
        let created = shell(&machine, &project, "kinfra hook run worktree-create", input.as_bytes());
        created.exits(0).prints_exactly(&path(name));
    }
}

#[test]
fn what_a_person_wrote_is_there_and_stays() {
    let machine = repository();
    let theirs = "{\"hooks\": {\"SessionStart\": [{\"matcher\": \"startup\", \"hooks\": [{\"type\": \"command\", \
                  \"command\": \"kinfra hook run session-start\"}]}]}}\n";
    for (tool, path, text) in [
        ("codex", ".codex/hooks.json", theirs),
        (
            "conductor",
            "conductor.json",
            "{\"scripts\": {\"setup\": \"npm ci && kinfra hook run setup\", \"archive\": \"kinfra hook run archive\"}}",
        ),
        ("cursor", ".cursor/worktrees.json", "{\n  \"setup-worktree\": [\"kinfra hook run setup\"]\n}\n"),
        (
            "worktrunk",
            ".config/wt.toml",
            "[pre-start]\nkinfra = \"kinfra hook run setup\"\n[pre-remove]\nkinfra = \"kinfra hook run archive\"\n",
        ),
    ] {
        machine.write(path, text);
        install(&machine, tool).exits(0).says("Nothing to do: the hooks for");
        uninstall(&machine, tool).exits(0).says("Nothing to do: kinfra added no hook for");
        assert_eq!(machine.read(path), text, "{tool}");
    }
    // One of four is theirs: the others come and go.
    machine.write(".claude/settings.json", theirs);
    install(&machine, "claude").exits(0);
    let with = machine.read(".claude/settings.json");
    assert_eq!(with.matches("session-start").count(), 1, "{with}");
    assert!(with.contains("worktree-create"), "{with}");
    uninstall(&machine, "claude").exits(0);
    assert_eq!(machine.read(".claude/settings.json"), theirs);
}

#[test]
fn a_session_is_told_its_slot_also_without_its_variables() {
    let machine = with_claude();
    let tree = machine.worktree("feature").canonicalize().expect("a directory");
    let mut hook = machine.command("hook run session-start");
    hook.current_dir(&tree).env("CLAUDE_ENV_FILE", machine.path("~/no/such/dir/file"));
    let told = Run::of(hook.stdin(Stdio::null())).exits(0).prints("holds slot 1 of kinfra's pool");
    told.says("\nkinfra: could not open ");
}

#[test]
fn a_hook_does_not_wait_long_for_a_lock() {
    let machine = with_claude();
    let tree = machine.worktree("feature").canonicalize().expect("a directory");
    let lock = File::options().write(true).open(machine.path("~/pool/.lock")).expect("a lock");
    lock.lock().expect("it is free");
    // Another verb began to wait before, and waits longer.
    let start = |arguments: &str| Running::piped(machine.command(arguments).current_dir(&tree));
    let mut claim = start("claim");
    start("hook run session-start").ends().exits(0).prints_exactly("").says("--lock-timeout");
    assert!(claim.try_wait().expect("its state").is_none(), "the claim has ended");
    drop(lock);
    claim.ends().exits(0);
}

#[test]
fn an_event_that_this_kinfra_does_not_know_fails_nothing() {
    let machine = repository();
    let run = shell(&machine, &project(&machine), "kinfra hook run nosuch --flag", b"{}").exits(0);
    assert_eq!((run.stderr.lines().count(), run.stderr.starts_with("kinfra: ")), (1, true), "{run:?}");
}
