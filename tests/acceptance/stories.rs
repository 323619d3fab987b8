//! What people type all day: the table in `docs/worktrees.md`, as it stands there, and how much that is.

use std::path::Path;

use super::ktrdr::run;
use crate::rig::engine::Engine;
use crate::support::Machine;

const PAGE: &str = include_str!("../../docs/worktrees.md");

/// What Claude Code does with `-w NAME`: it runs the hook that makes the worktree, then the one of the session, and
/// gives the agent the variables of that. This agent starts its stack.
const CLAUDE: &str = r#"#!/usr/bin/env python3
import json, os, subprocess, sys
hooks = json.load(open(".claude/settings.json"))["hooks"]
def call(event, cwd, **fields):
    given = {"hook_event_name": event, "session_id": "7", "cwd": cwd, **fields}
    command = hooks[event][0]["hooks"][0]["command"]
    return subprocess.run(command, shell=True, input=json.dumps(given), text=True, check=True, cwd=cwd,
                          capture_output=True).stdout
assert sys.argv[1] == "-w"
tree = call("WorktreeCreate", os.getcwd(), name=sys.argv[2]).strip()
os.environ["CLAUDE_ENV_FILE"] = os.environ["HOME"] + "/claude-env"
call("SessionStart", tree, source="startup")
agent = ". $CLAUDE_ENV_FILE && kinfra up && echo the agent is in slot $KINFRA_SLOT"
subprocess.run(agent, shell=True, check=True, cwd=tree, env={**os.environ, "CLAUDECODE": "1"})
"#;

/// A row of the table: what you type, and at most how many keys that is without `name`.
fn typed(want: &str, name: &str, at_most: usize) -> &'static str {
    let row = PAGE.lines().find(|line| line.starts_with(&format!("| {want} |"))).expect("a row");
    let command = row.split('`').nth(1).expect("a command");
    let keys = command.replacen(name, "", 1).trim_end().chars().count();
    assert!(keys <= at_most, "{command}: {keys} keys without {name:?}");
    command
}

/// A developer's machine, on which `git@host:acme/shop` is a directory.
fn machine(origin: &Path) -> Machine {
    let machine = Machine::new();
    let url = format!("[url \"{}\"]\ninsteadOf = git@host:acme/shop\n", origin.display());
    machine.write("~/.gitconfig", format!("[user]\nname = Dev\nemail = dev@localhost\n{url}"));
    machine.write("~/bin/claude", CLAUDE);
    machine.set_mode("~/bin/claude", 0o755);
    machine
}

#[test]
#[ignore = "needs docker, curl and python3"]
fn what_is_typed_all_day_does_what_the_page_says() {
    let engine = Engine::for_projects(&["acme-slot-1", "acme-slot-2"]);
    let host = tempfile::tempdir().expect("a temporary directory");
    let origin = host.path().join("shop");
    let first = machine(&origin);
    first.write("~/test.sh", "#!/bin/sh\ncurl -s localhost:$ACME_WEB_PORT\n");
    // On ports that no other test has.
    let make = format!(
        "cd && kinfra demo acme && mv test.sh acme && cd acme && chmod +x test.sh \
         && sed -i 's/8180/8480/' compose.yaml slots.toml && kinfra hook install claude --auto-approve \
         && git add . && git commit -qm all && git clone -q --bare . {}",
        origin.display()
    );
    let job = typed("a CI job in a slot, on a machine without a pool", "./test.sh", 42);
    let start = typed("a new worktree with its stack", "fix", 12);
    let done = typed("its slot, its data and the worktree gone", "fix", 12);
    let agent = typed("an agent in a worktree and a slot of its own", "fix", 20);
    let (slots, count, trees) = ("kinfra slots --json", "curl -s localhost:8481", "git worktree list");
    let release = "kinfra release --wipe --for .claude/worktrees/fix";
    let commands = [&make, job, slots, start, count, count, done, trees, slots, agent, trees, release];
    let said = run(&first, &engine, &commands);
    let said: Vec<&str> = said.iter().map(String::as_str).collect();
    let [_, job, after_job, _, visit, again, _, left, after_done, agent, trees, _] = said[..] else {
        panic!("{said:#?}")
    };
    assert!(job.contains("You are visitor 1 "), "{job}");
    assert!(visit.contains("You are visitor 1 ") && again.contains("You are visitor 2 "), "{visit}{again}");
    for slots in [after_job, after_done] {
        assert!(slots.contains("\"claimed_by\": null") && !slots.contains("\"claimed_by\": \""), "{slots}");
    }
    assert_eq!(left.lines().count(), 1, "{left}");
    assert!(agent.contains("the agent is in slot 1\n") && trees.contains("worktree-fix"), "{agent}{trees}");

    let clone = typed("a new clone with its stack", "", 77);
    let said = run(&machine(&origin), &engine, &["cd", clone, count, "kinfra release --wipe"]);
    assert!(said[2].contains("You are visitor 1 "), "{said:#?}");
}
