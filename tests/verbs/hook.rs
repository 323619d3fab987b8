//! `kinfra hook`: the files of each tool before and after, and what its events come to.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::{Value, json};

use crate::support::{Machine, Run, Running};

/// A repository with an applied pool of two slots.
pub(crate) fn repository() -> Machine {
    let machine = Machine::small();
    machine.repository(machine.project());
    machine.kinfra("apply").exits(0);
    machine
}

/// The directories that hold slots, by their last names.
pub(super) fn holders(machine: &Machine) -> Vec<String> {
    let slots: Value = serde_json::from_str(&machine.kinfra("slots --json").exits(0).stdout).expect("JSON");
    let slots = slots["slots"].as_array().expect("slots").iter();
    slots.filter_map(|slot| slot["claimed_by"].as_str()?.rsplit('/').next().map(str::to_owned)).collect()
}

pub(super) fn install(machine: &Machine, tool: &str) -> Run {
    machine.kinfra(&format!("hook install {tool} --auto-approve"))
}

pub(super) fn uninstall(machine: &Machine, tool: &str) -> Run {
    machine.kinfra(&format!("hook uninstall {tool} --auto-approve"))
}

/// Calls the hook of an event as Claude Code does: by a shell, where the agent is, with JSON on stdin.
pub(super) fn claude(machine: &Machine, dir: &Path, event: &str, more: &Value) -> Run {
    let settings: Value = serde_json::from_str(&machine.read(".claude/settings.json")).expect("JSON");
    let hook = &settings["hooks"][event][0]["hooks"][0];
    assert_eq!(hook["type"], "command");
    let mut input =
        json!({ "session_id": "1", "transcript_path": "/t.jsonl", "cwd": dir, "hook_event_name": event });
    input.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    shell(machine, dir, hook["command"].as_str().expect("a command"), input.to_string().as_bytes())
}

/// What a command of a shell does with a text on stdin.
pub(super) fn shell(machine: &Machine, dir: &Path, command: &str, stdin: &[u8]) -> Run {
    let mut shell = machine.program("sh");
    shell.arg("-c").arg(command).current_dir(dir).stdin(Stdio::piped()).env("GIT_CONFIG_NOSYSTEM", "1");
    shell.env("PATH", path_with_kinfra(machine)).env("CLAUDE_ENV_FILE", machine.path("~/claude.env"));
    let mut child = Running::piped(&mut shell);
    let mut into = child.stdin.take().expect("its stdin");
    // A hook may end without reading all of it.
    let _ = into.write_all(stdin);
    drop(into);
    child.ends()
}

pub(super) fn path_with_kinfra(machine: &Machine) -> String {
    let kinfra = Path::new(env!("CARGO_BIN_EXE_kinfra")).parent().expect("a directory");
    format!("{}:{}", machine.tools().display(), kinfra.display())
}

/// git, where its hooks find kinfra.
pub(super) fn git(machine: &Machine, dir: &Path, arguments: &[&str]) -> Run {
    let mut git = machine.program("git");
    git.args(["-c", "user.name=me", "-c", "user.email=me@example.org"]).args(arguments).current_dir(dir);
    Run::of(git.env("GIT_CONFIG_NOSYSTEM", "1").env("PATH", path_with_kinfra(machine))).exits(0)
}

pub(super) fn project(machine: &Machine) -> PathBuf {
    machine.project().canonicalize().expect("a directory")
}

#[test]
fn git_s_hook_is_shown_asked_for_and_there_once() {
    let machine = repository();
    let hook = ".git/hooks/post-checkout";
    machine
        .kinfra("hook install git --dry-run")
        .exits(0)
        .prints("+ #!/bin/sh")
        .prints("kinfra hook run post-checkout");
    assert!(!machine.exists(hook));
    machine.kinfra("hook install git").exits(4).prints("+ #!/bin/sh").says("no terminal to ask on");
    assert!(!machine.exists(hook));
    install(&machine, "git").exits(0).says("Made ");
    let text = machine.read(hook);
    assert_eq!(machine.mode(hook), 0o755);
    install(&machine, "git").exits(0).prints_exactly("").says("Nothing to do: the hooks for git are there");
    assert_eq!(machine.read(hook), text);
    // All worktrees share it.
    let tree = machine.worktree("other");
    Run::of(machine.command("hook install git").current_dir(&tree)).exits(0).says("Nothing to do");
    uninstall(&machine, "git").exits(0).says("Removed ");
    assert!(!machine.exists(hook) && machine.exists(".git/hooks"));
    uninstall(&machine, "git").exits(0).says("Nothing to do: kinfra added no hook for git");
}

#[test]
fn a_hook_of_others_stays_as_it_was() {
    let machine = repository();
    let hook = ".git/hooks/post-checkout";
    let other = "#!/usr/bin/env bash\nset -eu\necho mine >\"$HOME/mine\"\nexit 0";
    machine.write(hook, other);
    machine.set_mode(hook, 0o750);
    install(&machine, "git").exits(0).prints("+ # >>> kinfra >>>").says("Changed ");
    assert_eq!(machine.mode(hook), 0o750);
    git(&machine, &machine.project(), &["worktree", "add", "--quiet", "-b", "one", "../home/one"]);
    assert_eq!((holders(&machine), machine.exists("~/mine")), (vec!["one".to_owned()], true));
    uninstall(&machine, "git").exits(0);
    assert_eq!((machine.read(hook).as_str(), machine.mode(hook)), (other, 0o750));
    machine.set_mode(hook, 0o640);
    install(&machine, "git").exits(4).says("is not executable").says("chmod +x");
    machine.write(hook, "#!/usr/bin/python3\n");
    machine.set_mode(hook, 0o750);
    install(&machine, "git")
        .exits(4)
        .says("no script of a shell")
        .says("help: call `kinfra hook run post-checkout`");
    // What is a link, or is outside, is not this repository's to change.
    machine.remove(hook);
    machine.write("~/elsewhere", "#!/bin/sh\n");
    symlink(machine.path("~/elsewhere"), machine.path(hook)).expect("a link");
    install(&machine, "git").exits(4).says("a symbolic link");
    machine.remove(hook);
    machine.git(machine.project(), &format!("config core.hooksPath {}", machine.home().display()));
    install(&machine, "git").exits(4).says("outside of this repository, as core.hooksPath says");
    machine.git(machine.project(), "config core.hooksPath .husky");
    install(&machine, "git").exits(0);
    assert!(machine.exists(".husky/post-checkout") && !machine.exists(hook));
    uninstall(&machine, "git").exits(0);
    assert!(!machine.exists(".husky") && machine.read("~/elsewhere") == "#!/bin/sh\n");
}

#[test]
fn git_s_hook_claims_for_a_new_worktree_and_only_then() {
    let machine = repository();
    install(&machine, "git").exits(0);
    let (project, home) = (machine.project(), machine.home());
    git(&machine, &project, &["worktree", "add", "--quiet", "-b", "one", "../home/one tree's"])
        .says("Claimed slot 1");
    let status = Run::of(machine.command("status --json").current_dir(home.join("one tree's"))).exits(0);
    status.prints("\"lease\": \"8h\"");
    git(&machine, &project, &["checkout", "--quiet", "-b", "other"]).never_says("laimed");
    git(&machine, &home.join("one tree's"), &["checkout", "--quiet", "-b", "next"]).never_says("laimed");
    // On a branch without a commit, HEAD was nowhere before, either.
    Run::of(machine.command("release").current_dir(home.join("one tree's"))).exits(0);
    git(&machine, &home.join("one tree's"), &["checkout", "--quiet", "--orphan", "empty"])
        .never_says("laimed");
    git(&machine, &home.join("one tree's"), &["checkout", "--quiet", "next"]).never_says("laimed");
    assert_eq!(holders(&machine), [""; 0]);
    // A clone has the hook if a template does, and so has every repository without a pool.
    machine.git(&home, "init --quiet --initial-branch main bare-of-pools");
    let template = home.join("template/hooks");
    fs::create_dir_all(&template).expect("a directory");
    fs::copy(machine.path(".git/hooks/post-checkout"), template.join("post-checkout")).expect("a copy");
    git(&machine, &home, &["clone", "--quiet", "--template", "template", "../project", "clone"])
        .never_says("kinfra");
    let alone = home.join("bare-of-pools");
    fs::copy(machine.path(".git/hooks/post-checkout"), alone.join(".git/hooks/post-checkout"))
        .expect("a copy");
    git(&machine, &alone, &["commit", "--quiet", "--allow-empty", "--message", "first"]);
    git(&machine, &alone, &["worktree", "add", "--quiet", "../without-pool"]).never_says("kinfra");
    assert_eq!(holders(&machine), [""; 0]);
    // A full pool, a broken slots.toml and a kinfra that is gone do not stop git.
    for branch in ["a", "b"] {
        git(&machine, &project, &["worktree", "add", "--quiet", "-b", branch, &format!("../home/{branch}")]);
    }
    let full = git(&machine, &project, &["worktree", "add", "--quiet", "-b", "c", "../home/c"]);
    assert_eq!((full.stderr.lines().count(), full.stderr.starts_with("kinfra: ")), (1, true), "{full:?}");
    assert_eq!(holders(&machine), ["a", "b"]);
    machine.git(&project, "worktree add --quiet -b d ../home/d");
}

#[test]
fn a_start_by_kinfra_keeps_its_claim_as_it_made_it() {
    let machine = repository();
    install(&machine, "git").exits(0);
    let mut start = machine.command("start new --no-up");
    Run::of(start.env("PATH", path_with_kinfra(&machine))).exits(0);
    let status = Run::of(
        machine.command("status --json").current_dir(machine.project().with_file_name("project-new")),
    );
    status.exits(0).prints("\"branch\": \"new\"").never_says("lease");
}

#[test]
fn claude_code_s_settings_keep_what_is_in_them() {
    let machine = repository();
    let settings = ".claude/settings.json";
    install(&machine, "claude").exits(0).says("Made ");
    assert_eq!((machine.mode(settings), machine.mode(".claude")), (0o644, 0o755));
    install(&machine, "claude").exits(0).says("Nothing to do");
    uninstall(&machine, "claude").exits(0);
    assert!(!machine.exists(".claude"));
    let mine = "{\n    \"model\":   \"opus\",\n    \"hooks\": {\"SessionStart\": [\n        {\"matcher\": \"startup\", \
                \"hooks\": [{\"type\": \"command\", \"command\": \"./mine.sh\"}]}\n    ]},\n    \"z\": 1.0\n}";
    machine.write(settings, mine);
    machine.set_mode(settings, 0o600);
    install(&machine, "claude")
        .exits(0)
        .prints("kinfra hook run session-start")
        .never_says("opus\"\n      +");
    let with: Value = serde_json::from_str(&machine.read(settings)).expect("JSON");
    assert_eq!(with["hooks"]["SessionStart"].as_array().map(Vec::len), Some(2));
    assert_eq!(with["hooks"]["SessionStart"][0]["hooks"][0]["command"], "./mine.sh");
    assert_eq!(
        with["hooks"]["WorktreeCreate"][0]["hooks"][0]["command"],
        "kinfra hook run worktree-create # added by kinfra"
    );
    uninstall(&machine, "claude").exits(0);
    assert_eq!((machine.read(settings).as_str(), machine.mode(settings)), (mine, 0o600));
    for (broken, why) in
        [("{", "EOF"), ("[]", "is not an object"), ("{\"hooks\": []}", "`hooks` is not an object")]
    {
        machine.write(settings, broken);
        install(&machine, "claude").exits(4).says(why).says("help: mend the file, or add");
        assert_eq!(machine.read(settings), broken);
    }
    // A directory that is a link leads out of the repository.
    machine.remove(".claude");
    fs::create_dir(machine.path("~/elsewhere")).expect("a directory");
    symlink(machine.path("~/elsewhere"), machine.path(".claude")).expect("a link");
    install(&machine, "claude").exits(4).says("or a directory above it is a link");
    assert!(!machine.exists("~/elsewhere/settings.json"));
}

#[test]
fn an_agent_s_worktrees_come_with_a_slot_and_go_with_it() {
    let machine = repository();
    install(&machine, "claude").exits(0);
    machine.git(machine.project(), "add --all");
    machine.git(machine.project(), "commit --quiet --message hooks");
    let project = project(&machine);
    for name in ["fix-login", "fix/search", "no-slot-left"] {
        let created = claude(&machine, &project, "WorktreeCreate", &json!({ "name": name })).exits(0);
        let dir = project.join(".claude/worktrees").join(name.replace('/', "+"));
        assert_eq!(created.stdout, format!("{}\n", dir.display()), "{created:?}");
        assert!(dir.join("slots.toml").is_file(), "{created:?}");
        // The same worktree again is the same.
        let again = claude(&machine, &project, "WorktreeCreate", &json!({ "worktree_name": name })).exits(0);
        assert_eq!(again.stdout, created.stdout);
    }
    assert_eq!(holders(&machine), ["fix-login", "fix+search"]);
    let dir = project.join(".claude/worktrees/fix-login");
    Run::of(machine.command("status --json").current_dir(&dir)).exits(0).prints("\"lease\": \"8h\"");
    // It was edited: it goes, and its work is kept.
    fs::write(dir.join("notes.txt"), "mine").expect("a file");
    claude(&machine, &project, "WorktreeRemove", &json!({ "worktree_path": dir })).exits(0);
    assert!(!dir.exists());
    assert!(machine.git(&project, "for-each-ref refs/kinfra/discarded").contains("worktree-fix-login"));
    assert_eq!(holders(&machine), ["fix+search"]);
    // Another program was faster: the directory is gone, and its slot is given back all the same.
    let dir = project.join(".claude/worktrees/fix+search");
    fs::remove_dir_all(&dir).expect("it is removed");
    claude(&machine, &project, "WorktreeRemove", &json!({ "worktree_path": dir })).exits(0);
    assert_eq!(holders(&machine), [""; 0]);
    // A worktree without a slot goes, too.
    let dir = project.join(".claude/worktrees/no-slot-left");
    claude(&machine, &project, "WorktreeRemove", &json!({ "worktree_path": dir })).exits(0);
    assert!(!dir.exists());
}

#[test]
fn an_agent_s_session_has_the_variables_of_its_slot() {
    let machine = repository();
    install(&machine, "claude").exits(0);
    machine.git(machine.project(), "add --all");
    machine.git(machine.project(), "commit --quiet --message hooks");
    let tree = machine.worktree("feature").canonicalize().expect("a directory");
    let start = || claude(&machine, &tree, "SessionStart", &json!({ "source": "startup" })).exits(0);
    start().prints("holds slot 1 of kinfra's pool");
    let variables = machine.read("~/claude.env");
    assert!(variables.contains("export WEB_PORT='8001'\n"), "{variables}");
    // The main worktree gets no slot by itself.
    machine.remove("~/claude.env");
    claude(&machine, &project(&machine), "SessionStart", &json!({ "source": "startup" }))
        .exits(0)
        .prints_exactly("");
    assert!(!machine.exists("~/claude.env") && holders(&machine) == ["feature"]);
    // A session that goes on keeps its slot; one that ends gives back what it did not use.
    claude(&machine, &tree, "SessionEnd", &json!({ "reason": "clear" })).exits(0);
    assert_eq!(holders(&machine), ["feature"]);
    claude(&machine, &tree, "SessionEnd", &json!({ "reason": "logout" })).exits(0);
    assert_eq!(holders(&machine), [""; 0]);
    // A claim that a person made without a lease stays.
    Run::of(machine.command("claim").current_dir(&tree)).exits(0);
    claude(&machine, &tree, "SessionEnd", &json!({ "reason": "other" })).exits(0);
    assert_eq!(holders(&machine), ["feature"]);
}

#[test]
fn hostile_words_of_a_tool_change_nothing() {
    let machine = repository();
    let (project, tree) = (project(&machine), machine.worktree("mine").canonicalize().expect("a directory"));
    let mut before = machine.tree();
    before.retain(|path, _| !path.ends_with(".lock"));
    let deep = "[".repeat(100_000);
    let long = format!("{{\"name\": \"{}\"}}", "x".repeat(100 << 20));
    let names =
        ["", "../x", "..", ".", "a\nb", "\u{1b}[31m", "/etc", "a/../../x", "-x/..", "a b", "x.lock", "@{"];
    let mut inputs: Vec<String> = names.iter().map(|name| json!({ "name": name }).to_string()).collect();
    inputs.extend([deep, long, "{".to_owned(), "[]".to_owned(), "{\"name\": 1}".to_owned(), String::new()]);
    for input in &inputs {
        let run = shell(&machine, &project, "kinfra hook run worktree-create", input.as_bytes());
        let shown = &input[..input.len().min(80)];
        assert!(run.code != Some(0) && run.stdout.is_empty(), "{shown}: {run:?}");
        assert!(!run.stderr.contains('\u{1b}') && run.stderr.len() < 4000, "{shown}: {run:?}");
    }
    let outside = machine.home();
    let paths =
        [json!(tree), json!(project), json!(outside), json!("/"), json!("relative"), json!("a\nb"), json!(7)];
    for path in paths {
        let input = json!({ "worktree_path": path, "cwd": outside }).to_string();
        let run = shell(&machine, &project, "kinfra hook run worktree-remove", input.as_bytes()).exits(0);
        assert_eq!((run.stderr.lines().count(), run.stdout.as_str()), (1, ""), "{input}: {run:?}");
    }
    // A `cwd` in another repository is not where the agent is.
    let other = machine.path("~/other");
    fs::create_dir(&other).expect("a directory");
    let input = json!({ "cwd": tree }).to_string();
    shell(&machine, &other, "kinfra hook run session-start", input.as_bytes()).exits(0).prints_exactly("");
    fs::remove_dir(&other).expect("it is empty");
    let mut after = machine.tree();
    after.retain(|path, _| !path.ends_with(".lock"));
    assert_eq!(after, before);
    assert_eq!(holders(&machine), [""; 0]);
}

#[test]
fn one_value_is_read_and_its_end_is_not_waited_for() {
    let machine = repository();
    let tree = machine.worktree("feature");
    let mut command = machine.command("hook run session-start");
    let mut child = Running::piped(command.current_dir(&tree).stdin(Stdio::piped()));
    let mut stdin = child.stdin.take().expect("its stdin");
    stdin.write_all(b" {\"cwd\": \"/\"} {\"cwd\"").expect("it reads");
    // The other end stays open for as long as the hook runs.
    child.ends().exits(0).prints("holds slot 1");
    drop(stdin);
    // Without stdin, and with a file, it works where it is.
    Run::of(machine.command("hook run session-start").current_dir(&tree)).exits(0).prints("holds slot 1");
    shell(&machine, &tree, "kinfra hook run session-start <&-", b"").exits(0).prints("holds slot 1");
}
