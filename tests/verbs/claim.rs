//! `kinfra claim` and `kinfra release`: which worktree gets a slot, and that no slot has two holders.

use std::fs;

use serde_json::Value;

use crate::support::{Machine, Run, has_no_file};

pub(crate) const REGISTRY: &str = "~/pool/registry.json";

/// An applied pool of two slots.
pub(super) fn applied() -> Machine {
    let machine = Machine::small();
    machine.kinfra("apply").exits(0);
    machine
}

/// Runs kinfra in a directory of the machine.
pub(super) fn run_in(machine: &Machine, directory: &str, arguments: &str) -> Run {
    let mut command = machine.command(arguments);
    command.arg("--spec").arg(machine.path("slots.toml"));
    Run::of(command.current_dir(machine.path(directory)))
}

pub(super) fn registry(machine: &Machine) -> Value {
    serde_json::from_str(&machine.read(REGISTRY)).expect("JSON")
}

/// The holder of a slot, as a path below the home or the project. Empty if the slot is free.
pub(super) fn holder(machine: &Machine, slot: &str) -> String {
    let registry = registry(machine);
    let claimed_by = registry["slots"][slot]["claimed_by"].as_str().unwrap_or_default().to_owned();
    for (short, path) in [("~", machine.home()), (".", machine.project())] {
        let path = path.canonicalize().expect("a directory");
        if let Some(below) = claimed_by.strip_prefix(path.to_str().expect("UTF-8")) {
            return format!("{short}{below}");
        }
    }
    claimed_by
}

pub(super) fn make_dirs(machine: &Machine, paths: &[&str]) {
    for path in paths {
        fs::create_dir_all(machine.path(path)).expect("a directory");
    }
}

#[test]
fn a_directory_gets_the_lowest_free_slot_and_keeps_it() {
    let machine = applied();
    machine
        .kinfra("claim")
        .exits(0)
        .prints_exactly("Claimed slot 1 (only)\n      files    ~/pool/slot-1\n      ports    WEB=8001\n");
    assert_eq!(holder(&machine, "1"), ".");
    let before = machine.tree();
    machine.kinfra("claim").exits(0).prints("Slot 1 (only) is yours already\n").prints("~/pool/slot-1\n");
    machine.kinfra("claim --slot 1").exits(0).prints("Slot 1 (only) is yours already\n");
    assert_eq!(machine.tree(), before);
    make_dirs(&machine, &["~/other"]);
    run_in(&machine, "~/other", "claim").exits(0).prints("Claimed slot 2 (only)\n");
    assert_eq!(holder(&machine, "2"), "~/other");
}

#[test]
fn the_owner_is_the_nearest_parent_that_holds_git_else_the_directory_itself() {
    let machine = applied();
    for (git, here, owner) in [
        (Some("~/tree/.git/HEAD"), "~/tree/src/deep", "~/tree"),
        (Some("~/tree/inner/.git"), "~/tree/inner/src", "~/tree/inner"),
        (None, "~/plain/below", "~/plain/below"),
    ] {
        if let Some(git) = git {
            machine.write(git, "gitdir: elsewhere\n");
        }
        make_dirs(&machine, &[here]);
        run_in(&machine, here, "claim").exits(0);
        assert_eq!(holder(&machine, "1"), owner);
        run_in(&machine, here, "release").exits(0).prints("Released slot 1, which was held by ");
    }
}

#[test]
fn a_real_worktree_of_git_is_an_owner_of_its_own() {
    let machine = applied();
    make_dirs(&machine, &["~/main"]);
    machine.repository(machine.path("~/main"));
    git(&machine, "~/main", "worktree add --quiet ../feature");
    make_dirs(&machine, &["~/feature/src", "~/main/src"]);
    run_in(&machine, "~/feature/src", "claim").exits(0);
    run_in(&machine, "~/main/src", "claim").exits(0);
    assert_eq!([holder(&machine, "1"), holder(&machine, "2")], ["~/feature", "~/main"]);
    run_in(&machine, "~/feature", "release").exits(0);
    assert_eq!([holder(&machine, "1"), holder(&machine, "2")], ["", "~/main"]);
}

#[test]
fn a_submodule_is_part_of_the_worktree_that_it_is_in() {
    let machine = applied();
    make_dirs(&machine, &["~/library", "~/main"]);
    machine.repository(machine.path("~/library"));
    for (at, arguments) in [
        ("~/main", "init --quiet"),
        ("~/main", "-c protocol.file.allow=always submodule --quiet add ../library lib"),
        ("~/main", "commit --quiet --message second"),
        ("~/main", "worktree add --quiet ../feature"),
        ("~/feature", "-c protocol.file.allow=always submodule --quiet update --init"),
    ] {
        git(&machine, at, arguments);
    }
    run_in(&machine, "~/feature/lib", "claim").exits(0);
    run_in(&machine, "~/main/lib", "claim").exits(0);
    assert_eq!([holder(&machine, "1"), holder(&machine, "2")], ["~/feature", "~/main"]);
    assert!(machine.exists("~/feature/.env.sandbox") && !machine.exists("~/feature/lib/.env.sandbox"));
    assert_eq!(git(&machine, "~/feature", "status --porcelain"), "");
    // A worktree of its own repository is one, wherever it is.
    git(&machine, "~/main/lib", "worktree add --quiet -b own ../../main/own");
    assert!(machine.exists("~/main/own/.git"));
    run_in(&machine, "~/main/own", "status").exits(0).prints("/main/own");
    // A submodule without a worktree around it stands for itself.
    run_in(&machine, "~/main", "release").exits(0);
    std::fs::rename(machine.path("~/main/lib"), machine.path("~/lib")).expect("a move");
    run_in(&machine, "~/lib", "claim").exits(0);
    assert_eq!(holder(&machine, "2"), "~/lib");
}

#[test]
fn a_repository_may_be_elsewhere_than_its_worktree() {
    let machine = applied();
    make_dirs(&machine, &["~/tree", "~/modules"]);
    git(&machine, "~/tree", "init --quiet --separate-git-dir ../modules/repo");
    run_in(&machine, "~/tree", "claim").exits(0);
    assert_eq!(holder(&machine, "1"), "~/tree");
    assert_eq!(git(&machine, "~/tree", "status --porcelain"), "");
    machine.kinfra("reap").exits(0).prints("Reap: 0 to release.\n");
}

/// Runs git with arguments that have no spaces in them. What it printed.
fn git(machine: &Machine, directory: &str, arguments: &str) -> String {
    machine.git(machine.path(directory), arguments)
}

#[test]
fn for_names_a_worktree_by_any_directory_in_it() {
    let machine = applied();
    machine.write("~/tree/.git", "");
    make_dirs(&machine, &["~/tree/below"]);
    std::os::unix::fs::symlink(machine.path("~/tree"), machine.path("link")).expect("a link");
    machine.kinfra("claim --for link/below/../below").exits(0).prints("Claimed slot 1");
    assert_eq!(holder(&machine, "1"), "~/tree");
    run_in(&machine, "~/tree/below", "env").exits(0).prints("KINFRA_SLOT='1'");
    run_in(&machine, "~/tree", "claim --for below").exits(0).prints("Slot 1 (only) is yours already");
    machine.kinfra("claim --for link").exits(0).prints("Slot 1 (only) is yours already");
    // The spec in the named worktree comes before the one in the current directory.
    machine.write("~/shop/slots.toml", machine.read("slots.toml").replace("~/pool", "~/shops"));
    machine.kinfra("claim --for ../home/shop").exits(3).says("/shop/slots.toml in `").says("/shops` yet");
    make_dirs(&machine, &["~/plain/below"]);
    machine.kinfra("claim --for ../home/plain/below").exits(0);
    assert_eq!(holder(&machine, "2"), "~/plain/below");
}

#[test]
fn for_refuses_a_path_that_is_no_directory() {
    let machine = applied();
    let before = machine.tree();
    for (path, why) in [
        ("nowhere", "`nowhere`, from --for, cannot hold a slot: it does not exist"),
        ("slots.toml", "`slots.toml`, from --for, cannot hold a slot: it is not a directory"),
        ("slots.toml/below", "from --for, cannot hold a slot: "),
    ] {
        machine.kinfra(&format!("claim --for {path}")).exits(64).says(why);
    }
    // As from a shell variable that is not set.
    Run::of(machine.command("claim --for").arg("")).exits(64).says("it names no directory");
    assert_eq!(machine.tree(), before);
}

#[test]
fn a_slot_can_be_asked_for() {
    let machine = applied();
    machine.kinfra("claim --slot 2").exits(0).prints("Claimed slot 2 (only)\n");
    make_dirs(&machine, &["~/other"]);
    let before = machine.tree();
    let other = |arguments: &str| run_in(&machine, "~/other", arguments);
    other("claim --slot 2").exits(4).says("error: slot 2 is held by ").says("/project since ");
    other("claim --slot 9").exits(3).says("the pool has no slot 9\nhelp: `kinfra slots` lists them");
    other("claim --slot 0").exits(64).says("slot 0 is the main stack");
    other("claim --slot 1-2").exits(64).says("write one slot id");
    machine
        .kinfra("claim --slot 1")
        .exits(4)
        .says("/project` holds slot 2 already\nhelp: run `kinfra release`");
    assert_eq!(machine.tree(), before);
    other("claim --slot 1").exits(0);
}

#[test]
fn a_full_pool_says_who_holds_what() {
    let machine = applied();
    make_dirs(&machine, &["~/a", "~/b"]);
    run_in(&machine, "~/a", "claim").exits(0);
    run_in(&machine, "~/b", "claim").exits(0);
    let before = machine.tree();
    let refused = machine.kinfra("claim").exits(3).prints_exactly("");
    let lines: Vec<&str> = refused.stderr.lines().collect();
    assert_eq!(lines[0], "error: no slot is free");
    assert!(lines[1].starts_with("  slot 1 is held by ~/a since 20"), "{lines:?}");
    assert!(lines[2].starts_with("  slot 2 is held by ~/b ") && lines[2].ends_with(" UTC"), "{lines:?}");
    assert_eq!(lines[3..], ["help: `--wait` waits for a slot"]);
    assert_eq!(machine.tree(), before);
}

#[test]
fn a_release_gives_back_what_the_owner_holds_and_may_be_repeated() {
    let machine = applied();
    machine.kinfra("release").exits(0).prints("/project` holds no slot\n");
    machine.kinfra("release 2").exits(0).prints_exactly("Slot 2 is free already\n");
    machine.kinfra("claim --slot 2").exits(0);
    machine.kinfra("release").exits(0).prints("Released slot 2, which was held by ");
    machine.kinfra("claim --slot 2").exits(0);
    machine.kinfra("release 2").exits(0).prints("Released slot 2, which was held by ");
    let before = machine.tree();
    machine.kinfra("release").exits(0).prints("holds no slot\n");
    machine.kinfra("release 2 --force").exits(0).prints_exactly("Slot 2 is free already\n");
    machine.kinfra("release 9").exits(3).says("the pool has no slot 9");
    assert_eq!(machine.tree(), before);
}

#[test]
fn the_slot_of_another_is_released_only_by_force() {
    let machine = applied();
    make_dirs(&machine, &["~/other"]);
    run_in(&machine, "~/other", "claim").exits(0);
    let before = machine.tree();
    let refused = machine.kinfra("release 1").exits(4);
    refused.says("slot 1 is held by ").says("~/other since ").says("`kinfra release 1 --force`");
    machine.kinfra("release").exits(0).prints("holds no slot\n");
    assert_eq!(machine.tree(), before);
    // Its directory may be gone by then.
    machine.remove("~/other");
    machine.kinfra("release 1 --force").exits(0).prints("which was held by ").prints("~/other since ");
    assert_eq!(holder(&machine, "1"), "");
}

#[test]
fn a_verb_of_a_slot_takes_the_worktree_of_another_directory() {
    let machine = applied();
    make_dirs(&machine, &["~/other"]);
    run_in(&machine, "~/other", "claim --lease 8h").exits(0);
    machine.kinfra("status --for ../home/other").exits(0).prints("Slot 1 (only) is yours");
    machine.kinfra("env --for ../home/other").exits(0).prints("'small-slot-1'");
    machine.kinfra("exec --for ../home/other /usr/bin/env").exits(0).prints("SLOT_ID=1\n");
    machine.kinfra("renew --for ../home/other --lease 2h").exits(0).prints("Slot 1 is yours for 2h, until ");
    for arguments in [
        "release 1",
        "release --claim-id 00000000000000000000000000000001",
        "renew --claim-id \
        00000000000000000000000000000001",
    ] {
        machine.kinfra(&format!("{arguments} --for ../home/other")).exits(64).says("cannot be used with");
    }
    machine.kinfra("release --for ../home/none").exits(0).prints("`~/none` holds no slot\n");
    machine.kinfra("release --for slots.toml").exits(0).prints("slots.toml` holds no slot\n");
    machine.kinfra("env --for slots.toml").exits(64).says("`slots.toml`, from --for, is no directory");
    for verb in ["status", "env", "exec", "down", "logs", "compose"] {
        let rest = if verb == "exec" { "-- true" } else { "" };
        let run = machine.kinfra(&format!("{verb} --for ../home/none {rest}")).exits(64);
        run.says("`../home/none`, from --for, does not exist, and no claim has it");
    }
    machine.kinfra("release").exits(0).prints("holds no slot");
    machine
        .kinfra("release --for ../home/other")
        .exits(0)
        .prints("Released slot 1, which was held by ~/other");
    assert_eq!(holder(&machine, "1"), "");
    // A file is where the directory was.
    machine.kinfra("claim --for ../home/other").exits(0);
    std::fs::remove_dir_all(machine.path("~/other")).expect("a directory");
    machine.write("~/other", "");
    machine.kinfra("release --for ../home/other").exits(0).prints("Released slot 1");
}

#[test]
fn without_an_applied_pool_there_is_nothing_to_claim_and_nothing_is_written() {
    let machine = Machine::small();
    for existing in [false, true] {
        if existing {
            make_dirs(&machine, &["~/pool"]);
        }
        let before = machine.tree();
        for verb in ["claim", "claim --slot 1", "release 1 --force"] {
            machine.kinfra(verb).exits(3).says("/pool` yet\nhelp: `kinfra apply` creates it");
        }
        // No claim was ever made, so a hook that releases succeeds.
        machine.kinfra("release").exits(0).prints("` holds no slot\n");
        assert_eq!(machine.tree(), before);
    }
}

#[test]
fn a_slot_whose_files_are_not_kinfra_s_is_passed_over() {
    let lose_file: fn(&Machine) = |machine| machine.remove("~/pool/slot-1/conf.txt");
    let lose_all: fn(&Machine) = |machine| machine.remove("~/pool/slot-1");
    let link: fn(&Machine) = |machine| {
        machine.remove("~/pool/slot-1");
        let [from, to] = ["~/pool/slot-2", "~/pool/slot-1"].map(|path| machine.path(path));
        std::os::unix::fs::symlink(from, to).expect("a link");
    };
    let forget: fn(&Machine) = |machine| {
        let mut registry = registry(machine);
        registry["slots"]["1"].as_object_mut().expect("an entry").remove("files");
        machine.write(REGISTRY, format!("{registry:#}\n"));
    };
    for (damage, why) in [
        (lose_file, "its conf.txt is not there"),
        (lose_all, "its conf.txt is not there"),
        (link, "its conf.txt is not there"),
        (forget, "kinfra did not write its files"),
    ] {
        let machine = applied();
        damage(&machine);
        let refused = format!("slot 1 cannot be claimed: {why}\nhelp: see `kinfra plan`\n");
        machine.kinfra("claim --slot 1").exits(4).says(&refused);
        machine.kinfra("claim").exits(0).prints("Claimed slot 2 (only)\n");
        make_dirs(&machine, &["~/other"]);
        run_in(&machine, "~/other", "claim")
            .exits(3)
            .says(&format!("\n  slot 1 is free, but {why}\n"))
            .says("\nhelp: slot 1: see `kinfra plan`\n");
        // A holder keeps its slot, whatever becomes of the files.
        machine.remove("~/pool/slot-2");
        machine.kinfra("claim").exits(0).prints("Slot 2 (only) is yours already");
    }
}

#[test]
fn an_edited_slot_is_given_only_by_its_number() {
    let machine = applied();
    machine.write("~/pool/slot-1/conf.txt", "slot 1 on 9999\n");
    machine.kinfra("claim").exits(0).prints("Claimed slot 2");
    make_dirs(&machine, &["~/other"]);
    run_in(&machine, "~/other", "claim")
        .exits(3)
        .says("\n  slot 1 is free, but its conf.txt was edited by hand\n")
        .says("\nhelp: slot 1: take it as it is with `kinfra claim --slot 1`\n");
    run_in(&machine, "~/other", "claim --slot 1").exits(0).prints("Claimed slot 1");
    assert_eq!(machine.read("~/pool/slot-1/conf.txt"), "slot 1 on 9999\n");
}

#[test]
fn a_slot_that_is_older_than_the_spec_carries_its_own_ports() {
    let machine = applied();
    machine.edit_spec("web = 8000", "web = 9000");
    machine.kinfra("claim").exits(0).prints("Claimed slot 1").prints("WEB=8001");
}

#[test]
fn claims_as_json_have_the_entry_s_fields_at_the_top() {
    let machine = applied();
    let claimed = machine.kinfra("claim --json").exits(0);
    let document: Value = serde_json::from_str(&claimed.stdout).expect("JSON");
    assert_eq!((&document["slot_id"], &document["format_version"]), (&1.into(), &"1.0".into()));
    let registry = registry(&machine);
    let entry = registry["slots"]["1"].as_object().expect("an entry");
    assert!(entry.iter().all(|(key, value)| document[key] == *value), "{document:#}");
    assert_eq!(holder(&machine, "1"), ".");
    // The same again, byte for byte.
    machine.kinfra("claim --json").exits(0).prints_exactly(&claimed.stdout);
}

#[test]
fn a_claim_says_where_the_slot_is_now() {
    if has_no_file("a server knows a root by its path") {
        return;
    }
    let machine = applied();
    fs::rename(machine.path("~/pool"), machine.path("~/moved")).expect("a moved root");
    // Until it is applied there, only a root that is named is trusted.
    let claimed = machine.kinfra("claim --json --root ~/moved").exits(0).prints("/home/moved/slot-1\"");
    claimed.never_says("/home/pool");
    machine.kinfra("claim --root ~/moved").exits(0).prints("files    ~/moved/slot-1\n");
    assert!(machine.read("~/moved/registry.json").contains("/home/pool/slot-1"), "apply's to change");
}

#[test]
fn claim_and_apply_each_keep_to_their_own_fields() {
    let machine = applied();
    let fields = |keep: fn(&str) -> bool| -> Value {
        let mut registry = registry(&machine);
        for entry in registry["slots"].as_object_mut().expect("slots").values_mut() {
            entry.as_object_mut().expect("an entry").retain(|key, _| keep(key));
        }
        registry
    };
    let of_claim: fn(&str) -> bool = |key| key.starts_with("claim");
    let of_apply: fn(&str) -> bool = |key| !key.starts_with("claim");
    let applied = fields(of_apply);
    machine.kinfra("claim --slot 2").exits(0);
    assert_eq!(fields(of_apply), applied);
    let claimed = fields(of_claim);
    // Creating, restoring and adopting leave the claim as it is.
    machine.remove("~/pool/slot-2/conf.txt");
    machine.edit_spec("ids = \"1-2\"", "ids = \"1-3\"");
    machine.kinfra("apply").exits(0).says("Restored slot 2").says("Created slot 3");
    let now = fields(of_claim);
    assert_eq!(now["slots"]["2"], claimed["slots"]["2"]);
    let applied = fields(of_apply);
    machine.kinfra("release").exits(0);
    assert_eq!(fields(of_apply), applied);
}

#[test]
fn many_at_once_get_a_slot_each_or_none() {
    let machine = Machine::small();
    machine.edit_spec("ids = \"1-2\"", "ids = \"1-5\"");
    machine.kinfra("apply").exits(0);
    let trees: Vec<String> = (0..16).map(|number| format!("~/tree-{number}")).collect();
    make_dirs(&machine, &trees.iter().map(String::as_str).collect::<Vec<_>>());
    let codes: Vec<_> = std::thread::scope(|scope| {
        let claims =
            trees.iter().map(|tree| scope.spawn(|| run_in(&machine, tree, "claim --lock-timeout 1m").code));
        let claims: Vec<_> = claims.collect();
        claims.into_iter().map(|claim| claim.join().expect("a claim")).collect()
    });
    assert_eq!(codes.iter().filter(|code| **code == Some(0)).count(), 5, "{codes:?}");
    assert_eq!(codes.iter().filter(|code| **code == Some(3)).count(), 11, "{codes:?}");
    let holders: std::collections::BTreeSet<_> =
        (1..=5).map(|slot| holder(&machine, &slot.to_string())).collect();
    assert!(holders.len() == 5 && !holders.contains(""), "{holders:?}");
}

#[test]
fn foreign_text_cannot_steer_the_terminal() {
    let machine = applied();
    machine.kinfra("claim").exits(0);
    let mut registry = registry(&machine);
    registry["slots"]["1"]["claimed_by"] = "/a\u{1b}[31m\nb".into();
    registry["slots"]["1"]["claimed_at"] = "\u{7}".into();
    machine.write(REGISTRY, format!("{registry:#}\n"));
    let escaped = "slot 1 is held by /a\\u{1b}[31m\\u{a}b since \\u{7}";
    machine.kinfra("release 1").exits(4).says(escaped).never_says("\u{1b}").never_says("\u{7}");
    machine.kinfra("claim --slot 1").exits(4).says(escaped);
}
