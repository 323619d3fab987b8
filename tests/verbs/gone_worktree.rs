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
fn a_worktree_that_lost_its_git_is_not_gone() {
    let fleet = Fleet::new(&["a", "b"]);
    fleet.kinfra("a", "up").exits(0);
    let things = fleet.things(1).len();
    fs::remove_file(fleet.worktree("a").join(".git")).expect("a file");
    fleet.kinfra("project", "slots").exits(0).prints("missing");
    for _ in 0..2 {
        let reaped = fleet.kinfra("project", "reap --auto-approve").exits(0);
        reaped.prints("its directory is there, without its `.git`").never_says("rm -r");
        // Not even where git has forgotten it.
        fleet.machine.git(fleet.machine.project(), "worktree prune --expire now");
    }
    assert!(fleet.worktree("a").join("compose.yaml").exists());
    assert!(things > 0 && fleet.things(1).len() == things);
}

#[test]
fn a_worktree_that_is_made_anew_at_once_has_nothing_of_the_one_before() {
    let fleet = Fleet::new(&["a", "b"]);
    fleet.kinfra("a", "up").exits(0).says("Claimed slot 1");
    assert_eq!(fleet.engine.write("kinfra-fleet-slot-1_data", "of the first").code, Some(0));
    let project = fleet.machine.project();
    let path = fleet.worktree("a").display().to_string();
    fleet.machine.git(&project, &format!("worktree remove --force {path}"));
    fleet.machine.git(&project, &format!("worktree add --quiet {path} a"));
    // Not the slot, which its stack still runs in, and not its data.
    fleet.kinfra("a", "up").exits(0).says("Claimed slot 2");
    let data = |slot: u16| {
        let name = format!("kinfra-fleet-slot-{slot}_data");
        let volumes = fleet.engine.volumes();
        volumes.iter().find(|volume| volume.name() == name).map(|volume| volume.data().len())
    };
    assert_eq!((data(1), data(2)), (Some(1), Some(0)));
    fleet.kinfra("a", "status").exits(0).prints("Slot 2 ");
    // The data of a worktree that is gone for certain goes, and that of the new one stays.
    fleet.kinfra("project", "reap --auto-approve").exits(0).says("Released slot 1");
    assert_eq!((data(1), data(2)), (None, Some(0)));
    assert!(fleet.worktree("a").join(".env.sandbox").exists());
    fleet.kinfra("a", "status").exits(0).prints("Slot 2 ").prints("starting");
}

#[test]
fn what_is_kept_is_not_for_a_clone_that_is_made_anew() {
    let fleet = Fleet::new(&["a"]);
    // Without the repository around them, both are clones of their own.
    let (path, clone) = (fleet.worktree("a"), fleet.worktree("clone"));
    let make = || {
        fleet.machine.git(fleet.machine.project(), &format!("clone --quiet . {}", clone.display()));
        fs::copy(path.join("compose.yaml"), clone.join("compose.yaml")).expect("a copy");
        fleet.kinfra("clone", "apply").exits(0);
    };
    make();
    fleet.kinfra("clone", "up").exits(0).says("Claimed slot 1");
    assert_eq!(fleet.engine.write("kinfra-fleet-slot-1_data", "of the first").code, Some(0));
    fleet.kinfra("clone", "release").exits(0).prints("Kept for its worktree");
    fleet.kinfra("clone", "claim --slot 1").exits(0).says("has the volumes of this worktree's last claim");
    fleet.kinfra("clone", "release").exits(0);
    fs::remove_dir_all(&clone).expect("it is removed");
    make();
    fleet.kinfra("clone", "claim --slot 1").exits(0).says("Cleaned slot 1").never_says("has the volumes");
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
