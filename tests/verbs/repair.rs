//! `kinfra doctor --repair`: known entries come back, no slot in use comes back free, the broken file is
//! kept.

use std::fs;
use std::os::unix::fs::symlink;

use serde_json::Value;

use crate::support::{Machine, Run, without_id};
use crate::verbs::doctor::fake_docker;

const REGISTRY: &str = "~/pool/registry.json";
const BACKUP: &str = "~/pool/registry.json.bak";

/// An applied pool of two slots, whose claims write a file.
fn applied() -> Machine {
    let machine = Machine::small();
    let spec = machine.read("slots.toml");
    machine.spec(&format!("{spec}\n[claim]\n\"override.txt\" = \"conf.txt\"\n"));
    machine.kinfra("apply").exits(0);
    machine
}

/// Cuts the registry off after some text in it.
fn cut_after(machine: &Machine, text: &str) {
    let whole = machine.read(REGISTRY);
    let end = whole.find(text).expect("the text") + text.len();
    machine.write(REGISTRY, &whole[..end]);
}

/// Runs a repair, with the stand-in for docker listing these Compose projects.
fn repair(machine: &Machine, projects: &str) -> Run {
    let mut command = machine.command("doctor --repair --auto-approve");
    Run::of(command.env("PATH", fake_docker()).env("CONTAINERS", projects))
}

/// The names of the files that repairs kept, sorted.
fn kept(machine: &Machine) -> Vec<String> {
    let entries = fs::read_dir(machine.path("~/pool")).expect("a root");
    let names = entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"));
    let mut kept: Vec<_> = names.filter(|name| name.contains(".broken-")).collect();
    kept.sort();
    kept
}

/// The holder of a slot.
fn holder(machine: &Machine, slot: &str) -> Value {
    let registry: Value = serde_json::from_str(&machine.read(REGISTRY)).expect("JSON");
    registry["slots"][slot]["claimed_by"].clone()
}

#[test]
fn without_a_terminal_it_shows_and_refuses() {
    let machine = applied();
    cut_after(&machine, "\"workers\"");
    let before = machine.tree();
    let run = machine.kinfra("doctor --repair").exits(4).says("give --auto-approve");
    let run = run
        .prints("registry.json` is corrupt: line 9, column 15: the text ends in the middle")
        .never_says("nothing was changed");
    let run = run.prints("  + Would restore 2 slots from the backup\n");
    run.prints("  = Would keep the broken registry.json as registry.json.broken-20");
    assert_eq!(machine.tree(), before);
    machine.kinfra("doctor --auto-approve").exits(64);
}

#[test]
fn a_registry_that_can_be_read_needs_no_repair() {
    let machine = Machine::small();
    machine.kinfra("doctor --repair").exits(0).prints("/pool` is not there yet: there is nothing to repair");
    machine.kinfra("apply").exits(0);
    let before = machine.tree();
    for repair in ["doctor --repair", "doctor --repair --auto-approve"] {
        machine.kinfra(repair).exits(0).prints("/registry.json` can be read: there is nothing to repair.\n");
    }
    assert_eq!(machine.tree(), before);
}

#[test]
fn the_backup_comes_back() {
    let machine = applied();
    machine.kinfra("claim --slot 2").exits(0);
    let whole = machine.read(REGISTRY);
    machine.write(REGISTRY, "broken");
    let run = repair(&machine, "").exits(0).prints("  + Would restore 2 slots from the backup\n");
    let run = run.prints("      slot 2  held by ").prints("Repaired the registry. `kinfra plan` shows ");
    // No save came after the claim.
    run.prints("/project since ");
    assert_eq!([machine.read(REGISTRY), machine.read(BACKUP)], [whole.clone(), whole]);
    assert_eq!(kept(&machine).len(), 1);
    assert_eq!(machine.read(&format!("~/pool/{}", kept(&machine)[0])), "broken");
    machine.kinfra("plan --detailed-exitcode").exits(0);
    machine.kinfra("release").exits(0).prints("Released slot 2");
}

#[test]
fn the_last_claim_is_in_the_backup_too() {
    for vanish in
        [(|machine| machine.remove(REGISTRY)) as fn(&Machine), |machine| machine.write(REGISTRY, "")]
    {
        let machine = applied();
        machine.kinfra("claim").exits(0);
        vanish(&machine);
        repair(&machine, "").exits(0).prints("      slot 1  held by ");
        machine.kinfra("claim").exits(0).prints("Slot 1 (only) is yours already");
    }
}

#[test]
fn a_registry_that_vanished_comes_back() {
    let machine = applied();
    let whole = machine.read(REGISTRY);
    machine.remove(REGISTRY);
    repair(&machine, "").exits(0).prints("registry.json` vanished, but ").never_says("Would keep");
    assert_eq!(machine.read(REGISTRY), whole);
    assert_eq!(kept(&machine), [""; 0]);
}

#[test]
fn without_a_backup_the_slot_directories_tell() {
    let machine = applied();
    machine.edit_spec("ids = \"1-2\"", "ids = \"1-4\"");
    machine.kinfra("apply").exits(0);
    let whole = machine.read(REGISTRY);
    machine.write("~/pool/slot-3/conf.txt", "mine");
    machine.remove("~/pool/slot-4");
    machine.write(REGISTRY, "");
    machine.write(BACKUP, "{");
    let run = repair(&machine, "").exits(0).prints("  + Would register 3 slots from the slot directories\n");
    run.prints("Would keep the broken registry.json.bak as registry.json.bak.broken-20");
    let kept = kept(&machine);
    assert_eq!(
        kept.iter().map(|name| machine.read(&format!("~/pool/{name}"))).collect::<Vec<_>>(),
        ["{", ""]
    );
    assert_eq!(machine.read(BACKUP), machine.read(REGISTRY));
    // Slots that are right are kinfra's again. Those that differ are left to the user.
    let plan = machine.kinfra("plan").exits(0).prints("  = Slot 2: already exists, skipping\n");
    plan.prints("  ! Slot 3: already exists, skipping: conf.txt differs (--overwrite)\n")
        .prints("create slot 4");
    machine.kinfra("claim --slot 3").exits(4);
    machine.write("~/pool/slot-3/conf.txt", "slot 3 on 8003\n");
    machine.kinfra("apply").exits(0);
    assert_eq!(without_id(&machine.read(REGISTRY)), without_id(&whole));
}

#[test]
fn a_repair_that_is_repeated_at_once_keeps_every_broken_file() {
    let machine = applied();
    for text in ["first", "second", "third"] {
        machine.write(REGISTRY, text);
        machine.write(BACKUP, text);
        repair(&machine, "").exits(0);
    }
    let mut texts: Vec<_> =
        kept(&machine).iter().map(|name| machine.read(&format!("~/pool/{name}"))).collect();
    texts.sort();
    assert_eq!(texts, ["first", "first", "second", "second", "third", "third"]);
}

#[test]
fn a_registry_that_is_no_file_is_kept_too() {
    let directory: fn(&Machine) = |machine| machine.write("~/pool/registry.json/notes.txt", "mine");
    let link: fn(&Machine) = |machine| symlink("/nowhere", machine.path(REGISTRY)).expect("a link");
    let fifo: fn(&Machine) = |machine| {
        Run::of(machine.program("mkfifo").arg(machine.path(REGISTRY))).exits(0);
    };
    for replace in [directory, link, fifo] {
        let machine = applied();
        let whole = machine.read(REGISTRY);
        machine.remove(REGISTRY);
        replace(&machine);
        let kind = |path: &str| machine.path(path).symlink_metadata().expect("metadata").file_type();
        let broken = kind(REGISTRY);
        repair(&machine, "").exits(0);
        assert_eq!(machine.read(REGISTRY), whole);
        assert_eq!(kind(&format!("~/pool/{}", kept(&machine)[0])), broken);
    }
}

#[test]
fn claims_that_are_still_legible_come_back() {
    let machine = applied();
    machine.kinfra("claim --slot 2").exits(0);
    let at = machine.read(REGISTRY);
    let at =
        at.split("\"claimed_at\": ").nth(2).expect("a time").split(',').next().expect("a time").to_owned();
    // The backup is older than the claim, the rest of the registry is not.
    cut_after(&machine, &at);
    repair(&machine, "").exits(0).prints("      slot 2  held by ").prints("/project since ");
    assert!(machine.read(REGISTRY).contains(&at));
    machine.kinfra("claim").exits(0).prints("Slot 2 (only) is yours already");

    // The same without a backup, and with the holder cut in two.
    machine.remove(BACKUP);
    cut_after(&machine, "/proj");
    let run = repair(&machine, "").exits(0).prints("  + Would register 2 slots");
    run.prints("      slot 2  held by unknown: `kinfra release 2 --force` once it is no longer used\n");
    machine.kinfra("release 2").exits(4).says("slot 2 is held by unknown\nhelp: `kinfra release 2 --force`");
}

#[test]
fn a_slot_that_is_claimed_and_gone_from_disk_and_spec_comes_back() {
    let machine = applied();
    machine.kinfra("claim --slot 2").exits(0);
    machine.edit_spec("ids = \"1-2\"", "ids = \"1\"");
    machine.remove("~/pool/slot-2");
    machine.remove(BACKUP);
    let whole = machine.read(REGISTRY);
    machine.write(REGISTRY, whole.trim_end().trim_end_matches('}'));
    repair(&machine, "").exits(0).prints("  + Would register 2 slots").prints("slot 2  held by ");
    machine.kinfra("plan").exits(0).prints("Slot 2: no longer in slots.toml");
    machine.kinfra("release").exits(0).prints("Released slot 2");
}

#[test]
fn a_slot_with_containers_comes_back_held_by_unknown() {
    let machine = applied();
    machine.write("~/pool/slot-7/notes.txt", "");
    for backup in [true, false] {
        machine.write(REGISTRY, "");
        if !backup {
            machine.remove(BACKUP);
        }
        let projects = "small-slot-1\nother-slot-2\nsmall-slot-22\nsmall-slot-7";
        let run = repair(&machine, projects).exits(0).never_says("slot 2  held");
        run.prints("      slot 1  held by unknown: `kinfra release 1 --force` once it is no longer used\n");
        assert_eq!(
            ["1", "2", "7"].map(|slot| holder(&machine, slot)),
            ["unknown".into(), Value::Null, "unknown".into()]
        );
        machine
            .kinfra("release 1")
            .exits(4)
            .says("slot 1 is held by unknown\nhelp: `kinfra release 1 --force` once it is no longer used");
        machine.kinfra("claim --slot 1").exits(4);
    }
    machine
        .kinfra("release 1 --force")
        .exits(0)
        .prints_exactly("Released slot 1, which was held by unknown\n");
    machine.kinfra("claim").exits(0).prints("Claimed slot 1");
}

#[test]
fn a_slot_with_the_files_of_a_claim_comes_back_held_by_unknown() {
    let machine = applied();
    machine.write("~/pool/slot-2/override.txt", "of some worktree");
    machine.write(REGISTRY, "");
    repair(&machine, "").exits(0).prints("slot 2  held by unknown").never_says("slot 1  held");
    assert_eq!(["1", "2"].map(|slot| holder(&machine, slot)), [Value::Null, "unknown".into()]);
}

#[test]
fn a_docker_without_an_answer_stops_a_repair() {
    let machine = applied();
    machine.write(REGISTRY, "");
    let before = machine.tree();
    repair(&machine, "error:permission denied")
        .exits(9)
        .says("which slots have containers (permission denied)");
    assert_eq!(machine.tree(), before);
    // A daemon that cannot be reached may run something. Only a machine without Docker has nothing.
    let none = "error:Cannot connect to the Docker daemon at unix:///nowhere. Is the docker daemon running?";
    repair(&machine, none).exits(9).says("which slots have containers (Docker does not answer)");
    assert_eq!(machine.tree(), before);
    let mut command = machine.command("doctor --repair --auto-approve");
    Run::of(command.env("PATH", machine.project())).exits(0);
}

#[test]
fn a_port_that_moved_on_since_the_backup_does_not_stop_a_repair() {
    let machine = applied();
    machine.edit_spec("ids = \"1-2\"", "ids = \"1-3\"");
    machine.edit_spec("web = 8000", "web = 7999");
    machine.write("~/pool/slot-3/conf.txt", "");
    machine.write(REGISTRY, "");
    repair(&machine, "").exits(0).prints("  + Would restore 3 slots");
    machine.kinfra("plan").exits(0).prints("Slot 3: ");
}
