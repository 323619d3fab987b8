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

