//! A worktree that is removed while its stack runs: Docker makes the directories of its bind mounts anew.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::thread;
use std::time::Duration;

use crate::rig::fleet::Fleet;
use crate::rig::scripted::{Fault, When};
use crate::support::Run;

/// Worktree `a` was removed while its stack ran, and is there again with what Docker made in it.
fn remade(data: &str) -> Fleet {
    let fleet = Fleet::new(&["a", "b"]);
    fleet.kinfra("a", "up").exits(0);
    let remove = format!("worktree remove --force {}", fleet.worktree("a").display());
    fleet.machine.git(fleet.machine.project(), &remove);
    fs::create_dir_all(fleet.worktree("a").join(data)).expect("a directory");
    fleet
}

#[test]
fn an_empty_directory_that_docker_made_anew_goes_with_the_stack() {
    let fleet = remade("data/cache");
    fleet.kinfra("project", "slots").exits(0).prints("orphaned");
    let reaped = fleet.kinfra("project", "reap --auto-approve").exits(0);
    reaped.says("Cleaned slot 1").says("/a, which Docker had made anew for a container\n");
    assert!(!fleet.worktree("a").exists());
    assert!(fleet.engine.containers().is_empty() && fleet.engine.volumes().is_empty());
    fleet.check().expect("a clean slot");
}

#[test]
fn a_directory_with_a_file_in_it_stays_and_is_named() {
    let fleet = remade("data");
    let file = fleet.worktree("a").join("data/log");
    fs::write(&file, "1").expect("a file");
    let reaped = fleet.kinfra("project", "reap --auto-approve").exits(0).says("Left ");
    reaped.says("/a/data/log` is in it; `sudo rm -r ");
    assert!(file.exists() && fleet.engine.containers().is_empty());
}

#[test]
fn a_directory_stays_while_its_stack_is_not_clean() {
    let fleet = remade("data");
    fleet.engine.fails(Fault::Fail, &When::Matches("container rm"));
    fleet.kinfra("project", "reap --auto-approve").exits(1).says("slot 1 is free, but not clean yet");
    assert!(fleet.worktree("a").join("data").is_dir());
}

#[test]
#[ignore = "needs root, to give a file to another user"]
fn files_of_another_user_in_a_worktree_are_named_with_what_mends_them() {
    let fleet = Fleet::new(&["a"]);
    fleet.kinfra("a", "up").exits(0);
    let file = fleet.worktree("a").join("worktree");
    // A mount that is only read does not count.
    chown(&file, Some(4242), None).expect("root");
    let doctor = fleet.kinfra("a", "doctor").stdout;
    assert!(doctor.contains("registry") && !doctor.contains("another user"), "{doctor}");
    let compose = fs::read_to_string(fleet.worktree("a").join("compose.yaml")).expect("a file");
    fs::write(fleet.worktree("a").join("compose.yaml"), compose.replace("/worktree:ro", "/worktree"))
        .expect("a file");
    fleet.kinfra("a", "up").exits(0);
    fleet
        .kinfra("a", "doctor")
        .prints("containers wrote files of another user into `")
        .prints("/a`: worktree\n")
        .prints(&format!(
            "`sudo chown -R --reference={} ~/a` makes them yours",
            fleet.worktree("a").display()
        ));
    // The end of a claim is the last time to say so. Cleaning forgets what containers could write to.
    let named = |run: Run| {
        run.says("note: containers wrote files of another user into `")
            .says("/a`: worktree\nhelp: `sudo chown -R --reference=")
    };
    named(fleet.kinfra("a", "release").exits(0));
    fleet.kinfra("a", "claim --lease 1s").exits(0);
    fleet.kinfra("a", "up").exits(0);
    thread::sleep(Duration::from_millis(1100));
    named(fleet.kinfra("project", "reap --auto-approve").exits(0));
    // Of one whose containers wrote nothing, nothing is said.
    chown(&file, Some(fs::metadata(fleet.worktree("a")).expect("a worktree").uid()), None).expect("root");
    fleet.kinfra("a", "up").exits(0);
    fleet.kinfra("a", "release").exits(0).never_says("another user");
}
