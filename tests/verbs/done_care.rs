//! What `kinfra done` must not take with the worktree, and how it ends when others are at it, too.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use super::done::{is_held, refuses, with};
use super::start::{instead_of_git, with_script};
use crate::rig::disk;
use crate::support::{Machine, Run, Running};

#[test]
#[ignore = "needs root, to mount"]
fn what_is_mounted_in_the_worktree_stays() {
    for ignore in ["ig/\n", ""] {
        let (machine, path) = with("fix");
        machine.write("~/fix/.gitignore", ignore);
        machine.git(&path, "add .gitignore");
        machine.git(&path, "commit --quiet --message ignore");
        machine.git(machine.project(), "merge --quiet --ff-only fix");
        fs::create_dir_all(path.join("ig")).expect("a directory");
        machine.write("~/ext/file", "precious");
        let done = |arguments: &str| {
            let kinfra = machine.command(arguments);
            let script = "mount --bind \"$0/ext\" \"$0/fix/ig\" && exec \"$@\"";
            let mut kinfra = disk::among_mounts(&kinfra, script, &machine.home());
            Run::of(kinfra.current_dir(machine.project()))
        };
        for arguments in ["done fix", "done --discard fix"] {
            let run = done(arguments).exits(4).never_says("Released");
            run.says("`~/fix/ig` is mounted in `~/fix`").says("help: `umount ~/fix/ig` takes it away");
            assert_eq!(machine.read("~/ext/file"), "precious");
            assert!(path.join("slots.toml").exists() && is_held(&machine));
        }
        machine.kinfra("done fix").exits(0);
    }
}

/// A worktree that ignores a directory.
fn ignoring() -> (Machine, PathBuf) {
    let (machine, path) = with("fix");
    machine.write("~/fix/.gitignore", "ig/\n");
    machine.git(&path, "add .gitignore");
    machine.git(&path, "commit --quiet --message ignore");
    machine.git(machine.project(), "merge --quiet --ff-only fix");
    fs::create_dir(path.join("ig")).expect("a directory");
    (machine, path)
}

fn commit(machine: &Machine, dir: &Path) {
    machine.git(dir, "commit --quiet --allow-empty --message mine");
}

#[track_caller]
fn has_work(machine: &Machine, name: &str) {
    let says = format!("1 ignored repository with changes, or with commits on no remote ({name})");
    refuses(machine, "done fix", &says);
    refuses(machine, "done --discard fix", &says);
}

#[test]
fn commits_in_a_bare_repository_that_git_ignores_are_work() {
    let (machine, path) = ignoring();
    let (bare, clone) = (path.join("ig/new.git"), machine.path("~/clone"));
    machine.git(&path, &format!("init --quiet --bare {}", path.join("ig/empty.git").display()));
    machine.git(&path, &format!("clone --quiet --bare {} {}", machine.project().display(), bare.display()));
    machine.git(&path, &format!("clone --quiet {} {}", bare.display(), clone.display()));
    commit(&machine, &clone);
    machine.git(&clone, "push --quiet origin HEAD:refs/heads/only");
    has_work(&machine, "ig/new.git");
    // What the repository around it has, too, is not lost.
    machine.git(machine.project(), &format!("fetch --quiet {} only:only", bare.display()));
    machine.kinfra("done fix").exits(0);
    assert!(!path.exists());
}

#[test]
fn a_repository_whose_files_are_gone_may_have_commits() {
    let (machine, path) = ignoring();
    let (own, files) = (path.join("ig/own"), machine.path("~/files"));
    let init = format!("init --quiet --separate-git-dir {} {}", own.display(), files.display());
    machine.git(&path, &init);
    commit(&machine, &files);
    machine.git(&files, &format!("config core.worktree {}", files.display()));
    machine.remove("~/files");
    has_work(&machine, "ig/own");
    fs::remove_dir_all(&own).expect("it is removed");
    machine.kinfra("done fix").exits(0);
}

#[test]
fn a_commit_without_a_branch_in_another_repository_is_work() {
    let (machine, path) = ignoring();
    let clone = path.join("ig/lib");
    machine.git(&path, &format!("clone --quiet {} {}", machine.project().display(), clone.display()));
    // What its own settings name is not run.
    let program = machine.path("~/program");
    machine.write("~/program", "#!/bin/sh\ntouch ~/ran\n");
    machine.set_mode("~/program", 0o755);
    machine.git(&clone, "config log.showSignature true");
    machine.git(&clone, "config gpg.format ssh");
    machine.git(&clone, &format!("config gpg.ssh.program {}", program.display()));
    machine.git(&clone, "checkout --quiet --detach");
    commit(&machine, &clone);
    machine.git(&clone, "checkout --quiet main");
    has_work(&machine, "ig/lib");
    machine.git(&clone, "push --quiet origin HEAD@{1}:refs/heads/kept");
    machine.kinfra("done fix").exits(0);
    assert!(!path.exists() && !machine.exists("~/ran"));
}

#[test]
#[cfg(target_os = "linux")]
fn what_cannot_be_printed_was_done() {
    let (machine, path) = with("fix");
    let full = File::options().write(true).open("/dev/full").expect("a full disk");
    let mut done = machine.command("done fix");
    let done = Running::start(done.stdout(full).stderr(Stdio::piped())).ends().exits(74);
    done.says("removed the worktree `~/fix`, but could not print to stdout");
    assert!(!path.exists() && !is_held(&machine));
}

#[test]
fn a_worktree_that_never_was_is_not_gone() {
    let (machine, _) = with("fix");
    refuses(
        &machine,
        "done elsewhere",
        "no worktree has branch `elsewhere`, and `~/elsewhere` holds no slot",
    );
    machine.kinfra("done elsewhere").never_says("prune").says("help: `kinfra worktrees` lists them");
}

#[test]
fn of_two_that_remove_a_worktree_one_is_told_to_wait() {
    let (machine, path) = with("fix");
    let marked = machine.path("~/second");
    // In the middle of the first, a second one is asked, from outside and from within.
    let second = |dir: &str| {
        format!(
            "(cd {dir} && PATH=${{PATH#*:}} {kinfra} done fix; echo code $?) >>{marked} 2>&1",
            kinfra = env!("CARGO_BIN_EXE_kinfra"),
            marked = marked.display()
        )
    };
    let script = format!(
        "case \"$*\" in *'worktree remove'*) {}; {}; rm ~/fix/.git; {};; esac",
        second(&machine.project().display().to_string()),
        second("~/fix"),
        second("~/fix")
    );
    // Git looks whether it is a worktree before it removes the first file of it.
    let script = script
        .replace("rm ~/fix/.git;", "mv ~/fix/.git ~/dot;")
        .replace(";; esac", "; mv ~/dot ~/fix/.git;; esac");
    instead_of_git(&machine, &script);
    let done = with_script(&machine, "done fix").exits(0);
    let said = machine.read("~/second");
    assert_eq!(said.matches("code 6").count(), 3, "{said}{done:#?}");
    assert_eq!(said.matches("another `kinfra done` removes the worktree `~/fix`").count(), 3, "{said}");
    assert!(!path.exists() && !is_held(&machine));
}

#[test]
fn work_that_is_kept_twice_comes_back_as_two_branches() {
    let (machine, path) = with("fix");
    for (text, branch) in [("one\n", "fix-kept"), ("two\n", "fix-kept-2")] {
        machine.kinfra("start --no-up fix").exits(0);
        machine.write("~/fix/file", text);
        let done = machine.kinfra("done fix --discard").exits(0);
        let (_, command) = done.stderr.split_once("help: `git ").expect("a command");
        machine.git(machine.project(), command.split_once('`').expect("its end").0);
        assert_eq!(machine.git(machine.project(), &format!("show {branch}:file")), text);
    }
    assert!(!path.exists());
}
