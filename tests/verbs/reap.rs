//! `kinfra reap`: releases only claims that are over, and only after it showed them.

use std::fs;

use serde_json::json;

use crate::support::{Machine, Run, has_no_file};
use crate::verbs::claim::{REGISTRY, applied, holder, make_dirs, registry, run_in};

fn git(machine: &Machine, arguments: &str) -> String {
    machine.git(machine.path("~/main"), arguments)
}

/// An applied pool, and a repository with two worktrees in a directory of their own, each with a slot.
fn with_worktrees() -> Machine {
    let machine = applied();
    make_dirs(&machine, &["~/main", "~/trees"]);
    machine.repository(machine.path("~/main"));
    for tree in ["one", "two"] {
        git(&machine, &format!("worktree add --quiet ../trees/{tree}"));
        run_in(&machine, &format!("~/trees/{tree}"), "claim").exits(0);
    }
    machine
}

const NOTHING: &str = "Reap: 0 to release.\n";

#[test]
fn a_removed_worktree_is_reaped_and_no_other() {
    let machine = with_worktrees();
    let before = machine.tree();
    machine.kinfra("reap").exits(0).prints_exactly(NOTHING);
    machine.kinfra("reap --auto-approve").exits(0).prints_exactly(NOTHING);
    assert_eq!(machine.tree(), before);
    git(&machine, "worktree remove ../trees/one");
    let before = machine.tree();
    let gone = "  - Would release slot 1, held by ";
    machine.kinfra("reap --dry-run").exits(0).prints(gone).prints("\n\nReap: 1 to release.\n");
    machine.kinfra("reap").exits(4).prints(gone).says("give --auto-approve");
    assert_eq!(machine.tree(), before);
    let reaped = machine.kinfra("reap --auto-approve").exits(0).prints(": its directory is gone\n");
    reaped.says("Released slot 1, which was held by ").says("\n\nReap complete! 1 released.\n");
    assert_eq!([holder(&machine, "1"), holder(&machine, "2")], ["", "~/trees/two"]);
}

#[test]
fn a_worktree_that_may_come_back_is_left_alone() {
    let machine = with_worktrees();
    // Removed without git: what `git worktree list` calls prunable.
    machine.remove("~/trees/one");
    assert!(git(&machine, "worktree list --porcelain").contains("\nprunable "));
    machine.kinfra("reap --dry-run").exits(0).prints("Would release slot 1, ");
    // Locked, as for a disk that is not always there.
    git(&machine, "worktree lock ../trees/one");
    let locked = machine.kinfra("reap --auto-approve").exits(0).prints("  ! Slot 1 is held by ");
    locked.prints(
        ": its directory is missing, but `git worktree lock` keeps it (`kinfra release 1 --force` if",
    );
    git(&machine, "worktree unlock ../trees/one");
    // The repository is missing, so git cannot confirm it.
    fs::rename(machine.path("~/main"), machine.path("~/away")).expect("a moved repository");
    machine.kinfra("reap --auto-approve").exits(0).prints("the repository it was a worktree of is missing");
    fs::rename(machine.path("~/away"), machine.path("~/main")).expect("a moved repository");
    // The directory that held the worktrees is gone with all of them.
    fs::rename(machine.path("~/trees"), machine.path("~/elsewhere")).expect("moved worktrees");
    let missing = machine.kinfra("reap --auto-approve").exits(0).prints("\nReap: 0 to release.\n");
    missing.prints("Slot 2 is held by ").prints("its directory is missing, and so is the directory above it");
    fs::rename(machine.path("~/elsewhere"), machine.path("~/trees")).expect("moved worktrees");
    // A worktree that git moved keeps its slot, because its env file moved along.
    git(&machine, "worktree move ../trees/two ../trees/three");
    machine.kinfra("reap --auto-approve").exits(0).says("Reap complete! 1 released.");
    git(&machine, "worktree remove --force ../trees/three");
    machine.kinfra("reap --auto-approve").exits(0).says("Reap complete! 1 released.");
}

#[test]
fn a_worktree_that_git_moves_takes_its_slot_along() {
    let machine = with_worktrees();
    git(&machine, "worktree move ../trees/two ../trees/moved");
    run_in(&machine, "~/trees/moved", "status").exits(0).prints("Slot 2 (only) is yours");
    run_in(&machine, "~/trees/moved", "env").exits(0).prints("KINFRA_SLOT='2'");
    machine.kinfra("slots").exits(0).prints("  moved  ");
    assert_eq!(holder(&machine, "2"), "~/trees/two", "reading verbs write nothing");
    // A new worktree at the old path does not hold the slot.
    git(&machine, "worktree add --quiet -b other ../trees/two");
    run_in(&machine, "~/trees/two", "status").exits(0).prints("holds no slot");
    run_in(&machine, "~/trees/two", "claim").exits(3).says("/trees/moved since ");
    run_in(&machine, "~/trees/moved", "claim").exits(0).prints("Slot 2 (only) is yours already");
    assert_eq!(holder(&machine, "2"), "~/trees/moved");
    run_in(&machine, "~/trees/moved", "release").exits(0).prints("Released slot 2");
    assert!(!machine.exists("~/trees/moved/.env.sandbox"));
    run_in(&machine, "~/trees/two", "claim").exits(0).prints("Claimed slot 2");
    // A new worktree with the old name in git is not the old one.
    git(&machine, "worktree remove --force ../trees/one");
    git(&machine, "worktree add --quiet -b again ../one");
    run_in(&machine, "~/one", "status").exits(0).prints("holds no slot");
    let kept = machine.kinfra("reap --dry-run").exits(0).prints("Slot 1 is held by ");
    kept.prints("its directory is missing, and git has a worktree of its name elsewhere");
}

#[test]
fn a_directory_that_docker_made_anew_is_no_worktree() {
    let machine = with_worktrees();
    git(&machine, "worktree remove --force ../trees/one");
    // A container that is still there restarts, and what it mounts is missing.
    make_dirs(&machine, &["~/trees/one/config"]);
    machine.kinfra("reap --auto-approve").exits(0);
    assert_eq!([holder(&machine, "1"), holder(&machine, "2")], ["", "~/trees/two"]);
}

#[test]
fn a_release_from_elsewhere_finds_a_worktree_that_git_has_moved() {
    let machine = with_worktrees();
    let id = registry(&machine)["slots"]["2"]["claim_id"].as_str().expect("an id").to_owned();
    git(&machine, "worktree move ../trees/one ../trees/moved");
    git(&machine, "worktree move ../trees/two ../trees/also");
    machine.kinfra("release 1 --force").exits(0).prints("Released slot 1");
    machine.kinfra(&format!("release --claim-id {id}")).exits(0).prints("Released slot 2");
    for tree in ["moved", "also"] {
        assert!(!machine.exists(&format!("~/trees/{tree}/.env.sandbox")), "{tree}");
    }
}

#[test]
fn a_copy_or_another_way_to_a_worktree_moves_nothing() {
    let machine = with_worktrees();
    for slot in ["1", "2"] {
        machine.kinfra(&format!("release {slot} --force")).exits(0);
    }
    Run::of(machine.program("cp").arg("-r").args([machine.path("~/trees/one"), machine.path("~/copy")]))
        .exits(0);
    run_in(&machine, "~/copy", "claim").exits(0).prints("Claimed slot 1");
    run_in(&machine, "~/copy", "claim").exits(0).prints("Slot 1 (only) is yours already");
    run_in(&machine, "~/trees/one", "status").exits(0).prints("holds no slot");
    fs::rename(machine.path("~/trees"), machine.path("~/real")).expect("a move");
    std::os::unix::fs::symlink(machine.path("~/real"), machine.path("~/trees")).expect("a link");
    run_in(&machine, "~/trees/two", "claim").exits(0).prints("Claimed slot 2");
    run_in(&machine, "~/trees/two", "claim").exits(0).prints("Slot 2 (only) is yours already");
    assert_eq!([holder(&machine, "1"), holder(&machine, "2")], ["~/copy", "~/real/two"]);
    // Git knows the original path. After a move the claim that was made there last moves along.
    git(&machine, "worktree move ../trees/two ../moved");
    run_in(&machine, "~/moved", "claim").exits(0).prints("Slot 2 (only) is yours already");
    assert_eq!([holder(&machine, "1"), holder(&machine, "2")], ["~/copy", "~/moved"]);
}

#[test]
fn a_disk_that_is_not_mounted_keeps_its_worktrees_slots() {
    let machine = applied();
    make_dirs(&machine, &["~/disk/tree", "~/plain/tree"]);
    run_in(&machine, "~/disk/tree", "claim").exits(0);
    run_in(&machine, "~/plain/tree", "claim").exits(0);
    let mut registry = registry(&machine);
    // Slot 1's claim notes a mounted disk. Slot 2's claim does not say where its disk is.
    registry["slots"]["1"]["claimed_mount"] = json!(machine.path("~/disk").canonicalize().expect("a path"));
    registry["slots"]["2"].as_object_mut().expect("an entry").remove("claimed_mount");
    machine.write(REGISTRY, format!("{registry:#}\n"));
    machine.remove("~/disk/tree");
    machine.remove("~/plain/tree");
    let kept = machine.kinfra("reap --auto-approve").exits(0).prints("\nReap: 0 to release.\n");
    assert_eq!(kept.stdout.matches("the disk of its directory may not be mounted").count(), 2, "{kept:#?}");
    // The parent is not empty, so it is no unused mount point.
    make_dirs(&machine, &["~/plain/other"]);
    machine.kinfra("reap --auto-approve").exits(0).says("Released slot 2, ");
}

#[test]
fn a_lease_that_has_run_out_is_reaped_unless_it_was_renewed() {
    let machine = applied();
    make_dirs(&machine, &["~/a", "~/b"]);
    run_in(&machine, "~/a", "claim --lease 8h").exits(0);
    run_in(&machine, "~/b", "claim").exits(0);
    let mut registry = registry(&machine);
    registry["slots"]["1"]["lease_until"] = json!("2026-03-01T17:22:10.000000+00:00");
    machine.write(REGISTRY, format!("{registry:#}\n"));
    let shown = machine.kinfra("reap --dry-run").exits(0);
    shown.prints("~/a since ").prints(": its lease of 8h ran out 2026-03-01 17:22 UTC\n");
    run_in(&machine, "~/a", "renew").exits(0);
    machine.kinfra("reap --auto-approve").exits(0).prints_exactly(NOTHING);
}

#[test]
fn each_slot_that_could_not_be_released_is_named_with_what_to_do() {
    let machine = applied();
    make_dirs(&machine, &["~/a", "~/b"]);
    run_in(&machine, "~/a", "claim --lease 8h").exits(0);
    run_in(&machine, "~/b", "claim --lease 8h").exits(0);
    let mut registry = registry(&machine);
    for slot in ["1", "2"] {
        registry["slots"][slot]["lease_until"] = json!("2026-03-01T17:22:10.000000+00:00");
    }
    machine.write(REGISTRY, format!("{registry:#}\n"));
    // A directory where the env file goes on its way out.
    make_dirs(&machine, &["~/a/.env.sandbox.kinfra-tmp", "~/b/.env.sandbox.kinfra-tmp"]);
    let mut kept = machine.kinfra("reap --auto-approve").exits(1).says("\nReap complete! 0 released.\n");
    for slot in ["1", "2"] {
        let help = format!("\nhelp: fix this, or leave the files there with `kinfra release {slot} --force`");
        kept = kept.says(&format!("error: slot {slot} stays claimed: ")).says(&help);
    }
    assert_eq!([holder(&machine, "1"), holder(&machine, "2")], ["~/a", "~/b"]);
    machine.remove("~/a/.env.sandbox.kinfra-tmp");
    machine
        .kinfra("reap --auto-approve")
        .exits(1)
        .says("Released slot 1")
        .says("error: slot 2 stays claimed");
}

#[test]
fn claims_of_another_machine_are_judged_by_their_lease_alone() {
    let machine = applied();
    make_dirs(&machine, &["~/a"]);
    run_in(&machine, "~/a", "claim --lease 8h").exits(0);
    machine.remove("~/a");
    let mut registry = registry(&machine);
    // The directory above is another one there. An older kinfra noted the machine's name alone.
    registry["slots"]["1"]["claimed_above"] = json!("1:2:3");
    machine.write(REGISTRY, format!("{registry:#}\n"));
    let why = ": its directory is missing, and the one above it is not the one that it was in (";
    machine.kinfra("reap --auto-approve").exits(0).prints(why);
    registry["slots"]["1"].as_object_mut().expect("a slot").remove("claimed_above");
    registry["slots"]["1"]["claimed_host"] = json!("elsewhere");
    machine.write(REGISTRY, format!("{registry:#}\n"));
    machine.kinfra("reap --auto-approve").exits(0).prints(": it was claimed on another machine (");
    registry["slots"]["1"]["lease_until"] = json!("2026-03-01T17:22:10.000000+00:00");
    machine.write(REGISTRY, format!("{registry:#}\n"));
    machine.kinfra("reap --auto-approve").exits(0).says("Released slot 1, ");
}

#[test]
fn without_a_pool_there_is_nothing_to_reap() {
    Machine::small().kinfra("reap").exits(3).says("/pool` yet\nhelp: `kinfra apply` creates it");
}

/// How often a run opens the registry of the pool.
#[cfg(target_os = "linux")]
fn opens_of_registry(machine: &Machine, arguments: &str) -> usize {
    use rustix::fs::inotify::{CreateFlags, Reader, WatchFlags, add_watch, init};

    let watch = init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).expect("a watch");
    add_watch(&watch, machine.path("~/pool"), WatchFlags::OPEN).expect("the root to watch");
    machine.kinfra(arguments).exits(0);
    let mut buffer = [std::mem::MaybeUninit::uninit(); 4096];
    let (mut events, mut opens) = (Reader::new(&watch, &mut buffer), 0);
    while let Ok(event) = events.next() {
        opens += usize::from(event.file_name().is_some_and(|name| name.to_bytes() == b"registry.json"));
    }
    opens
}

#[cfg(target_os = "linux")]
#[test]
fn a_reap_reads_the_registry_as_often_for_many_claims_as_for_one() {
    if has_no_file("a registry on a server is not opened") {
        return;
    }
    let opens = |claims: usize| {
        let machine = applied();
        for holder in 0..claims {
            let path = format!("~/trees/{holder}");
            make_dirs(&machine, &[&path]);
            run_in(&machine, &path, "claim").exits(0);
            machine.remove(&path);
        }
        let opens = opens_of_registry(&machine, "reap --auto-approve");
        assert!((1..=claims).all(|slot| holder(&machine, &slot.to_string()).is_empty()));
        opens
    };
    let of_one = opens(1);
    assert!(of_one > 0, "the watch sees something");
    assert_eq!(opens(2), of_one);
}
