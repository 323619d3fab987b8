//! `kinfra hook` for Cursor, Codex, Conductor, worktrunk and direnv: their files before and after, and what their
//! hooks do.

use std::process::Stdio;

use serde_json::Value;

use super::hook::repository;
use crate::support::{Machine, Run};

/// Files that users may have, each of a tool, with what of it is there afterwards, too.
const FILES: [(&str, &str, &str); 5] = [
    (
        "cursor",
        ".cursor/worktrees.json",
        "{\n  \"setup-worktree\": [\n    \"npm ci\",\n    \"cp $ROOT_WORKTREE_PATH/.env .env\"\n  ]\n}",
    ),
    (
        "codex",
        ".codex/hooks.json",
        "{\"hooks\":{\"Stop\":[{\"hooks\":[{\"type\":\"command\",\"command\":\"./say\"}]}]}}\n",
    ),
    (
        "conductor",
        "conductor.json",
        "{\n    \"scripts\": {\n        \"run\": \"npm run dev\"\n    },\n    \"runScriptMode\": \"nonconcurrent\"\n}\n",
    ),
    ("worktrunk", ".config/wt.toml", "# ours\n[pre-start]\nnpm   = \"npm ci\"\n\n[list]\nurl = \"x\""),
    ("direnv", ".envrc", "layout python\n# no newline at the end"),
];

fn change(machine: &Machine, verb: &str, tool: &str) -> Run {
    machine.kinfra(&format!("hook {verb} {tool} --auto-approve"))
}

#[test]
fn each_tool_s_file_keeps_what_is_in_it() {
    let machine = repository();
    for (tool, path, mine) in FILES {
        // A file that kinfra makes is gone again.
        change(&machine, "install", tool).exits(0).says("Made ");
        change(&machine, "install", tool).exits(0).says("Nothing to do");
        change(&machine, "uninstall", tool).exits(0).says("Removed ");
        assert!(!machine.exists(path), "{path}");
        machine.write(path, mine);
        machine.set_mode(path, 0o640);
        change(&machine, "install", tool).exits(0).prints("+").says("Changed ");
        let with = machine.read(path);
        assert!(mine.lines().all(|line| with.contains(line.trim_end_matches(['"', '}']))), "{with}");
        change(&machine, "install", tool).exits(0).says("Nothing to do");
        assert_eq!((machine.read(path), machine.mode(path)), (with, 0o640));
        change(&machine, "uninstall", tool).exits(0).says("Changed ");
        assert_eq!((machine.read(path).as_str(), machine.mode(path)), (mine, 0o640));
    }
}

#[test]
fn what_another_has_in_the_place_stays() {
    let machine = repository();
    for (tool, path, mine, why) in [
        (
            "conductor",
            "conductor.json",
            "{\"scripts\": {\"setup\": \"npm ci\"}}",
            "`scripts.setup` is something else already",
        ),
        (
            "cursor",
            ".cursor/worktrees.json",
            "{\"setup-worktree\": \"setup.sh\"}",
            "`setup-worktree` is not a list",
        ),
        ("worktrunk", ".config/wt.toml", "pre-start = \"npm ci\"\n", "`pre-start` is there in another form"),
        ("worktrunk", ".config/wt.toml", "[pre-start", "cannot be changed"),
    ] {
        machine.write(path, mine);
        let refused = change(&machine, "install", tool).exits(4).says(why).says("yourself");
        assert!(refused.stderr.contains("kinfra hook run setup"), "{refused:?}");
        assert_eq!(machine.read(path), mine);
    }
}

/// The commands that a tool's file has for a worktree that comes, and for one that goes.
fn commands(machine: &Machine, tool: &str, path: &str) -> Vec<String> {
    let text = machine.read(path);
    let json = || serde_json::from_str::<Value>(&text).expect("JSON");
    let toml = || text.parse::<toml::Table>().expect("TOML");
    let found: Vec<Option<String>> = match tool {
        "cursor" => vec![json()["setup-worktree"][0].as_str().map(str::to_owned)],
        "conductor" => {
            ["setup", "archive"].map(|name| json()["scripts"][name].as_str().map(str::to_owned)).to_vec()
        }
        _ => ["pre-start", "pre-remove"]
            .map(|name| toml()[name]["kinfra"].as_str().map(str::to_owned))
            .to_vec(),
    };
    found.into_iter().map(|command| command.expect("a command")).collect()
}

#[test]
fn a_worktree_of_a_tool_has_a_slot_from_its_first_to_its_last_moment() {
    let machine = repository();
    let path_with_kinfra = {
        let kinfra = std::path::Path::new(env!("CARGO_BIN_EXE_kinfra")).parent().expect("a directory");
        format!("{}:{}", machine.tools().display(), kinfra.display())
    };
    let held = |dir: &std::path::Path| {
        let status = Run::of(machine.command("status --json").current_dir(dir)).exits(0).stdout;
        let status: Value = serde_json::from_str(&status).expect("JSON");
        (status["slot_id"].as_u64(), status["lease"].as_str().map(str::to_owned))
    };
    for (tool, path, _) in [FILES[0], FILES[2], FILES[3]] {
        change(&machine, "install", tool).exits(0);
        let tree = machine.worktree(tool);
        let commands = commands(&machine, tool, path);
        // Nothing is written to stdin, and it is never closed.
        let run = |command: &str, dir: &std::path::Path| {
            let mut shell = machine.program("sh");
            shell
                .arg("-c")
                .arg(command)
                .current_dir(dir)
                .env("PATH", &path_with_kinfra)
                .stdin(Stdio::piped());
            Run::of(&mut shell).exits(0)
        };
        run(&commands[0], &machine.project());
        assert_eq!(held(&machine.project()).0, None, "{tool}: the main worktree");
        run(&commands[0], &tree);
        assert_eq!(held(&tree), (Some(1), Some("8h".to_owned())), "{tool}");
        if let Some(archive) = commands.get(1) {
            run(archive, &tree);
            run(archive, &tree);
        } else {
            machine.git(machine.project(), &format!("worktree remove --force {}", tree.display()));
            machine.kinfra("reap --auto-approve").exits(0);
        }
        machine.kinfra("slots --json").exits(0).never_says(&format!("/{tool}\""));
    }
}

#[test]
fn codex_s_session_has_a_slot_and_is_told_so() {
    let machine = repository();
    change(&machine, "install", "codex").exits(0);
    let hooks: Value = serde_json::from_str(&machine.read(".codex/hooks.json")).expect("JSON");
    let command = hooks["hooks"]["SessionStart"][0]["hooks"][0]["command"].as_str().expect("a command");
    let arguments = command.strip_prefix("kinfra ").expect("kinfra");
    let tree = machine.worktree("feature");
    Run::of(machine.command(arguments).current_dir(tree)).exits(0).prints("holds slot 1 of kinfra's pool");
}
