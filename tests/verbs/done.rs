//! `kinfra done`: the worktree goes with all that its slot has, and no work is lost.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use super::start::{instead_of_git, run, small, state, with_script};
use crate::rig::fleet::{Fleet, Slot};
use crate::rig::scripted::{Fault, When};
use crate::support::{Machine, Run, Running};

/// [`small`], with a worktree that holds slot 1.
pub(super) fn with(name: &str) -> (Machine, PathBuf) {
    let machine = small();
    machine.kinfra(&format!("start --no-up {name}")).exits(0);
    let path = machine.path(&format!("~/{name}")).canonicalize().expect("a worktree");
    (machine, path)
}

pub(super) fn is_held(machine: &Machine) -> bool {
    machine.read("~/pool/registry.json").contains("\"claim_id\"")
}

/// `done` refuses because of this, and changes nothing.
#[track_caller]
pub(super) fn refuses(machine: &Machine, arguments: &str, why: &str) {
    let worktrees = || machine.git(machine.project(), "worktree list --porcelain");
    let before = (worktrees(), machine.git(machine.project(), "for-each-ref"), is_held(machine));
    let run = machine.kinfra(arguments).exits(4).never_says("panicked").says(why);
    assert!(run.stderr.contains("help: "), "no advice in {run:#?}");
    assert_eq!((worktrees(), machine.git(machine.project(), "for-each-ref"), is_held(machine)), before);
}

#[test]
fn work_that_is_nowhere_else_is_named_and_stays() {
    let (machine, path) = with("fix");
    machine.write("~/fix/.gitignore", "*.log\n");
    machine.git(&path, "add .gitignore");
    refuses(&machine, "done fix", "1 file with changes that are not committed (.gitignore)");
    machine.git(&path, "commit --quiet --message ignore");
    refuses(&machine, "done fix", "1 commit on no remote and not merged");
    // What is pushed is elsewhere, and what is merged, too.
    machine.git(machine.home(), &format!("clone --quiet --bare {} one.git", machine.project().display()));
    machine.git(&path, &format!("remote add one {}", machine.path("~/one.git").display()));
    machine.git(&path, "push --quiet one fix");
    machine.write("~/fix/debug.log", "ignored\n");
    for (file, text) in [("slots.toml", "mine"), ("new/file", "x"), ("other", "x")] {
        machine.write(&format!("~/fix/{file}"), text);
    }
    refuses(
        &machine,
        "done fix",
        "1 file with changes that are not committed (slots.toml); 2 files that git does not know (new/file, other)",
    );
    machine.git(&path, "checkout --quiet slots.toml");
    for file in ["~/fix/new", "~/fix/other"] {
        machine.remove(file);
    }
    machine.kinfra("done fix").exits(0).prints("Branch fix stays: it is not merged");
    assert!(!path.exists() && !is_held(&machine));
    machine.git(machine.project(), "rev-parse --verify --quiet fix");

    machine.kinfra("start --no-up fix").exits(0);
    machine.git(machine.project(), "merge --quiet --ff-only fix");
    machine.kinfra("done fix").exits(0).prints("Removed branch fix, which is merged");
    assert_eq!(machine.git(machine.project(), "branch --list fix"), "");
}

#[test]
fn what_git_is_in_the_middle_of_and_a_commit_without_a_branch_are_work() {
    let (machine, path) = with("fix");
    machine.git(&path, "checkout --quiet --detach");
    machine.git(&path, "commit --quiet --allow-empty --message lost");
    let done = format!("done {}", path.display());
    refuses(&machine, &done, "1 commit on no remote and not merged");
    machine.git(&path, "branch --force fix HEAD");
    machine.git(&path, "checkout --quiet fix");
    machine.git(machine.project(), "commit --quiet --allow-empty --message other");
    // A rebase that stops in the middle: git names no branch of the worktree then.
    let own = machine.git(&path, "rev-parse --absolute-git-dir");
    for (file, what) in [
        ("rebase-merge", "a rebase in progress"),
        ("MERGE_HEAD", "a merge in progress"),
        ("BISECT_LOG", "a bisect in progress"),
        ("sequencer", "a series of cherry-picks or reverts in progress"),
    ] {
        let file = PathBuf::from(own.trim_end()).join(file);
        machine.git(machine.project(), "merge --quiet --no-edit fix");
        fs::write(&file, machine.git(&path, "rev-parse HEAD")).expect("a written file");
        refuses(&machine, "done fix", what);
        fs::remove_file(&file).expect("it is removed");
    }
    machine.kinfra("done fix").exits(0);
}

#[test]
fn the_main_worktree_and_one_that_is_locked_stay() {
    let (machine, path) = with("fix");
    refuses(&machine, "done", "is the main worktree: its repository is in it");
    refuses(&machine, "done main", "is the main worktree");
    machine.git(machine.project(), &format!("worktree lock --reason usb {}", path.display()));
    refuses(&machine, "done --discard fix", "is locked: usb");
    machine.kinfra("done fix").exits(4).says("help: `git worktree unlock ~/fix` unlocks it");
    machine.git(machine.project(), &format!("worktree unlock {}", path.display()));
    refuses(&machine, "done other", "no worktree has branch `other`, and `~/other` holds no slot");
    machine.kinfra("done --discard -- -x").exits(64);
    machine.kinfra("done fix").exits(0);
}

#[test]
fn the_worktree_of_another_branch_is_not_meant() {
    let (machine, path) = with("a-b");
    refuses(&machine, "done a/b", "no worktree has branch `a/b`: `~/a-b` has branch `a-b`");
    // In the middle of a rebase it has none.
    machine.git(&path, "checkout --quiet --detach");
    refuses(&machine, "done a-b", "no worktree has branch `a-b`: `~/a-b` has none");
    machine.git(&path, "checkout --quiet a-b");
    machine.git(
        machine.project(),
        &format!("worktree add --quiet --force {} a-b", machine.path("~/two").display()),
    );
    refuses(&machine, "done a-b", "branch `a-b` is in `");
    machine.kinfra(&format!("done {}", path.display())).exits(0);
    assert!(machine.exists("~/two/slots.toml"));
}

#[test]
fn what_only_the_main_worktree_looks_at_is_not_merged() {
    let (machine, path) = with("fix");
    machine.git(&path, "commit --quiet --allow-empty --message mine");
    machine.git(machine.project(), "checkout --quiet --detach fix");
    refuses(&machine, "done fix", "1 commit on no remote and not merged");
}

#[test]
fn what_git_does_not_look_at_may_be_work() {
    for flag in ["--assume-unchanged", "--skip-worktree"] {
        let (machine, path) = with("fix");
        machine.git(&path, &format!("update-index {flag} slots.toml"));
        for arguments in ["done fix", "done --discard fix"] {
            refuses(&machine, arguments, "1 file that git was told not to look at (slots.toml)");
        }
        machine.remove("~/fix/slots.toml");
        machine.kinfra("done fix").exits(0);
    }
}

#[test]
fn a_directory_with_another_worktree_in_it_or_of_another_repository_stays() {
    let (machine, path) = with("fix");
    let inner = path.join("inner");
    machine.git(machine.project(), &format!("worktree add --quiet -b inner {}", inner.display()));
    refuses(&machine, "done --discard fix", "` is inside `~/fix`");
    machine.kinfra("done inner").exits(0);
    fs::remove_file(path.join(".git")).expect("it is removed");
    refuses(&machine, "done --discard fix", "is no worktree of this repository any more");
    machine.git(&path, "init --quiet");
    refuses(&machine, "done --discard fix", "is no worktree of this repository any more");
}

#[test]
fn a_run_of_an_owner_that_goes_on_keeps_its_worktree() {
    let (machine, path) = with("fix");
    let script = "kinfra done fix; echo code $?";
    let mut command = machine.command("run --owner a --no-up -- sh -c");
    let run = Run::of(command.arg(script).current_dir(&path)).exits(0);
    run.prints("code 4").says("slot 2 is held by owner a in `~/fix`: a run may go on there");
    // The owner is one in the directory of its run: a worktree that is made there has a claim of its own.
    machine.kinfra("done fix").exits(0);
    let run = machine.kinfra("run --owner a --no-up -- kinfra start --no-up other").exits(0);
    run.says("Claimed slot 2");
    machine.kinfra("done other").exits(0).says("Released slot 2");
}

#[test]
fn a_run_that_goes_on_keeps_its_worktree_and_its_slot() {
    let (machine, path) = with("fix");
    Run::of(machine.command("release").current_dir(&path)).exits(0);
    let script = "kinfra status >&2; kinfra done fix; echo code $?; cd ~ && kinfra done fix; echo code $?";
    let script = script.replace("cd ~", &format!("cd {}", machine.project().display()));
    let mut command = machine.command("run --no-up -- sh -c");
    let run = Run::of(command.arg(script).current_dir(&path)).exits(0);
    run.prints_exactly("code 4\ncode 4\n")
        .says("is held by a run in `~/fix`, which may go on")
        .says("Released slot")
        .never_says("was released while");
    machine.kinfra("done fix").exits(0);
}

#[test]
fn what_is_in_other_repositories_cannot_be_kept() {
    let (machine, path) = with("fix");
    fs::create_dir(path.join("lib")).expect("a directory");
    machine.repository(path.join("lib"));
    refuses(&machine, "done --discard fix", "1 repository that git does not know (lib)");
    machine.remove("~/fix/lib");
    // A submodule's commits are lost with the worktree.
    let (lib, project) = (machine.path("~/lib"), machine.project());
    fs::create_dir(&lib).expect("a directory");
    machine.repository(&lib);
    let add = format!("-c protocol.file.allow=always submodule --quiet add {} sub", lib.display());
    machine.git(&path, &add);
    machine.git(&path, "commit --quiet --message sub");
    machine.git(&project, "merge --quiet --ff-only fix");
    machine.git(path.join("sub"), "commit --quiet --allow-empty --message mine");
    machine.git(&path, "commit --quiet --all --message moved");
    machine.git(&project, "merge --quiet --ff-only fix");
    refuses(&machine, "done --discard fix", "1 submodule with changes or commits of their own (sub)");
    machine.git(path.join("sub"), "push --quiet origin HEAD:refs/heads/pushed");
    machine.write("~/fix/sub/new", "x");
    refuses(&machine, "done --discard fix", "1 submodule with changes");
    machine.remove("~/fix/sub/new");
    machine.kinfra("done fix").exits(0);
    assert!(!path.exists());
}

#[test]
fn discarded_work_is_kept_to_the_last_byte() {
    let (machine, path) = with("fix");
    machine.write("~/fix/committed", "one\n");
    machine.git(&path, "add committed");
    machine.git(&path, "commit --quiet --message committed");
    let tip = machine.git(&path, "rev-parse HEAD");
    machine.write("~/fix/staged", "staged\n");
    machine.git(&path, "add staged");
    machine.write("~/fix/staged", "and changed\n");
    machine.write("~/fix/ünï \"x\"/new", vec![0, 159, 146, 150]);
    machine.set_mode("~/fix/committed", 0o755);
    machine.remove("~/fix/slots.toml");
    let index = machine.git(&path, "ls-files --stage");
    // What does not go further than keeping leaves the index as it is.
    machine.git(machine.project(), &format!("worktree lock {}", path.display()));
    machine.kinfra("done fix --discard").exits(4);
    machine.git(machine.project(), &format!("worktree unlock {}", path.display()));
    assert_eq!(machine.git(&path, "ls-files --stage"), index);

    let run =
        machine.kinfra("done fix --discard").exits(0).says("Kept its work as refs/kinfra/discarded/fix/2");
    assert!(!path.exists() && !is_held(&machine));
    let (_, command) = run.stderr.split_once("help: `").expect("a command");
    let command = command.split_once('`').expect("its end").0.strip_prefix("git ").expect("git");
    machine.git(machine.project(), command);
    machine.git(
        machine.project(),
        &format!("worktree add --quiet {} fix-kept", machine.path("~/back").display()),
    );
    assert_eq!(fs::read(machine.path("~/back/ünï \"x\"/new")).expect("a file"), [0, 159, 146, 150]);
    assert_eq!(
        (machine.read("~/back/staged").as_str(), machine.mode("~/back/committed") & 0o100),
        ("and changed\n", 0o100)
    );
    assert!(!machine.exists("~/back/slots.toml") && !machine.exists("~/back/.env.sandbox"));
    let parents = machine.git(machine.project(), "log -1 --format=%P fix-kept");
    let (head, staged) = parents.trim_end().split_once(' ').expect("two parents");
    assert_eq!(head, tip.trim_end());
    assert_eq!(machine.git(machine.project(), &format!("show {staged}:staged")), "staged\n");
    // The branch has a commit of its own, so it stays.
    assert_eq!(machine.git(machine.project(), "rev-parse fix"), tip);
}

#[test]
fn a_worktree_that_is_gone_gives_its_slot_back() {
    let (machine, path) = with("fix");
    fs::remove_dir_all(&path).expect("it is removed");
    machine.kinfra("done fix").exits(0).says("Released slot 1");
    refuses(&machine, "done fix", "is gone, and holds no slot");
    machine.git(machine.project(), "worktree prune");
    machine.kinfra("start --no-up fix").exits(0).says("Claimed slot 1");
    // Git may have forgotten it, too.
    machine.git(machine.project(), &format!("worktree remove --force {}", path.display()));
    machine.kinfra("done fix").exits(0).says("Released slot 1");
    assert!(!is_held(&machine));
}

#[test]
fn from_inside_the_worktree_the_shell_s_directory_is_gone() {
    let (machine, path) = with("fix");
    fs::create_dir(path.join("deep")).expect("a directory");
    let done = run(&machine, path.join("deep"), &["done"]).exits(0);
    done.says(&format!("Next: `cd {}`, because this directory is gone", machine.project().display()));
    assert!(!path.exists() && !is_held(&machine));
}

#[test]
fn files_that_git_cannot_remove_are_named_with_the_command_that_mends_it() {
    let (machine, _) = with("fix");
    instead_of_git(
        &machine,
        "case \"$*\" in *'worktree remove'*) $git \"$@\"; for last; do :; done; mkdir -p \"$last/data\"; \
         touch \"$last/data/db\"; echo \"error: failed to delete\" >&2; exit 1;; esac",
    );
    let done = with_script(&machine, "done fix").exits(1);
    done.says("cannot be removed: data/db").says("help: `sudo rm -rf ~/fix` removes them");
    assert!(!is_held(&machine));
    assert_eq!(machine.git(machine.project(), "worktree list").lines().count(), 1);
    // A removal that git refuses leaves all of it.
    machine.kinfra("start --no-up again").exits(0);
    instead_of_git(&machine, "case \"$*\" in *'worktree remove'*) echo busy >&2; exit 1;; esac");
    with_script(&machine, "done again").exits(1).says("`git worktree remove` failed in ").says("busy");
    assert!(machine.exists("~/again/slots.toml"));
    machine.kinfra("done again").exits(0);
}

#[test]
fn the_worktree_stays_until_its_slot_is_clean() {
    let fleet = Fleet::new(&[]);
    let path = fleet.machine.project().with_file_name("project-fix");
    fleet.kinfra("project", "start fix").exits(0);
    fleet.engine.fails(Fault::Gone, &When::Always);
    fleet.kinfra("project", "done fix").exits(9).says("slot 1 is free, but not clean yet");
    assert!(path.is_dir() && matches!(fleet.slots()[&1], Slot::Left(_)));
    fleet.engine.mend();
    fleet.kinfra("project", "done fix").exits(0).says("Cleaned slot 1");
    assert!(!path.exists() && fleet.made_nothing());
    // Data that a release kept for the worktree goes with it, too.
    fleet.kinfra("project", "start fix").exits(0);
    Run::of(fleet.command("project", "release").current_dir(&path)).exits(0);
    assert!(!fleet.made_nothing());
    fleet.kinfra("project", "done fix").exits(0);
    assert!(!path.exists() && fleet.made_nothing());
}

#[test]
fn a_file_that_the_claim_copied_is_no_work_until_it_is_changed() {
    let machine = Machine::new();
    let tables = "[worktree]\npath = \"~/{branch}\"\ncopy = [\"local.env\"]\n";
    machine.spec(&(crate::support::SHOP.to_owned() + tables));
    machine.write("compose.yaml", "services: {}\n");
    machine.repository(machine.project());
    machine.write("local.env", "SECRET=1\n");
    machine.kinfra("apply").exits(0);
    machine.kinfra("start --no-up fix").exits(0).says("Copied local.env");
    machine.write("~/fix/local.env", "SECRET=2\n");
    refuses(&machine, "done fix", "1 file that git does not know (local.env)");
    machine.write("~/fix/local.env", "SECRET=1\n");
    machine.kinfra("done fix").exits(0).never_says("Kept");
    assert!(!machine.exists("~/fix"));
}

#[test]
fn a_directory_that_git_cannot_list_may_have_work() {
    let (machine, _) = with("fix");
    let warning = "warning: could not open directory 'data/': Permission denied";
    instead_of_git(&machine, &format!("case \"$*\" in status*) echo \"{warning}\" >&2;; esac"));
    for arguments in ["done fix", "done --discard fix"] {
        let run = with_script(&machine, arguments).exits(4).says("1 directory that git cannot list (data)");
        run.says("help: make it readable, or move it away");
    }
    assert!(machine.exists("~/fix/slots.toml") && is_held(&machine));
}

/// Adds a repository to another one as a submodule, and commits it.
fn add_submodule(machine: &Machine, to: &Path, from: &Path, name: &str) {
    let add = format!("-c protocol.file.allow=always submodule --quiet add {} {name}", from.display());
    machine.git(to, &add);
    machine.git(to, "commit --quiet --message sub");
}

#[test]
fn commits_in_a_submodule_that_is_not_checked_out_are_work() {
    let (machine, path) = with("fix");
    let (outer, inner) = (machine.path("~/outer"), machine.path("~/inner"));
    for dir in [&inner, &outer] {
        fs::create_dir(dir).expect("a directory");
        machine.repository(dir);
    }
    add_submodule(&machine, &outer, &inner, "in/ner");
    add_submodule(&machine, &path, &outer, "lib");
    machine.git(&path, "-c protocol.file.allow=always submodule --quiet update --init --recursive");
    machine.git(machine.project(), "merge --quiet --ff-only fix");
    for (dir, says) in
        [("lib/in/ner", "1 submodule with changes or commits of their own (lib/in/ner)"), ("lib", "(lib)")]
    {
        let tip = machine.git(path.join(dir), "rev-parse HEAD");
        machine.git(path.join(dir), "checkout --quiet -b mine");
        machine.git(path.join(dir), "commit --quiet --allow-empty --message mine");
        machine.git(path.join(dir), &format!("checkout --quiet --detach {tip}"));
        machine.git(&path, "submodule --quiet deinit --force lib");
        refuses(&machine, "done --discard fix", says);
        machine.git(&path, "-c protocol.file.allow=always submodule --quiet update --init --recursive");
        machine.git(path.join(dir), "branch --quiet -D mine");
    }
    machine.git(&path, "submodule --quiet deinit --force lib");
    machine.kinfra("done fix").exits(0);
    assert!(!path.exists());
}

/// The worktree of branch `fix`, which ignores a directory and has nothing else to lose.
fn that_ignores_vendor() -> (Machine, PathBuf) {
    let (machine, path) = with("fix");
    machine.write("~/fix/.gitignore", "vendor/\n");
    machine.git(&path, "add .gitignore");
    machine.git(&path, "commit --quiet --message ignore");
    machine.git(machine.project(), "merge --quiet --ff-only fix");
    (machine, path)
}

#[test]
fn commits_in_a_repository_that_git_ignores_are_work() {
    let (machine, path) = that_ignores_vendor();
    let (lib, clone) = (machine.path("~/lib"), path.join("vendor/deep/lib"));
    fs::create_dir(&lib).expect("a directory");
    machine.repository(&lib);
    fs::create_dir_all(clone.parent().expect("a parent")).expect("a directory");
    machine.git(&path, &format!("clone --quiet {} {}", lib.display(), clone.display()));
    machine.git(&clone, "commit --quiet --allow-empty --message mine");
    refuses(
        &machine,
        "done --discard fix",
        "1 ignored repository with changes, or with commits on no remote (vendor/deep/lib)",
    );
    machine.git(&clone, "push --quiet origin HEAD:refs/heads/pushed");
    machine.kinfra("done fix").exits(0);
    assert!(!path.exists());
}

#[test]
fn files_in_a_repository_that_git_ignores_are_work_and_run_nothing() {
    let (machine, path) = that_ignores_vendor();
    let (lib, clone) = (machine.path("~/lib"), path.join("vendor/lib"));
    fs::create_dir(&lib).expect("a directory");
    machine.write("~/lib/file", "one\n");
    machine.repository(&lib);
    fs::create_dir_all(clone.parent().expect("a parent")).expect("a directory");
    machine.git(&path, &format!("clone --quiet {} {}", lib.display(), clone.display()));
    // What its own settings name is not run.
    let program = machine.path("~/program");
    machine.write("~/program", "#!/bin/sh\ntouch ~/ran\ncat\n");
    machine.set_mode("~/program", 0o755);
    for setting in ["core.fsmonitor", "filter.mine.clean", "filter.mine.smudge"] {
        machine.git(&clone, &format!("config {setting} {}", program.display()));
    }
    machine.write("~/fix/vendor/lib/.git/info/attributes", "* filter=mine\n");
    machine.write("~/fix/vendor/lib/.git/info/exclude", "ignored\n");
    machine.write("~/fix/vendor/lib/ignored", "x");
    let refuses = |says: &str| {
        refuses(&machine, "done fix", says);
        refuses(&machine, "done --discard fix", says);
        assert!(!machine.exists("~/ran"), "it ran a program");
    };
    let says = "1 ignored repository with changes, or with commits on no remote (vendor/lib)";
    machine.write("~/fix/vendor/lib/file", "two\n");
    refuses(says);
    machine.write("~/fix/vendor/lib/file", "one\n");
    machine.write("~/fix/vendor/lib/new", "x");
    refuses(says);
    machine.remove("~/fix/vendor/lib/new");
    machine.remove("~/fix/vendor/lib/file");
    refuses(says);
    machine.write("~/fix/vendor/lib/file", "one\n");
    machine.kinfra("done fix").exits(0);
    assert!(!path.exists() && !machine.exists("~/ran"));
}

#[test]
fn what_cannot_be_discarded_is_told_without_what_can() {
    let (machine, path) = with("fix");
    machine.write("~/fix/slots.toml", "mine");
    fs::create_dir(path.join("lib")).expect("a directory");
    machine.repository(path.join("lib"));
    let run = machine.kinfra("done --discard fix").exits(4);
    run.says("has work that --discard cannot keep: 1 repository that git does not know (lib)\n")
        .never_says("slots.toml");
    assert!(path.exists() && is_held(&machine));
}

/// The commit that `done --discard` kept, from what it said.
fn discarded(machine: &Machine, run: &Run) -> String {
    let (_, reference) = run.stderr.split_once("Kept its work as ").expect("it is kept");
    let reference = reference.lines().next().expect("a reference");
    machine.git(machine.project(), &format!("rev-parse {reference}")).trim_end().to_owned()
}

#[test]
fn commits_that_only_the_worktree_s_own_references_have_are_work() {
    for reference in [None, Some("refs/worktree/mine")] {
        let (machine, path) = with("fix");
        machine.git(&path, "checkout --quiet --detach");
        machine.git(&path, "commit --quiet --allow-empty --message first");
        machine.git(&path, "commit --quiet --allow-empty --amend --message lost");
        let lost = machine.git(&path, "rev-parse HEAD").trim_end().to_owned();
        if let Some(reference) = reference {
            machine.git(&path, &format!("update-ref {reference} {lost}"));
            machine.git(&path, "reflog expire --expire=now --all");
        }
        machine.git(&path, "checkout --quiet fix");
        refuses(&machine, "done fix", "nowhere else: 1 commit that no branch has any more");
        let run = machine.kinfra("done --discard fix").exits(0);
        let kept = discarded(&machine, &run);
        machine.git(machine.project(), &format!("merge-base --is-ancestor {lost} {kept}"));
    }
    // What a branch had, and what was amended or rewritten, is that branch's own.
    let (machine, path) = with("fix");
    machine.git(&path, "commit --quiet --allow-empty --message one");
    machine.git(&path, "commit --quiet --allow-empty --amend --message two");
    machine.git(&path, "reset --quiet --hard HEAD~1");
    machine.kinfra("done fix").exits(0).prints("Removed branch fix");
    let (machine, path) = with("fix");
    machine.git(
        &path,
        &format!("update-ref refs/worktree/file {}", machine.git(&path, "rev-parse HEAD:slots.toml")),
    );
    refuses(&machine, "done --discard fix", "cannot see whether `refs/worktree/file blob ");
}

#[test]
fn what_is_staged_beside_a_conflict_is_kept() {
    let (machine, path) = with("fix");
    machine.git(machine.project(), "branch other");
    for (branch, text) in [("other", "theirs\n"), ("fix", "ours\n")] {
        machine.git(&path, &format!("checkout --quiet {branch}"));
        machine.write("~/fix/both", text);
        machine.git(&path, "add both");
        machine.git(&path, &format!("commit --quiet --message {branch}"));
    }
    machine.write("~/fix/staged", "staged\n");
    machine.git(&path, "add staged");
    // A patch in conflict leaves nothing in progress, and what was staged.
    machine.write("~/theirs.patch", machine.git(&path, "format-patch --stdout -1 other"));
    machine.write("~/apply", format!("cd {} && git apply --3way ~/theirs.patch; exit 0", path.display()));
    Run::of(machine.program("sh").arg(machine.path("~/apply"))).exits(0);
    assert!(machine.git(&path, "status --porcelain").contains("AA both"));
    machine.write("~/fix/staged", "and changed\n");
    let run = machine.kinfra("done --discard fix").exits(0);
    let kept = discarded(&machine, &run);
    let parents = machine.git(machine.project(), &format!("log -1 --format=%P {kept}"));
    let staged = parents.split_whitespace().nth(1).expect("what was staged");
    assert_eq!(machine.git(machine.project(), &format!("show {staged}:staged")), "staged\n");
    assert!(machine.git(machine.project(), &format!("show {kept}:both")).contains("<<<<<<<"));
}

/// Kills kinfra and the git that it has called.
const KILL: &str = "kill -9 $PPID $$";

#[test]
fn a_start_that_was_killed_before_git_began_is_ended() {
    let machine = small();
    fs::create_dir(machine.path("~/bin")).expect("a directory");
    instead_of_git(&machine, &format!("case \"$*\" in *'worktree add'*) {KILL};; esac"));
    let before = state(&machine);
    machine.write("~/taken/file", "x");
    for (name, place) in [("new", "~/new"), ("taken", "~/taken-2")] {
        let path = machine.path(place);
        for arguments in [format!("done {name}"), format!("done {}", path.display())] {
            assert_eq!(with_script(&machine, &format!("start --no-up {name}")).code, None);
            assert!(path.is_dir() && is_held(&machine));
            machine.kinfra(&arguments).exits(0).says("Released slot 1");
            assert!(!path.exists() && !is_held(&machine), "{arguments}");
        }
    }
    machine.remove("~/taken");
    assert_eq!(state(&machine), before);
    refuses(&machine, "done new", "no worktree has branch `new`, and `~/new` holds no slot");
}

#[test]
fn a_start_that_goes_on_is_not_ended() {
    let machine = small();
    for name in ["one", "two"] {
        machine.kinfra(&format!("start --no-up {name}")).exits(0);
    }
    let mut waiting = Running::piped(&mut machine.command("start --no-up --wait three"));
    let mut said = String::new();
    BufReader::new(waiting.stderr.take().expect("stderr")).read_line(&mut said).expect("a line");
    machine.kinfra("done three").exits(6).says("another `kinfra start` makes the worktree `");
    machine.kinfra("done one").exits(0);
    waiting.ends().exits(0);
    machine.kinfra("done three").exits(0);
}

#[test]
fn a_removal_that_was_killed_is_continued() {
    let parts = [
        KILL.to_owned(),
        format!("rm -r ~/fix/slots.toml ~/fix/templates; {KILL}"),
        format!("rm -r ~/fix/slots.toml ~/fix/.git; {KILL}"),
        format!("rm -r ~/fix; {KILL}"),
        format!("$git \"$@\"; {KILL}"),
    ];
    for part in parts {
        let (machine, path) = with("fix");
        instead_of_git(&machine, &format!("case \"$*\" in *'worktree remove'*) {part};; esac"));
        let killed = with_script(&machine, "done fix");
        assert_eq!((killed.code, is_held(&machine)), (None, false), "{part}: {killed:#?}");
        if machine.git(machine.project(), "worktree list").contains("[fix]") {
            let start = machine.kinfra("start --no-up fix").exits(4);
            start.says("`kinfra done` was stopped while it removed `~/fix`").says("help: `kinfra done fix`");
        }
        machine.kinfra("done fix").exits(0).never_says("panicked");
        assert!(!path.exists(), "{part}");
        assert_eq!(machine.git(machine.project(), "worktree list").lines().count(), 1, "{part}");
        assert_eq!(machine.git(machine.project(), "branch --list fix"), "", "{part}");
        refuses(&machine, "done fix", "no worktree has branch `fix`, and `~/fix` holds no slot");
    }
}

#[test]
fn work_that_came_after_a_removal_was_killed_stays() {
    let (machine, path) = with("fix");
    instead_of_git(&machine, &format!("case \"$*\" in *'worktree remove'*) {KILL};; esac"));
    with_script(&machine, "done fix");
    machine.write("~/fix/new", "mine");
    machine.write("~/fix/slots.toml", "mine");
    refuses(&machine, "done fix", "(slots.toml); 1 file that git does not know (new)");
    machine.remove("~/fix/new");
    machine.git(&path, "checkout --quiet slots.toml");
    machine.kinfra("done fix").exits(0);
}
