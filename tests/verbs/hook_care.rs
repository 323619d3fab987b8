//! `kinfra hook`: what is not this repository's, this session's or kinfra's own stays as it is.

use std::fs::{self, File};
use std::path::Path;
use std::process::Stdio;

use serde_json::json;

use super::hook::{claude, git, holders, install, path_with_kinfra, project, repository, shell, uninstall};
use crate::docs;
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
fn the_readme_s_script_gives_back_the_slot_of_a_worktree_that_is_gone() {
    let readme = docs::read("README.md");
    let (_, after) = readme.split_once("In `.claude/hooks/worktree-remove`:").expect("the script");
    let machine = repository();
    machine.write("~/hook", docs::blocks(after, "sh")[0]);
    let tree = project(&machine).join(".claude/worktrees/a");
    machine.git(machine.project(), &format!("worktree add --quiet {} -b a", tree.display()));
    Run::of(machine.command("claim").current_dir(&tree)).exits(0);
    fs::remove_dir_all(&tree).expect("a worktree");
    assert_eq!(holders(&machine), ["a"]);
    let (hook, input) = (machine.path("~/hook"), json!({ "worktree_path": tree }).to_string());
    shell(&machine, &project(&machine), &format!("sh {}", hook.display()), input.as_bytes()).exits(0);
    assert_eq!(holders(&machine), [""; 0]);
}

#[test]
fn a_submodule_has_no_hooks_of_the_repository_around_it() {
    let machine = repository();
    let library = machine.home().join("library");
    machine.git(machine.home(), "init --quiet --initial-branch main library");
    fs::write(library.join("code"), "1").expect("a file");
    git(&machine, &library, &["add", "."]);
    git(&machine, &library, &["commit", "--quiet", "--message", "code"]);
    let add = ["-c", "protocol.file.allow=always", "submodule", "add", "--quiet", "../home/library", "lib"];
    git(&machine, &machine.project(), &add);
    let lib = project(&machine).join("lib");
    for tool in ["git", "claude"] {
        let mut run = machine.command(&format!("hook install {tool} --auto-approve"));
        Run::of(run.current_dir(&lib)).exits(4).says("is in the submodule").says("help: `cd ");
    }
    let input = json!({ "name": "new" }).to_string();
    shell(&machine, &lib, "kinfra hook run worktree-create", input.as_bytes())
        .exits(4)
        .prints_exactly("")
        .says("is in the submodule");
    assert!(!machine.exists(".git/hooks/post-checkout") && !machine.exists(".claude"));
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
fn git_s_hook_knows_a_new_worktree_without_a_log_and_in_a_table_of_references() {
    let machine = Machine::small();
    let project = machine.project();
    machine.git(&project, "init --quiet --ref-format=reftable --initial-branch main");
    git(&machine, &project, &["add", "."]);
    git(&machine, &project, &["commit", "--quiet", "--message", "the pool"]);
    machine.kinfra("apply").exits(0);
    install(&machine, "git").exits(0);
    let (one, two) = (machine.home().join("one"), machine.home().join("two"));
    let add = |name: &str| {
        git(&machine, &project, &["worktree", "add", "--quiet", "-b", name, &format!("../home/{name}")])
    };
    add("one").says("Claimed slot 1");
    // No log says then what was checked out before.
    git(&machine, &project, &["config", "core.logAllRefUpdates", "false"]);
    add("two").says("Claimed slot 2");
    for dir in [&one, &two] {
        Run::of(machine.command("release").current_dir(dir)).exits(0);
        git(&machine, dir, &["checkout", "--quiet", "--orphan", &format!("empty-{}", dir.ends_with("one"))]);
        let back = if dir == &one { "one" } else { "two" };
        git(&machine, dir, &["checkout", "--quiet", back]).never_says("laimed");
    }
    assert_eq!(holders(&machine), [""; 0]);
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
fn a_worktree_whose_directory_is_gone_can_be_made_again() {
    let machine = with_claude();
    let project = project(&machine);
    for detach in [false, true] {
        let create = || claude(&machine, &project, "WorktreeCreate", &json!({ "name": "fix" })).exits(0);
        create();
        let dir = project.join(".claude/worktrees/fix");
        if detach {
            git(&machine, &dir, &["checkout", "--quiet", "--detach"]);
            git(&machine, &dir, &["commit", "--quiet", "--allow-empty", "--message", "only here"]);
        }
        fs::remove_dir_all(&dir).expect("it is removed");
        claude(&machine, &project, "WorktreeRemove", &json!({ "worktree_path": dir })).exits(0);
        assert!(!machine.git(&project, "worktree list").contains("worktrees/fix"));
        let created = create();
        assert_eq!(created.stdout, format!("{}\n", dir.display()), "{created:?}");
        claude(&machine, &project, "WorktreeRemove", &json!({ "worktree_path": dir })).exits(0);
    }
    // What was committed there alone is kept.
    assert!(machine.git(&project, "log --format=%s --glob=refs/kinfra/discarded").contains("only here"));
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
fn git_does_not_show_the_worktrees_of_agents() {
    let machine = with_claude();
    let project = project(&machine);
    claude(&machine, &project, "WorktreeCreate", &json!({ "name": "fix" })).exits(0);
    claude(&machine, &project, "WorktreeCreate", &json!({ "name": "more" })).exits(0);
    assert_eq!(machine.git(&project, "status --porcelain"), "");
    assert_eq!(machine.read(".git/info/exclude").matches("/.claude/worktrees/\n").count(), 1);
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
fn a_bare_repository_has_git_s_hooks_and_no_files() {
    let machine = repository();
    machine.git(machine.home(), "clone --quiet --bare ../project shop.git");
    let bare = machine.home().join("shop.git").canonicalize().expect("a directory");
    let before: Vec<_> = list(&bare);
    let run = |dir: &Path, arguments: &str| Run::of(machine.command(arguments).current_dir(dir));
    run(&bare, "hook install claude --auto-approve")
        .exits(4)
        .says("is bare")
        .says("help: `cd` into a worktree");
    let input = json!({ "name": "new" }).to_string();
    let create = |dir: &Path| shell(&machine, dir, "kinfra hook run worktree-create", input.as_bytes());
    create(&bare).exits(4).says("is bare").prints_exactly("");
    run(&bare, "hook install git --auto-approve").exits(0).says("shop.git/hooks/post-checkout");
    run(&bare, "hook uninstall git --auto-approve").exits(0);
    assert_eq!(list(&bare), before);
    // In a worktree of it, an agent's worktree is below that one.
    machine.git(&bare, "worktree add --quiet ../one");
    let one = machine.home().join("one").canonicalize().expect("a directory");
    run(&one, "apply").exits(0);
    let place = one.join(".claude/worktrees/new");
    create(&one).exits(0).prints_exactly(&format!("{}\n", place.display()));
    create(&place).exits(0).prints_exactly(&format!("{}\n", place.display()));
    let input = json!({ "worktree_path": place }).to_string();
    shell(&machine, &one, "kinfra hook run worktree-remove", input.as_bytes()).exits(0);
    assert!(!place.exists() && !bare.join(".claude").exists());
}

/// The names in a directory and in its hooks.
fn list(dir: &Path) -> Vec<String> {
    let names =
        |dir: &Path| fs::read_dir(dir).expect("a directory").map(|entry| entry.expect("an entry").path());
    let mut all: Vec<String> =
        names(dir).chain(names(&dir.join("hooks"))).map(|path| path.display().to_string()).collect();
    all.sort();
    all
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
fn two_agents_that_want_one_worktree_get_it() {
    let machine = with_claude();
    let project = project(&machine);
    let start = || {
        let mut hook = machine.command("hook run worktree-create");
        hook.current_dir(&project).env("PATH", path_with_kinfra(&machine)).stdin(Stdio::piped());
        Running::piped(&mut hook)
    };
    let mut children = [start(), start(), start()];
    for child in &mut children {
        let mut stdin = child.stdin.take().expect("its stdin");
        std::io::Write::write_all(&mut stdin, b"{\"name\": \"same\"}").expect("it reads");
    }
    let place = format!("{}\n", project.join(".claude/worktrees/same").display());
    for child in children {
        child.ends().exits(0).prints_exactly(&place);
    }
    assert_eq!(holders(&machine), ["same"]);
}

#[test]
fn an_event_that_this_kinfra_does_not_know_fails_nothing() {
    let machine = repository();
    let run = shell(&machine, &project(&machine), "kinfra hook run nosuch --flag", b"{}").exits(0);
    assert_eq!((run.stderr.lines().count(), run.stderr.starts_with("kinfra: ")), (1, true), "{run:?}");
}
