//! Who a holder is: a directory at the path of another is not the other, and a moved or restored one is itself.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::rig::disk;
use crate::support::{Machine, Run};

const REGISTRY: &str = "~/pool/registry.json";

/// An applied pool, and its project in a repository.
fn applied() -> Machine {
    let machine = Machine::small();
    machine.write(".gitignore", ".ws\n.claude\n");
    machine.repository(machine.project());
    machine.kinfra("apply").exits(0);
    machine
}

fn run_in(machine: &Machine, dir: impl AsRef<Path>, arguments: &str) -> Run {
    Run::of(machine.command(arguments).current_dir(dir)).never_says("panicked")
}

fn entry(machine: &Machine, slot: &str) -> Map<String, Value> {
    let registry: Value = serde_json::from_str(&machine.read(REGISTRY)).expect("JSON");
    registry["slots"][slot].as_object().expect("a slot").clone()
}

/// Removes keys of a slot from the registry, as an older kinfra left it.
fn forget(machine: &Machine, slot: &str, keys: &[&str]) {
    let mut registry: Value = serde_json::from_str(&machine.read(REGISTRY)).expect("JSON");
    let entry = registry["slots"][slot].as_object_mut().expect("a slot");
    entry.retain(|key, _| !keys.contains(&key.as_str()));
    machine.write(REGISTRY, format!("{registry:#}\n"));
}

fn rename(machine: &Machine, from: &str, to: &str) {
    fs::rename(machine.path(from), machine.path(to)).expect("a rename");
}

fn copy(machine: &Machine, from: &str, to: &str) {
    let mut copy = machine.program("cp");
    Run::of(copy.arg("-a").arg(machine.path(from)).arg(machine.path(to))).exits(0);
}

/// Two clones of the project, of which one is at a path at a time, as in two containers.
fn two_clones() -> Machine {
    let machine = applied();
    for clone in ["~/one", "~/two"] {
        machine
            .git(machine.home(), &format!("clone --quiet {} .{}", machine.project().display(), &clone[1..]));
        run_in(&machine, machine.path(clone), "apply").exits(0);
    }
    machine
}

#[test]
fn two_clones_at_one_path_are_two_holders() {
    let machine = two_clones();
    let workspace = machine.path("~/workspace");
    rename(&machine, "~/one", "~/workspace");
    run_in(&machine, &workspace, "claim").exits(0).prints("Claimed slot 1");
    rename(&machine, "~/workspace", "~/one");
    rename(&machine, "~/two", "~/workspace");
    for verb in ["env", "renew", "exec -- true"] {
        run_in(&machine, &workspace, verb).exits(3).says("holds no slot");
    }
    run_in(&machine, &workspace, "release")
        .exits(0)
        .says("note: another directory, which has or had this path, holds slot 1\n");
    run_in(&machine, &workspace, "release 1").exits(4).says("slot 1 is held by ");
    run_in(&machine, &workspace, "claim --slot 1").exits(4);
    run_in(&machine, &workspace, "claim").exits(0).prints("Claimed slot 2");
    machine.kinfra("slots").exits(0).prints("missing");
    for verb in ["down --slot 1", "logs --slot 1", "compose --slot 1 ps"] {
        machine
            .kinfra(verb)
            .exits(4)
            .says("the worktree that holds slot 1 is not here: another directory is at `");
    }
    machine.kinfra("reap --auto-approve").exits(0).prints("another directory is at its path");
    // An end by force leaves the other's files alone.
    machine.kinfra("release 1 --force").exits(0);
    assert!(machine.exists("~/workspace/.env.sandbox"));
    run_in(&machine, &workspace, "status").exits(0).prints("Slot 2 (only) is yours");
    rename(&machine, "~/workspace", "~/two");
    rename(&machine, "~/one", "~/workspace");
    run_in(&machine, &workspace, "status").exits(0).prints("holds no slot");
}

#[test]
fn a_backup_that_is_put_back_and_a_moved_worktree_are_the_holder() {
    let machine = applied();
    let tree = machine.worktree("fix");
    for dir in [machine.project(), tree.clone()] {
        run_in(&machine, dir, "claim --lease 8h").exits(0);
    }
    let one = machine.project().with_file_name("backup");
    let mut copied = machine.program("cp");
    Run::of(copied.arg("-a").arg(machine.project()).arg(&one)).exits(0);
    fs::remove_dir_all(machine.project()).expect("it is lost");
    fs::rename(&one, machine.project()).expect("it is put back");
    for (dir, slot) in [(machine.project(), "Slot 1"), (tree.clone(), "Slot 2")] {
        run_in(&machine, &dir, "status").exits(0).prints(&format!("{slot} (only) is yours"));
        run_in(&machine, &dir, "exec -- true").exits(0);
    }
    machine.kinfra("claim").exits(0).prints("is yours already");
    // The repository has another place now. It is known by the token of its worktree.
    machine.git(machine.project(), &format!("worktree move {} ../moved", tree.display()));
    let moved = machine.project().with_file_name("moved");
    run_in(&machine, &moved, "renew").exits(0);
    run_in(&machine, &moved, "release").exits(0).prints("Released slot 2");
    // A copy elsewhere has the token, and not the path.
    let copy = machine.project().with_file_name("copy");
    let mut copied = machine.program("cp");
    Run::of(copied.arg("-a").arg(machine.project()).arg(&copy)).exits(0);
    run_in(&machine, &copy, "status").exits(0).prints("holds no slot");
    machine.kinfra("status").exits(0).prints("Slot 1 (only) is yours");
}

#[test]
fn a_worktree_that_was_moved_with_a_link_left_behind_keeps_its_slot() {
    let machine = applied();
    let trees = machine.path("~/trees");
    fs::create_dir(&trees).expect("a directory");
    machine.git(machine.project(), &format!("worktree add --quiet -b fix {}", trees.join("fix").display()));
    run_in(&machine, trees.join("fix"), "claim").exits(0).prints("Claimed slot 1");
    fs::rename(&trees, machine.path("~/moved")).expect("a move");
    symlink(machine.path("~/moved"), &trees).expect("a link");
    for dir in [trees.join("fix"), machine.path("~/moved/fix")] {
        run_in(&machine, &dir, "status").exits(0).prints("Slot 1 (only) is yours");
        run_in(&machine, &dir, "claim").exits(0).prints("is yours already");
    }
    run_in(&machine, trees.join("fix"), "release").exits(0).prints("Released slot 1");
}

#[test]
fn a_checkout_that_was_moved_keeps_its_slot_and_a_copy_has_none() {
    let machine = applied();
    let (was, moved) = (machine.project(), machine.project().with_file_name("moved"));
    let again = machine.project().with_file_name("again");
    let is_its = |dir: &Path| {
        run_in(&machine, dir, "status").exits(0).prints("Slot 1 (only) is yours");
        run_in(&machine, dir, "claim").exits(0).prints("is yours already");
        let slots = run_in(&machine, dir, "slots").exits(0).stdout;
        assert!(!slots.contains("orphaned"), "{slots}");
    };
    machine.kinfra("claim").exits(0).prints("Claimed slot 1");
    fs::rename(&was, &moved).expect("a move");
    symlink(&moved, &was).expect("a link");
    run_in(&machine, &was, "slots").exits(0).prints(" moved ");
    is_its(&was);
    is_its(&moved);
    // Now without a link.
    fs::rename(&moved, &again).expect("a move");
    is_its(&again);
    let mut copied = machine.program("cp");
    Run::of(copied.arg("-a").arg(&again).arg(&moved).current_dir(&again)).exits(0);
    run_in(&machine, &moved, "status").exits(0).prints("holds no slot");
    run_in(&machine, &moved, "claim").exits(0).prints("Claimed slot 2");
    run_in(&machine, &again, "release").exits(0).prints("Released slot 1");
}

#[test]
fn a_worktree_that_git_makes_anew_at_a_place_has_no_slot_there() {
    let machine = applied();
    let tree = machine.worktree("fix");
    run_in(&machine, &tree, "claim").exits(0).prints("Claimed slot 1");
    machine.git(machine.project(), &format!("worktree remove --force {}", tree.display()));
    machine.git(machine.project(), &format!("worktree add --quiet {} fix", tree.display()));
    for verb in ["env", "renew"] {
        run_in(&machine, &tree, verb).exits(3).says("holds no slot");
    }
    run_in(&machine, &tree, "claim").exits(0).prints("Claimed slot 2");
    // Git made this one since, so the first is gone for certain.
    machine.kinfra("slots").exits(0).prints("orphaned");
    machine.kinfra("reap --auto-approve").exits(0).says("Released slot 1").never_says("anew");
    run_in(&machine, &tree, "status").exits(0).prints("Slot 2 (only) is yours");
    assert!(tree.join(".env.sandbox").exists());
}

#[test]
fn a_claim_of_an_older_kinfra_gets_its_marks_when_its_holder_acts() {
    let machine = applied();
    let marks = ["claimed_token", "claimed_place"];
    for verb in ["claim", "renew", "exec -- true"] {
        machine.kinfra("claim").exits(0);
        assert!(marks.iter().all(|key| entry(&machine, "1").contains_key(*key)));
        forget(&machine, "1", &marks);
        machine.remove(".git/kinfra-holder");
        let before = machine.read(REGISTRY);
        machine.kinfra("status").exits(0).prints("Slot 1 (only) is yours");
        machine.kinfra("env").exits(0);
        assert_eq!(machine.read(REGISTRY), before, "what only reads writes nothing");
        machine.kinfra(verb).exits(0);
        let (entry, token) = (entry(&machine, "1"), machine.read(".git/kinfra-holder"));
        assert_eq!(entry["claimed_token"], token.trim_end(), "{verb}");
        assert!(entry.contains_key("claimed_place"), "{verb}");
    }
    assert_eq!(machine.git(machine.project(), "status --porcelain"), "");
}

/// What happens to a token, by its path.
type Spoil = fn(&Machine, &str);

#[test]
fn a_token_that_is_lost_or_in_the_way_does_not_take_the_slot() {
    let machine = applied();
    let token = ".git/kinfra-holder";
    let spoil: [(&str, Spoil); 4] = [
        ("a power cut left it empty", |machine, token| machine.write(token, "")),
        ("it is gone", |machine, token| machine.remove(token)),
        ("a link", |machine, token| {
            machine.remove(token);
            symlink("/dev/zero", machine.path(token)).expect("a link");
        }),
        ("a pipe without a writer", |machine, token| {
            machine.remove(token);
            let mut pipe = machine.program("mkfifo");
            Run::of(pipe.arg(machine.path(token))).exits(0);
        }),
    ];
    for (what, spoil) in spoil {
        machine.kinfra("claim").exits(0);
        spoil(&machine, token);
        machine.kinfra("status").exits(0).prints("Slot 1 (only) is yours");
        machine.kinfra("claim").exits(0).prints("is yours already");
        assert_eq!(entry(&machine, "1")["claimed_token"], machine.read(token).trim_end(), "{what}");
        machine.kinfra("release").exits(0).prints("Released slot 1");
    }
    // Without a token, the place of the directory counts.
    machine.remove(token);
    fs::create_dir(machine.path(token)).expect("a directory");
    machine.kinfra("claim").exits(0);
    assert!(!entry(&machine, "1").contains_key("claimed_token"));
    machine.kinfra("claim").exits(0).prints("is yours already");
}

#[test]
fn each_jj_workspace_is_a_worktree() {
    let machine = applied();
    fs::create_dir_all(machine.project().join(".jj/repo")).expect("a repository of jj");
    for name in ["a", "b"] {
        let dir = machine.project().join(".ws").join(name);
        fs::create_dir_all(dir.join(".jj")).expect("a workspace");
        fs::write(dir.join(".jj/repo"), "../../../.jj/repo").expect("where its repository is");
        fs::create_dir_all(dir.join("src")).expect("a directory");
        fs::copy(machine.project().join("slots.toml"), dir.join("slots.toml")).expect("a copy");
    }
    let dir = |name: &str| machine.project().join(".ws").join(name);
    run_in(&machine, dir("a/src"), "claim").exits(0).prints("Claimed slot 1");
    run_in(&machine, dir("b"), "claim").exits(0).prints("Claimed slot 2");
    run_in(&machine, dir("a"), "status").exits(0).prints("Slot 1 (only) is yours");
    machine.kinfra("status").exits(0).prints("holds no slot");
    assert!(dir("a").join(".jj/kinfra-holder").exists());
    assert!(!machine.exists(".git/kinfra-holder"));
}

#[test]
fn a_holder_that_is_gone_has_its_slot_by_its_path() {
    let machine = applied();
    let tree = machine.project().join(".claude/worktrees/a");
    machine.git(machine.project(), "worktree add --quiet .claude/worktrees/a -b a");
    run_in(&machine, &tree, "claim").exits(0).prints("Claimed slot 1");
    fs::remove_dir_all(machine.project().join(".claude")).expect("it is removed");
    let of = "--for .claude/worktrees/a";
    machine.kinfra("slots").exits(0).prints("missing");
    machine.kinfra(&format!("status {of}")).exits(0).prints("Slot 1 (only) is yours").prints("missing");
    machine.kinfra(&format!("renew {of} --lease 8h")).exits(0);
    machine.kinfra(&format!("exec {of} -- true")).exits(0);
    // The main checkout around it holds none, and is not meant.
    machine.kinfra("claim").exits(0).prints("Claimed slot 2");
    machine.kinfra(&format!("release {of}")).exits(0).prints("Released slot 1");
    machine.kinfra(&format!("release {of}")).exits(0).prints("holds no slot");
    machine.kinfra("status").exits(0).prints("Slot 2 (only) is yours");
}

#[test]
fn a_worktree_that_git_pruned_is_gone_whatever_else_is_missing() {
    let machine = applied();
    let tree = machine.project().join(".claude/worktrees/a");
    machine.git(machine.project(), "worktree add --quiet .claude/worktrees/a -b a");
    run_in(&machine, &tree, "claim").exits(0);
    // Moved by hand, it may be repaired: git still lists it.
    fs::rename(machine.project().join(".claude"), machine.path("~/elsewhere")).expect("a move");
    machine.kinfra("reap --auto-approve").exits(0).prints("so is the directory above it");
    machine.kinfra("slots --json").exits(0).prints("\"standing\": \"missing\"");
    machine.git(machine.project(), "worktree prune");
    machine.kinfra("slots").exits(0).prints("orphaned");
    machine.kinfra("reap --auto-approve").exits(0).says("Released slot 1");
}

#[test]
fn a_directory_without_git_is_known_by_its_place() {
    let machine = applied();
    fs::create_dir(machine.path("~/plain")).expect("a directory");
    machine.kinfra("claim --for ../home/plain").exits(0);
    assert!(!entry(&machine, "1").contains_key("claimed_token"));
    copy(&machine, "~/plain", "~/copy");
    rename(&machine, "~/plain", "~/aside");
    rename(&machine, "~/copy", "~/plain");
    machine.kinfra("exec --for ../home/plain -- true").exits(3).says("holds no slot");
    rename(&machine, "~/plain", "~/copy");
    rename(&machine, "~/aside", "~/plain");
    machine.kinfra("exec --for ../home/plain -- true").exits(0);
    // It is the same directory with git.
    machine.repository(machine.path("~/plain"));
    machine.kinfra("claim --for ../home/plain").exits(0).prints("is yours already");
    assert!(entry(&machine, "1").contains_key("claimed_token"));
}

#[test]
fn a_copy_that_is_mounted_in_the_place_of_a_holder_is_another() {
    let machine = applied();
    machine.kinfra("claim").exits(0);
    copy(&machine, "../project", "~/copy");
    fs::rename(machine.project(), machine.path("~/aside")).expect("a move");
    fs::rename(machine.path("~/copy"), machine.project()).expect("a move");
    machine.kinfra("status").exits(0).prints("Slot 1 (only) is yours");
    // The worktree was a mount itself, as in a container.
    let path = machine.project().canonicalize().expect("a path");
    note(&machine, "1", &json!({"claimed_mount": path}));
    machine.kinfra("status").exits(0).prints("holds no slot");
    machine.kinfra("claim").exits(0).prints("Claimed slot 2");
    fs::rename(machine.project(), machine.path("~/copy")).expect("a move");
    fs::rename(machine.path("~/aside"), machine.project()).expect("a move");
    machine.kinfra("status").exits(0).prints("Slot 1 (only) is yours");
}

/// Changes keys of a slot in the registry.
fn note(machine: &Machine, slot: &str, keys: &Value) {
    let mut registry: Value = serde_json::from_str(&machine.read(REGISTRY)).expect("JSON");
    let entry = registry["slots"][slot].as_object_mut().expect("a slot");
    entry.extend(keys.as_object().expect("an object").clone());
    machine.write(REGISTRY, format!("{registry:#}\n"));
}

#[test]
fn a_copy_of_a_linked_worktree_is_not_the_worktree() {
    let machine = applied();
    machine.edit_spec("1-2", "1-4");
    machine.repository(machine.project());
    machine.kinfra("apply").exits(0);
    let tree = machine.worktree("fix");
    run_in(&machine, &tree, "claim --slot 3").exits(0);
    copy(&machine, "~/fix", "~/copy");
    let copied = machine.path("~/copy");
    run_in(&machine, &copied, "status").exits(0).prints("holds no slot");
    let token = entry(&machine, "3")["claimed_token"].clone();
    run_in(&machine, &tree, "release").exits(0);
    let gitdir = machine.project().canonicalize().expect("a path").join(".git/worktrees/fix");
    let left = json!({"by": tree, "gitdir": gitdir, "token": token, "at": "2126-03-01T09:22:10+00:00",
        "remains": "data"});
    note(
        &machine,
        "3",
        &json!({"started_at": "2026-03-01T09:22:10+00:00", "started_as": "small-slot-3", "left": left}),
    );
    // It leads to the repository, which does not know of it.
    run_in(&machine, &copied, "claim").exits(4).says("you have not applied");
    run_in(&machine, &copied, "apply").exits(0);
    run_in(&machine, &copied, "claim").exits(0).prints("Claimed slot 1").never_says("volumes");
    assert!(!entry(&machine, "1").contains_key("claimed_token"), "the token is the other's");
    run_in(&machine, &tree, "claim").exits(0).says("Slot 3 has the volumes of this worktree's last claim");
}

#[test]
fn a_machine_with_a_new_name_is_the_same_one() {
    let machine = applied();
    let tree = machine.worktree("fix");
    fs::create_dir(machine.path("~/plain")).expect("a directory");
    let hold = || {
        run_in(&machine, &tree, "claim").exits(0);
        machine.kinfra("claim --for ../home/plain").exits(0);
        for slot in ["1", "2"] {
            note(&machine, slot, &json!({"claimed_host": "old-name"}));
        }
    };
    hold();
    run_in(&machine, &tree, "exec -- true").exits(0);
    run_in(&machine, &tree, "claim").exits(0).prints("is yours already");
    note(&machine, "1", &json!({"claimed_host": "old-name"}));
    machine.git(machine.project(), &format!("worktree remove --force {}", tree.display()));
    machine.remove("~/plain");
    // A slot of a directory that is gone is released by its path.
    machine.kinfra("release --for ../home/plain").exits(0).prints("Released slot 2");
    machine.kinfra("slots").exits(0).prints("orphaned");
    machine.kinfra("reap --auto-approve").exits(0).says("Released slot 1");
}

#[test]
fn a_directory_that_is_missing_elsewhere_is_not_gone() {
    let machine = applied();
    let tree = machine.worktree("fix");
    fs::create_dir(machine.path("~/plain")).expect("a directory");
    run_in(&machine, &tree, "claim").exits(0);
    machine.kinfra("claim --for ../home/plain").exits(0);
    machine.git(machine.project(), &format!("worktree remove --force {}", tree.display()));
    machine.remove("~/plain");
    // Another container of the same name, with another disk and another repository at the same paths.
    let other = json!({"claimed_above": "1:2:3"});
    note(&machine, "1", &other);
    note(&machine, "1", &json!({"claimed_repository": "1:2:3"}));
    note(&machine, "2", &other);
    machine.kinfra("release --for ../home/plain").exits(0).prints("holds no slot");
    let reaped = machine.kinfra("reap --auto-approve").exits(0).prints("Reap: 0 to release.");
    reaped.prints("(`kinfra release 1 --force` if it is not in use)").prints("release 2 --force");
    machine.kinfra("slots").exits(0).prints("missing");
    // Git's word counts whatever became of the directory above.
    let repository = machine.project().join(".git");
    let place = entry(&machine, "1")["claimed_place"].as_str().expect("a place").to_owned();
    let device = place.split(':').next().expect("a device").to_owned();
    let inode = fs::metadata(&repository).expect("a repository").ino();
    note(&machine, "1", &json!({"claimed_repository": format!("{device}:{inode}")}));
    machine.kinfra("reap --auto-approve").exits(0).says("Released slot 1");
}

#[test]
#[ignore = "needs root, to mount"]
fn a_checkout_that_is_mounted_at_a_second_place_is_one_holder() {
    let machine = applied();
    fs::create_dir(machine.path("~/second")).expect("a directory");
    machine.kinfra("claim").exits(0).prints("Claimed slot 1");
    let there = |arguments: &str| {
        let script = "mount --bind \"$0\" ~/second && cd ~/second && exec \"$@\"";
        Run::of(&mut disk::among_mounts(&machine.command(arguments), script, &machine.project()))
    };
    there("claim").exits(0).prints("Slot 1 (only) is yours already");
    there("status").exits(0).prints("Slot 1 (only) is yours");
    assert!(machine.read(".env.sandbox").starts_with("# Slot 1, "));
    assert!(entry(&machine, "2").get("claimed_by").is_none_or(Value::is_null));
    there("release").exits(0).prints("Released slot 1");
    assert!(!machine.exists(".env.sandbox"));
    there("claim").exits(0).prints("Claimed slot 1");
}
