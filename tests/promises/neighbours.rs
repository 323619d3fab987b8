//! Pools that begin at the same moment, that are away, and that do not answer.

use std::fs;
use std::fs::File;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use crate::support::{Machine, Run, Running, SMALL};

/// The directory of the index.
const INDEX: &str = "~/.local/state/kinfra/pools";

/// The root that does not answer, for kinfra as it is built for tests.
const HUNG: &str = "KINFRA_TEST_HUNG_ROOT";

/// A project of this name in `~/NAME`, with a pool in this root and a port from this base on.
fn project(machine: &Machine, name: &str, root: &str, base: u16) {
    let spec = SMALL.replace("small", name).replace("~/pool", root).replace("8000", &base.to_string());
    machine.write(&format!("~/{name}/slots.toml"), spec);
    machine.write(&format!("~/{name}/templates/conf.txt"), "{{ ports.web }}\n");
    fs::create_dir_all(machine.path(&format!("~/{name}/.git/objects"))).expect("a repository");
}

fn command(machine: &Machine, name: &str, arguments: &str) -> Command {
    let mut command = machine.command(arguments);
    command.current_dir(machine.path(&format!("~/{name}")));
    command
}

fn kinfra(machine: &Machine, name: &str, arguments: &str) -> Run {
    Run::of(&mut command(machine, name, arguments))
}

/// The entry of the pool of this name in the index, and its text.
fn entry(machine: &Machine, name: &str) -> (PathBuf, String) {
    let files = fs::read_dir(machine.path(INDEX)).expect("an index").map(|file| file.expect("a file").path());
    let mut entries = files.map(|file| (file.clone(), fs::read_to_string(&file).expect("text")));
    entries.find(|(_, text)| text.contains(&format!("\"pool\": \"{name}\""))).expect("an entry")
}

/// The lock of the index, held by this test.
fn lock_index(machine: &Machine) -> File {
    fs::create_dir_all(machine.path(INDEX)).expect("an index");
    let lock = File::create(machine.path(&format!("{INDEX}/.lock"))).expect("a lock");
    lock.lock().expect("it is free");
    lock
}

fn wait_for(path: &Path) {
    while !path.exists() {
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn of_two_first_applies_at_the_same_moment_one_is_refused() {
    for round in 0..3 {
        let machine = Machine::new();
        project(&machine, "one", "~/pool-1", 8000);
        project(&machine, "two", "~/pool-2", 8000);
        // Both have looked at the index before the first one writes.
        let lock = lock_index(&machine);
        let both = ["one", "two"].map(|name| Running::piped(&mut command(&machine, name, "apply")));
        for root in ["~/pool-1/.lock", "~/pool-2/.lock"] {
            wait_for(&machine.path(root));
        }
        drop(lock);
        let mut codes = both.map(|apply| apply.ends().code);
        codes.sort();
        assert_eq!(codes, [Some(0), Some(4)], "round {round}");
        let there = ["~/pool-1", "~/pool-2"].map(|root| machine.exists(&format!("{root}/registry.json")));
        assert_ne!(there[0], there[1]);
    }
}

#[test]
fn who_holds_the_lock_of_the_index_is_named_and_a_pool_that_is_noted_needs_none() {
    let machine = Machine::new();
    project(&machine, "one", "~/pool-1", 8000);
    project(&machine, "two", "~/pool-2", 9000);
    kinfra(&machine, "one", "apply").exits(0);
    let _lock = lock_index(&machine);
    let refused = kinfra(&machine, "two", "apply --lock-timeout 0s").exits(6);
    refused.says("/pools/.lock` is held by ").says("--lock-timeout");
    assert!(!machine.exists("~/pool-2/registry.json"));
    for verb in ["plan", "apply", "claim", "slots", "reap", "release", "doctor"] {
        kinfra(&machine, "one", verb).never_says("pools/.lock");
    }
}

#[test]
fn a_pool_whose_directory_or_disk_is_away_keeps_its_ports() {
    let machine = Machine::new();
    fs::create_dir(machine.path("~/disk")).expect("a directory");
    project(&machine, "other", "~/disk/pool", 8000);
    kinfra(&machine, "other", "apply").exits(0);
    project(&machine, "own", "~/pool", 9000);
    let (file, text) = entry(&machine, "other");
    let is_kept = || {
        kinfra(&machine, "own", "apply").exits(0);
        assert!(file.exists());
        project(&machine, "own", "~/pool", 8000);
        let refused = kinfra(&machine, "own", "plan").exits(4);
        let named =
            format!("if it is gone for good, remove `~/.local/state/kinfra/pools/{}`", file_name(&file));
        refused.says("/disk/pool` is not there now, and keeps its ports").says(&named);
        project(&machine, "own", "~/pool", 9000);
        machine.remove("~/pool");
    };
    fs::rename(machine.path("~/disk"), machine.path("~/unplugged")).expect("a move");
    is_kept();
    // The place of a disk that is not mounted is there, and empty.
    fs::create_dir(machine.path("~/disk")).expect("a directory");
    let (before, after) = text.split_once("\"mount\": \"").expect("a mount point");
    let after = after.split_once('"').expect("its end").1;
    let elsewhere = machine.path("~/disk").canonicalize().expect("a path");
    let with_mount = format!("{before}\"mount\": \"{}\"{after}", elsewhere.display());
    fs::write(&file, with_mount).expect("a written file");
    is_kept();
    // An older kinfra did not note the mount point.
    fs::write(&file, format!("{before}\"older\": \"\"{after}")).expect("a written file");
    is_kept();
    machine.write("~/disk/a file", "it is mounted");
    fs::write(&file, text).expect("a written file");
    kinfra(&machine, "own", "apply").exits(0);
    assert!(!file.exists(), "disk and directory are there, and the pool is not");
}

fn file_name(path: &Path) -> String {
    path.file_name().expect("a name").display().to_string()
}

#[test]
fn a_pool_whose_own_disk_is_away_is_not_made_a_second_time() {
    let machine = Machine::new();
    project(&machine, "own", "~/pool", 8000);
    kinfra(&machine, "own", "apply").exits(0);
    kinfra(&machine, "own", "claim").exits(0);
    let (file, text) = entry(&machine, "own");
    let (before, after) = text.split_once("\"mount\": \"").expect("a mount point");
    let after = after.split_once('"').expect("its end").1;
    let root = machine.path("~/pool").canonicalize().expect("a path");
    fs::write(&file, format!("{before}\"mount\": \"{}\"{after}", root.display())).expect("a written file");
    // With its registry, it is there, wherever its disk was mounted.
    kinfra(&machine, "own", "plan").exits(0);
    fs::rename(&root, machine.path("~/unplugged")).expect("a move");
    fs::create_dir(&root).expect("the place of the disk");
    for verb in ["plan", "apply", "apply --dry-run"] {
        kinfra(&machine, "own", verb).exits(4).says("which is not mounted now").says("remove `~/.local/");
    }
    assert_eq!(fs::read_dir(&root).expect("a directory").count(), 0);
    fs::remove_file(&file).expect("a removed file");
    kinfra(&machine, "own", "apply").exits(0);
}

#[test]
fn a_first_apply_that_was_cut_short_keeps_no_port_and_is_compared_again() {
    let machine = Machine::new();
    project(&machine, "one", "~/pool-1", 8000);
    project(&machine, "two", "~/pool-2", 8000);
    kinfra(&machine, "one", "apply").exits(0);
    // What is left of it is its note, and a lock that no process holds.
    for gone in ["registry.json", "registry.json.bak", "slot-1", "slot-2"] {
        machine.remove(&format!("~/pool-1/{gone}"));
    }
    let lock = File::open(machine.path("~/pool-1/.lock")).expect("a lock");
    lock.lock().expect("it is free");
    kinfra(&machine, "two", "plan").exits(4).says("port 8001 is `web` of slot 1 and also");
    drop(lock);
    kinfra(&machine, "two", "apply").exits(0);
    kinfra(&machine, "one", "apply").exits(4).says("port 8001 is `web` of slot 1 and also");
    assert!(!machine.exists("~/pool-1/registry.json"));
}

#[test]
fn the_lock_of_the_index_is_not_written_through_a_link() {
    let machine = Machine::new();
    project(&machine, "own", "~/pool", 8000);
    machine.write("~/victim", "three weeks of work");
    fs::create_dir_all(machine.path(INDEX)).expect("an index");
    symlink(machine.path("~/victim"), machine.path(&format!("{INDEX}/.lock"))).expect("a link");
    let run = kinfra(&machine, "own", "apply");
    assert_ne!(run.code, Some(0));
    assert_eq!(machine.read("~/victim"), "three weeks of work");
    assert!(!machine.exists("~/pool/registry.json"));
}

#[test]
fn a_pool_that_moved_with_its_directory_does_not_meet_itself() {
    let machine = Machine::new();
    project(&machine, "shop", "~/old/pool", 8000);
    kinfra(&machine, "shop", "apply").exits(0);
    let (before, _) = entry(&machine, "shop");
    fs::rename(machine.path("~/old"), machine.path("~/new")).expect("a move");
    fs::rename(machine.path("~/shop"), machine.path("~/store")).expect("a move");
    let spec = machine.read("~/store/slots.toml");
    machine.write("~/store/slots.toml", spec.replace("~/old", "~/new"));
    kinfra(&machine, "store", "plan").exits(0).never_says("warning");
    kinfra(&machine, "store", "apply").exits(0);
    assert!(!before.exists());
}

#[test]
fn a_pool_that_does_not_answer_stops_no_other_project_and_is_named() {
    let machine = Machine::new();
    project(&machine, "other", "~/pool-2", 9000);
    kinfra(&machine, "other", "apply").exits(0);
    project(&machine, "own", "~/pool-1", 8000);
    let root = machine.path("~/pool-2").canonicalize().expect("a path");
    let hung = |arguments: &str| Run::of(command(&machine, "own", arguments).env(HUNG, &root));
    let named = "the pool in `~/pool-2` does not answer";
    for verb in ["plan", "apply", "status", "claim"] {
        hung(verb).exits(0).says(named);
    }
    hung("validate").exits(0).prints(named);
    // The pool of the slots.toml here is looked at first, and alone if it is the one.
    for verb in ["status", "env", "claim", "renew", "slots", "reap", "clean 2", "release", "exec -- true"] {
        let run = hung(verb);
        assert_ne!(run.code, Some(5), "{verb}");
        if !["release", "exec -- true"].contains(&verb) {
            run.never_says("does not answer");
        }
    }
    // Its ports stay its own.
    project(&machine, "own", "~/pool-3", 9000);
    hung("plan").exits(4).says(named);
}

#[test]
fn a_claim_that_may_be_in_a_pool_that_does_not_answer_is_not_released_elsewhere() {
    let machine = Machine::new();
    project(&machine, "other", "~/pool-2", 9000);
    kinfra(&machine, "other", "apply").exits(0);
    project(&machine, "own", "~/pool-1", 8000);
    kinfra(&machine, "own", "apply").exits(0);
    let root = machine.path("~/pool-2").canonicalize().expect("a path");
    let id = "0123456789abcdef0123456789abcdef";
    let mut release = command(&machine, "own", &format!("release --claim-id {id}"));
    Run::of(release.env(HUNG, &root)).exits(5).says("the pool in `~/pool-2` does not answer");
}
