//! `kinfra start`: a branch, its worktree, its slot and its stack, with one verb. The stack is on a scripted engine.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::rig::fleet::{Fleet, Slot};
use crate::rig::scripted::{Fault, When};
use crate::support::{Machine, Run, Running, SMALL};

/// A repository with an applied pool of two slots, in the project. Its worktrees are in the home.
pub(super) fn small() -> Machine {
    let machine = Machine::new();
    machine.spec(&(SMALL.to_owned() + "[worktree]\npath = \"~/{branch}\"\n"));
    machine.template("conf.txt", "slot {{ slot.id }}\n");
    machine.git(machine.project(), "init --quiet --initial-branch main");
    machine.repository(machine.project());
    machine.kinfra("apply").exits(0);
    machine
}

/// kinfra with arguments that may have spaces in them.
pub(super) fn run(machine: &Machine, dir: impl AsRef<Path>, arguments: &[&str]) -> Run {
    let mut command = machine.command("");
    Run::of(command.args(arguments).current_dir(dir)).never_says("panicked")
}

fn start(machine: &Machine, arguments: &str) -> Run {
    machine.kinfra(&format!("start --no-up {arguments}")).never_says("panicked")
}

/// The branches and the slots that are held, and what is beside the pool in the home.
pub(super) fn state(machine: &Machine) -> (String, usize, Vec<String>) {
    let branches = machine.git(machine.project(), "for-each-ref --format=%(refname:short) refs/heads");
    let held = machine.read("~/pool/registry.json").matches("\"claim_id\"").count();
    let names =
        fs::read_dir(machine.home()).expect("the home").map(|entry| entry.expect("an entry").file_name());
    let mut names: Vec<String> = names.map(|name| name.into_string().expect("UTF-8")).collect();
    names.retain(|name| !["pool", ".local"].contains(&name.as_str()));
    names.sort();
    (branches.trim_end().replace('\n', " "), held, names)
}

#[test]
fn a_branch_gets_a_worktree_a_slot_and_a_stack_and_gives_all_of_it_back() {
    let fleet = Fleet::new(&[]);
    let run = fleet.kinfra("project", "start impl/cart --note mine").exits(0);
    let path =
        fleet.machine.project().with_file_name("project-impl-cart").canonicalize().expect("a worktree");
    run.says("Made the worktree ")
        .says("Claimed slot 1")
        .prints("http://web.slot-1.localhost:28901")
        .says(&format!("Next: `cd {}`\n", path.display()));
    assert_eq!(fleet.slots()[&1], Slot::Held(path.clone()));
    assert!(!fleet.things(1).is_empty() && path.join(".env.sandbox").is_file());
    assert_eq!(fleet.machine.git(&path, "branch --show-current"), "impl/cart\n");
    assert_eq!(fleet.machine.git(&path, "status --porcelain"), "", "git sees nothing of it");
    fleet.check().expect("all is in order");

    // Again, from another worktree, it is the same one.
    let again = fleet.kinfra("project", "start impl/cart --json").exits(0);
    let document: Value = serde_json::from_str(&again.stdout).expect("one document");
    assert_eq!(document["path"], json!(path));
    assert_eq!((&document["branch"], &document["slot_id"]), (&json!("impl/cart"), &json!(1)));
    assert_eq!((&document["is_new"], &document["verdict"]), (&json!(false), &json!("not_checked")));
    assert_eq!(document["addresses"][0]["url"], "http://localhost:28901");

    fleet
        .kinfra("project", "done impl/cart")
        .exits(0)
        .prints("Removed the worktree ")
        .says("Released slot 1");
    assert!(!path.exists() && fleet.made_nothing());
    assert_eq!(fleet.machine.git(fleet.machine.project(), "branch --list impl/cart"), "");
}

#[test]
fn the_worktree_goes_where_slots_toml_says_and_never_over_another() {
    let machine = small();
    machine.write("~/fix-a/mine", "x");
    fs::create_dir(machine.path("~/empty")).expect("a directory");
    start(&machine, "empty").exits(0).says("Claimed slot 1");
    start(&machine, "fix/a").exits(0).says("Next: `cd ~/fix-a-2`\n");
    assert!(
        machine.exists("~/empty/.git") && machine.exists("~/fix-a-2/.git") && !machine.exists("~/fix-a/.git")
    );
    // With a full pool nothing is made.
    let before = state(&machine);
    start(&machine, "third").exits(3).says("no slot is free");
    assert_eq!(state(&machine), before);
    machine.kinfra("done fix/a").exits(0);

    let taken = format!("other --path {}", machine.path("~/fix-a").display());
    start(&machine, &taken).exits(4).says("is there already and not empty");
    let path = machine.path("~/deep/down");
    start(&machine, &format!("other --path {}", path.display())).exits(0);
    assert_eq!(machine.git(&path, "branch --show-current"), "other\n");
    start(&machine, &taken).exits(4).says("branch `other` is checked out in ");
    // A branch that is checked out somewhere is used there, without a claim or with one.
    run(&machine, &path, &["release"]).exits(0);
    start(&machine, "other").exits(0).says("Claimed slot ").says("/deep/down`\n");
    let gone = machine.path("~/empty");
    fs::remove_dir_all(&gone).expect("it is removed");
    start(&machine, "empty").exits(4).says("which is gone").says("help: `git worktree prune` forgets it");
}

#[test]
fn the_branch_is_the_one_that_is_there_or_that_of_a_remote_or_a_new_one() {
    let machine = small();
    let project = machine.project();
    machine.git(&project, "branch old");
    machine.git(&project, "commit --quiet --allow-empty --message second");
    machine.git(machine.home(), &format!("clone --quiet --bare {} one.git", project.display()));
    machine.git(machine.path("~/one.git"), "branch shared old");
    machine.git(&project, &format!("remote add one {}", machine.path("~/one.git").display()));
    machine.git(&project, "fetch --quiet one");
    let head = |dir: &str| machine.git(machine.path(dir), "log -1 --format=%s");

    start(&machine, "old").exits(0);
    assert_eq!(head("~/old"), "first\n");
    start(&machine, "shared").exits(0);
    let follows = machine.git(machine.path("~/shared"), "rev-parse --abbrev-ref @{upstream}");
    assert_eq!((head("~/shared").as_str(), follows.as_str()), ("first\n", "one/shared\n"));
    for name in ["old", "shared"] {
        machine.kinfra(&format!("done {name}")).exits(0);
    }
    start(&machine, "new").exits(0);
    start(&machine, "older --from old").exits(64).says("git knows no commit `old` to begin at");
    start(&machine, "older --from new~1").exits(0);
    assert_eq!((head("~/new").as_str(), head("~/older").as_str()), ("second\n", "first\n"));
    machine.kinfra("done new").exits(0);
    // Git's own rule for several remotes.
    machine.git(&project, &format!("remote add two {}", machine.path("~/one.git").display()));
    machine.git(&project, "fetch --quiet two");
    start(&machine, "shared").exits(4).says("on several remotes: one, two").says("--from one/shared");
    machine.git(&project, "config checkout.defaultRemote two");
    start(&machine, "shared").exits(0);
    let follows = machine.git(machine.path("~/shared"), "rev-parse --abbrev-ref @{upstream}");
    assert_eq!(follows, "two/shared\n");
}

/// Puts a script in the place of git for kinfra. `$git` is git itself.
pub(super) fn instead_of_git(machine: &Machine, script: &str) {
    let real = machine.tools().join("git").canonicalize().expect("git");
    let text = format!("#!/bin/sh\ngit={}\n{script}\nexec $git \"$@\"\n", real.display());
    fs::create_dir_all(machine.path("~/bin")).expect("a directory");
    machine.write("~/bin/git", text);
    machine.set_mode("~/bin/git", 0o755);
}

pub(super) fn with_script(machine: &Machine, arguments: &str) -> Run {
    let path = format!("{}:{}", machine.path("~/bin").display(), machine.tools().display());
    Run::of(machine.command(arguments).env("PATH", path)).never_says("panicked")
}

#[test]
fn what_fails_is_undone_and_only_what_this_run_made() {
    let machine = small();
    fs::create_dir(machine.path("~/bin")).expect("a directory");
    let before = state(&machine);
    for (script, says) in [
        ("case \"$*\" in *'worktree add'*) echo no room >&2; exit 1;; esac", "no room"),
        ("case \"$*\" in *'worktree add'*) $git \"$@\"; echo no luck >&2; exit 1;; esac", "no luck"),
    ] {
        instead_of_git(&machine, script);
        with_script(&machine, "start --no-up new").exits(1).says("`git worktree add` failed in ").says(says);
        assert_eq!(state(&machine), before, "{script}");
        // A branch that was there stays, and so does a directory.
        machine.git(machine.project(), "branch old");
        fs::create_dir(machine.path("~/old")).expect("a directory");
        with_script(&machine, "start --no-up old").exits(1);
        assert_eq!(state(&machine).0, "main old");
        machine.git(machine.project(), "branch --delete --quiet old");
        drop(fs::remove_dir(machine.path("~/old")));
    }
    // A new branch that has a commit by then is not removed.
    instead_of_git(
        &machine,
        "case \"$*\" in *'worktree add'*) $git \"$@\"; for last; do :; done; cd ~/new; $git -c user.name=me \
         -c user.email=me@here commit --quiet --allow-empty -m work; exit 1;; esac",
    );
    with_script(&machine, "start --no-up new").exits(1);
    assert_eq!(state(&machine).0, "main new");
}

#[test]
fn a_start_that_is_interrupted_leaves_nothing() {
    let machine = small();
    let before = state(&machine);
    for name in ["one", "two"] {
        start(&machine, name).exits(0);
    }
    let held = state(&machine);
    let mut waiting = Running::piped(&mut machine.command("start --no-up --wait three"));
    let mut said = String::new();
    BufReader::new(waiting.stderr.take().expect("stderr")).read_line(&mut said).expect("a line");
    assert!(said.starts_with("Waiting for a slot"), "{said}");
    waiting.signal(Signal::INT);
    waiting.ends().exits(130);
    assert_eq!(state(&machine), held);
    for name in ["one", "two"] {
        machine.kinfra(&format!("done {name}")).exits(0);
    }
    assert_eq!(state(&machine), before);
}

#[test]
fn a_start_that_was_killed_is_continued() {
    let machine = small();
    let before = state(&machine);
    // kinfra and git die in the middle: before git does anything, in its checkout, and after it.
    let kill = "kill -9 $PPID $$";
    let in_checkout = format!(
        "case \"$*\" in *'worktree add'*) $git \"$@\"; cd ~/new; own=$($git rev-parse \
         --absolute-git-dir); rm slots.toml \"$own/index\"; echo initializing >\"$own/locked\"; : >\"$own/index.lock\"; {kill};; esac"
    );
    let without_branch = format!(
        "case \"$*\" in *'worktree add'*) $git \"$@\"; cd ~/new; own=$($git rev-parse --absolute-git-dir); $git checkout \
         --quiet --detach; rm .git \"$own/index\"; echo initializing >\"$own/locked\"; {kill};; esac"
    );
    for (script, is_made) in [
        (format!("case \"$*\" in *'worktree add'*) {kill};; esac"), false),
        (in_checkout, true),
        (without_branch, true),
        (format!("case \"$*\" in *'worktree add'*) $git \"$@\"; {kill};; esac"), true),
    ] {
        instead_of_git(&machine, &script);
        let killed = with_script(&machine, "start --no-up new");
        assert_eq!((killed.code, state(&machine).1), (None, 1), "{script}: {killed:#?}");
        assert_eq!(state(&machine).0 == "main new", is_made, "{script}");
        start(&machine, "new").exits(0).says("Slot 1 (only) is yours already");
        let worktree = machine.path("~/new");
        assert_eq!(machine.git(&worktree, "status --porcelain --branch"), "## new\n", "{script}");
        assert!(machine.exists("~/new/.env.sandbox") && machine.exists("~/new/slots.toml"), "{script}");
        machine.kinfra("done new").exits(0);
        machine.remove("~/bin");
        assert_eq!(state(&machine), before, "{script}");
    }
}

#[test]
fn a_worktree_that_git_moves_keeps_its_slot() {
    let machine = small();
    start(&machine, "new").exits(0);
    let elsewhere = machine.path("~/elsewhere");
    let (from, to) = (machine.path("~/new"), elsewhere.display());
    machine.git(machine.project(), &format!("worktree move {} {to}", from.display()));
    run(&machine, &elsewhere, &["status"]).exits(0).prints("Slot 1 (only) is yours\n");
    machine.kinfra("done new").exits(0).says("Released slot 1");
    assert_eq!(state(&machine).1, 0);
}

#[test]
fn what_is_made_while_a_start_waits_is_not_its_own() {
    let machine = small();
    for name in ["one", "two"] {
        start(&machine, name).exits(0);
    }
    let mut waiting = Running::piped(&mut machine.command("start --no-up --wait three"));
    let mut said = String::new();
    BufReader::new(waiting.stderr.take().expect("stderr")).read_line(&mut said).expect("a line");
    let three = machine.path("~/three");
    machine.git(machine.project(), &format!("worktree add --quiet -b mine {}", three.display()));
    machine.write("~/three/work", "mine");
    machine.kinfra("done one").exits(0);
    waiting.ends().exits(4);
    assert_eq!(machine.read("~/three/work"), "mine");
    assert_eq!(state(&machine).0, "main mine two");
}

#[test]
fn a_worktree_that_git_began_is_ended_only_if_it_is_not_whole_and_a_start_began_it() {
    let machine = small();
    let lock = |path: &Path| {
        let own = machine.git(path, "rev-parse --absolute-git-dir");
        fs::write(Path::new(own.trim_end()).join("locked"), "initializing\n").expect("a lock");
    };
    start(&machine, "new").exits(0);
    machine.write("~/new/slots.toml", "my work");
    lock(&machine.path("~/new"));
    start(&machine, "new").exits(0);
    assert_eq!(machine.read("~/new/slots.toml"), "my work");
    assert!(!machine.git(machine.project(), "worktree list --porcelain").contains("locked"));
    // One that git itself makes just now.
    let other = machine.path("~/other");
    machine.git(machine.project(), &format!("worktree add --quiet -b other {}", other.display()));
    lock(&other);
    let before = state(&machine);
    start(&machine, "other").exits(4).says("git makes `~/other` just now").says("help: wait for it");
    assert_eq!(state(&machine), before);
}

#[test]
fn a_stack_that_does_not_start_leaves_the_worktree_and_its_slot() {
    let fleet = Fleet::new(&[]);
    fleet.engine.fails(Fault::Fail, &When::Matches(" up "));
    let run = fleet.kinfra("project", "start fix");
    assert!(run.code.is_some_and(|code| code != 0), "{run:#?}");
    let path = fleet.machine.project().with_file_name("project-fix");
    run.says("stays, and so does its claim of slot 1").says("`kinfra done fix` removes both");
    assert_eq!(fleet.slots()[&1], Slot::Held(path.canonicalize().expect("it stays")));
    fleet.engine.mend();
    fleet.kinfra("project", "start fix").exits(0).prints("http://web.slot-1.localhost:28901");
    fleet.kinfra("project", "done fix").exits(0);
    assert!(!path.exists() && fleet.made_nothing());
}

/// Names of branches, and what becomes of each: 0, or the exit code that refuses it.
const NAMES: [(&str, i32); 40] = [
    ("a b", 64),
    ("a\nb", 64),
    ("a\tb", 64),
    ("-x", 64),
    ("--no-up", 64),
    ("", 64),
    (" ", 64),
    ("a..b", 64),
    ("a~1", 64),
    ("a^", 64),
    ("a:b", 64),
    ("a?b", 64),
    ("a*", 64),
    ("[a", 64),
    ("a\\b", 64),
    ("/a", 64),
    ("a/", 64),
    ("a//b", 64),
    (".a", 64),
    ("a/.b", 64),
    ("a.", 64),
    ("a.lock", 64),
    ("@{-1}", 64),
    ("@", 64),
    ("a@{b", 64),
    ("HEAD", 64),
    ("\u{1b}[2J", 64),
    ("\u{7f}", 64),
    ("it's", 0),
    ("say-\"hi\"", 0),
    ("$HOME", 0),
    ("$(touch pwned)", 64),
    ("`id`", 0),
    ("a;b", 0),
    ("a&b|c", 0),
    ("ünï-cödé-😀", 0),
    ("{repo}", 0),
    ("a'b\"c", 0),
    ("%s%n", 0),
    ("main-2", 0),
];

#[test]
fn hostile_names_are_refused_or_are_worktrees_like_any_other() {
    let machine = small();
    let long = "x".repeat(250);
    let (long_part, deep) = (format!("{}/{}", "y".repeat(100), "ü".repeat(70)), "d/".repeat(60) + "d");
    let too_long = "z".repeat(300);
    let of_this_run = [(&*too_long, 1), (&*long, 0), (&*long_part, 0), (&*deep, 0)];
    let before = state(&machine);
    for (name, code) in NAMES.into_iter().chain(of_this_run) {
        let mut command = machine.command("start --no-up");
        let ran = Run::of(command.arg("--").arg(name)).never_says("panicked").exits(code);
        if code != 0 {
            assert_eq!(state(&machine), before, "{name:?}: {}", ran.stderr);
            continue;
        }
        let listed = machine.git(machine.project(), "worktree list --porcelain -z");
        assert!(listed.contains(&format!("branch refs/heads/{name}\0")), "{name:?}: {listed}");
        let registry = machine.read("~/pool/registry.json");
        assert_eq!(registry.matches("\"claimed_gitdir\"").count(), 1, "{name:?}: {registry}");
        run(&machine, machine.project(), &["done", "--", name]).exits(0);
        assert_eq!(state(&machine), before, "{name:?}");
    }
    assert!(!machine.exists("pwned"));
    // The case of letters alone tells two branches where the file system tells their directories.
    for name in ["Fix", "fix"] {
        start(&machine, name).exits(0);
    }
    assert!(machine.exists("~/Fix/.git") && machine.exists("~/fix/.git"));
}

#[test]
fn repositories_of_other_kinds() {
    let machine = small();
    // A bare repository, and one whose references only git itself reads.
    machine.git(machine.home(), &format!("clone --quiet --bare {} bare.git", machine.project().display()));
    machine.git(machine.home(), "init --quiet --ref-format=reftable --initial-branch main table");
    machine.write("~/table/slots.toml", machine.read("slots.toml"));
    machine.write("~/table/templates/conf.txt", "slot {{ slot.id }}\n");
    machine.repository(machine.path("~/table"));
    for dir in ["~/bare.git", "~/table"] {
        let dir = machine.path(dir);
        let spec = machine.path("slots.toml");
        let arguments = ["start", "--no-up", "--spec", spec.to_str().expect("UTF-8"), "of/it"];
        run(&machine, &dir, &arguments).exits(0).says("Claimed slot 1");
        assert!(machine.exists("~/of-it/.git"));
        let arguments = ["done", "--spec", spec.to_str().expect("UTF-8"), "of/it"];
        run(&machine, &dir, &arguments).exits(0).says("Released slot 1");
        assert!(!machine.exists("~/of-it"));
    }
    // Outside of git, and in a workspace of jj, there is nothing to make a worktree of.
    fs::create_dir_all(machine.path("~/space/.jj/repo")).expect("a directory");
    let spec = machine.path("slots.toml");
    let arguments = ["start", "--no-up", "--spec", spec.to_str().expect("UTF-8"), "x"];
    run(&machine, machine.path("~/space"), &arguments)
        .exits(4)
        .says("is in no repository of git")
        .says("`jj workspace add`");
    run(&machine, machine.home(), &arguments).exits(4).says("is in no repository of git");
    // A repository without a commit has no branch to begin at.
    fs::create_dir(machine.path("~/young")).expect("a directory");
    machine.git(machine.path("~/young"), "init --quiet");
    run(&machine, machine.path("~/young"), &arguments).exits(4).says("has no commit yet");
    // Where git fails for another reason, its own words say why.
    machine.write("~/young/.git/config", "[core");
    let failed = run(&machine, machine.path("~/young"), &arguments).exits(1);
    failed.says("bad config").never_says("is in no repository");
}
