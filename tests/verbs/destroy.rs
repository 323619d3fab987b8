//! `kinfra destroy`: removes slots that are not in use. The rest stays and is named.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Machine, Run};
use crate::verbs::doctor::fake_docker;

/// Destroys, with the stand-in for docker listing these Compose projects and volumes.
fn destroy(machine: &Machine, projects: &str, volumes: &str) -> Run {
    let mut command = machine.command("destroy --auto-approve");
    Run::of(command.env("PATH", fake_docker()).env("CONTAINERS", projects).env("VOLUMES", volumes))
}

fn applied() -> Machine {
    let machine = Machine::small();
    machine.edit_spec("1-2", "1-4");
    machine.kinfra("apply").exits(0);
    machine
}

#[test]
fn an_unused_pool_goes_but_for_its_registry() {
    let machine = applied();
    let before = machine.tree();
    machine.kinfra("destroy").exits(4).prints("  - Would remove slot 4\n").says("give --auto-approve");
    machine.kinfra("destroy --dry-run").exits(0).prints("Plan: 0 to add, 0 to change, 4 to destroy.");
    assert_eq!(machine.tree(), before);
    let run = destroy(&machine, "", "small-slot-1 data\nother-slot-1 theirs\nsmall-slot-2 logs").exits(0);
    let run = run.says("Removed 4 slots").says("\n\nDestroy complete! 4 destroyed.\n");
    let run = run.says("Volumes of removed slots stay, `docker volume rm` removes them: data, logs\n");
    run.says("The registry, its backup, the journal and the lock stay in `").never_says("theirs");
    let mut left: Vec<_> = fs::read_dir(machine.path("~/pool"))
        .expect("a root")
        .map(|entry| entry.expect("an entry").file_name())
        .collect();
    left.sort();
    assert_eq!(left, [".lock", ".tmp", "journal", "registry.json", "registry.json.bak"]);
    machine.kinfra("slots --json").exits(0).prints("\"slots\": []");
    // A second destroy, and a new apply.
    let again = destroy(&machine, "", "").exits(0).prints("No changes: the pool has no slots.\n");
    again.says("0 destroyed").never_says("slots.toml says");
    machine.kinfra("apply").exits(0).says("Created 4 slot(s)");
}

#[test]
fn a_slot_in_use_stays_and_is_named() {
    let machine = applied();
    machine.kinfra("claim --slot 1").exits(0);
    machine.write("~/pool/slot-3/notes.txt", "mine");
    let run = destroy(&machine, "small-slot-2", "error:no such plugin").exits(0);
    let run = run.says("Kept slot 1: held by ").says("2 destroyed.");
    let run = run.says("Kept slot 2: it has containers: `kinfra down` in its worktree first\n");
    let run = run.says("Removed slot 3, but for notes.txt: it stays registered until that is moved away\n");
    let run =
        run.prints("  ! Slot 1: held by ").says("Kept slot 3: notes.txt in it, which kinfra did not write\n");
    let run = run.says("Kept 2 slots\n").never_says("no longer in slots.toml").never_says("Apply complete");
    run.says("Docker does not say which volumes stay: no such plugin\n");
    assert!(machine.exists("~/pool/slot-1/conf.txt") && machine.exists("~/pool/slot-2/conf.txt"));
    assert!(machine.exists("~/pool/slot-3/notes.txt") && !machine.exists("~/pool/slot-4"));
}

#[test]
fn where_there_is_no_pool_there_is_nothing_to_destroy() {
    let machine = Machine::small();
    machine.kinfra("destroy").exits(0).says("nothing to destroy");
    assert!(machine.tree().is_empty());
}

/// The id of the pool's registry.
fn id(machine: &Machine) -> String {
    let registry: Value = serde_json::from_str(&machine.read("~/pool/registry.json")).expect("JSON");
    registry["id"].as_str().expect("an id").to_owned()
}

/// A volume as docker lists it, with kinfra's labels.
fn volume(name: &str, id: &str, slot: &str) -> String {
    json!([name, name, "small-slot", "", id, "/root", slot]).to_string()
}

/// An image as docker inspects it, with kinfra's labels.
fn image(id: &str, tags: &[&str], registry: &str, slot: &str) -> Value {
    let labels = json!({
        "com.docker.compose.project": format!("small-slot-{slot}"), "kinfra.id": registry, "kinfra.slot": slot,
    });
    json!([id, tags, 120_000_000, labels])
}

/// An applied pool of four slots, slot 1 of them claimed, and a command on it. Docker has volumes and images
/// of its slots and of others, and notes what it is asked.
fn with_data(arguments: &str) -> (Machine, Command) {
    let machine = applied();
    machine.kinfra("claim --slot 1").exits(0);
    let mut registry: Value = serde_json::from_str(&machine.read("~/pool/registry.json")).expect("JSON");
    registry["slots"]["4"]["started_at"] = "2026-03-01T09:22:10+00:00".into();
    registry["slots"]["4"]["started_as"] = "old-slot-4".into();
    machine.write("~/pool/registry.json", format!("{registry:#}\n"));
    let id = id(&machine);
    let volumes = [
        volume("held", &id, "1"),
        volume("pg", &id, "2"),
        volume("theirs", "ffff", "2"),
        // Of a slot that was removed earlier.
        volume("former", &id, "9"),
        "old-slot-4 recorded".to_owned(),
        // Only the name says whose it is.
        "small-slot-3 named".to_owned(),
    ];
    let images = [
        image("sha256:a", &["small-slot-2-web:one", "small-slot-2-web:two", "shop:dev"], &id, "2"),
        image("sha256:b", &["shop:dev"], &id, "2"),
        image("sha256:c", &[], &id, "3"),
        image("sha256:d", &["small-slot-2-web:theirs"], "ffff", "2"),
        image("sha256:e", &["small-slot-1-web:held"], &id, "1"),
    ];
    let images = images.map(|image| image.to_string()).join("\n");
    let mut command = machine.command(arguments);
    command.env("PATH", fake_docker()).env("CALLS", machine.path("~/calls")).env("CONTAINERS", "");
    command.env("VOLUMES", volumes.join("\n")).env("IMAGES", images);
    command.env("SIZES", r#"[{"Name":"pg","Size":"48.2MB"},{"Name":"former","Size":"N/A"}]"#);
    (machine, command)
}

/// What docker was asked to remove.
fn removals(machine: &Machine) -> Vec<String> {
    let calls = machine.read("~/calls");
    calls.lines().filter(|call| call.contains(" rm ")).map(str::to_owned).collect()
}

const LISTED: &str = "
With their volumes and images:
  - Would remove volume pg of slot 2 (48.2MB)
  - Would remove image small-slot-2-web:one of slot 2 (120MB)
  - Would remove image small-slot-2-web:two of slot 2 (120MB)
  - Would remove image sha256:c of slot 3 (120MB)
  - Would remove volume recorded of slot 4 (size unknown)
  - Would remove volume former of slot 9 (size unknown)
";

#[test]
fn data_is_listed_with_sizes_before_anything_is_asked() {
    for (arguments, code) in [("destroy --data --dry-run", 0), ("destroy --data", 4)] {
        let (machine, mut command) = with_data(arguments);
        let before = machine.tree();
        let run = Run::of(&mut command).exits(code).prints(LISTED).never_says("theirs");
        assert_eq!(code == 4, run.stderr.contains("give --auto-approve"), "{run:#?}");
        assert_eq!(removals(&machine), [""; 0]);
        machine.remove("~/calls");
        assert_eq!(machine.tree(), before);
    }
}

#[test]
fn data_goes_with_its_slot_and_that_of_others_stays() {
    let (machine, mut command) = with_data("destroy --data --auto-approve");
    let run = Run::of(&mut command).exits(0).prints(LISTED).says("3 destroyed.");
    let run = run.says("Removed volume pg of slot 2\n").says("Removed image sha256:c of slot 3\n");
    // The stand-in for docker forgets nothing.
    run.says("Volumes of removed slots stay, `docker volume rm` removes them: named, pg, recorded\n");
    assert_eq!(
        removals(&machine),
        [
            "volume rm pg",
            "image rm small-slot-2-web:one",
            "image rm small-slot-2-web:two",
            "image rm sha256:c",
            "volume rm recorded",
            "volume rm former",
        ]
    );
    assert!(machine.exists("~/pool/slot-1") && !machine.exists("~/pool/slot-2"));
}

#[test]
fn data_that_cannot_be_removed_is_named_and_the_rest_goes() {
    let (machine, mut command) = with_data("destroy --data --auto-approve");
    let run = Run::of(command.env("REMOVED", "error:volume is in use - [c0ffee]")).exits(1);
    let run = run.says("3 destroyed.").says("Failed volume pg of slot 2: volume is in use - [c0ffee]\n");
    run.says("Failed volume recorded of slot 4: ").never_says("Removed volume");
    assert_eq!(removals(&machine).len(), 6);
}

#[test]
fn the_data_of_a_slot_that_stays_after_all_stays() {
    let (machine, mut command) = with_data("destroy --data --auto-approve");
    machine.write("~/pool/slot-2/notes.txt", "mine");
    let run = Run::of(&mut command).exits(0).says("Removed slot 2, but for notes.txt");
    run.never_says("volume pg").prints("volume recorded of slot 4");
    assert!(removals(&machine).iter().all(|call| !call.contains("pg") && !call.contains("small-slot-2")));
}

#[test]
fn data_that_docker_does_not_tell_stops_a_destroy_before_it_begins() {
    let (machine, mut command) = with_data("destroy --data --auto-approve");
    let before = machine.tree();
    let run = Run::of(command.env("VOLUMES", "error:no such plugin")).exits(9);
    run.says("Docker does not say which volumes and images the slots have: no such plugin\n")
        .says("or leave --data out\n");
    machine.remove("~/calls");
    assert_eq!(machine.tree(), before);
    // Nor does a machine without Docker tell what was started on it.
    let run = machine.kinfra("destroy --data --auto-approve").exits(0).says("2 destroyed.");
    run.says("Kept slot 4: docker does not say whether it has containers (there is no `docker` command)\n")
        .prints("\nNo volumes and no images of these slots.\n");
}

#[test]
fn a_machine_without_docker_has_no_data_if_nothing_was_started() {
    let machine = applied();
    let run = machine.kinfra("destroy --data --auto-approve").exits(0).says("4 destroyed.");
    run.prints("\nNo volumes and no images of these slots.\n");
}

#[test]
fn a_slot_that_is_not_clean_stays_unless_its_data_goes_along() {
    let (machine, mut command) = with_data("destroy --dry-run");
    let not_clean = "  ! Slot 4: it is not clean: `kinfra clean 4` first\n";
    Run::of(&mut command).exits(0).prints(not_clean).prints("2 to destroy.");
    let mut registry: Value = serde_json::from_str(&machine.read("~/pool/registry.json")).expect("JSON");
    registry["slots"]["4"]["left"] =
        json!({ "by": "/src/search", "at": "2026-03-01T09:22:10+00:00", "remains": "data" });
    machine.write("~/pool/registry.json", format!("{registry:#}\n"));
    let keeps = "  ! Slot 4: it keeps the volumes of /src/search: `kinfra clean 4` removes them\n";
    Run::of(&mut command).exits(0).prints(keeps).prints("2 to destroy.");
    Run::of(command.arg("--data")).exits(0).prints("3 to destroy.").prints("volume recorded of slot 4");
}

#[test]
fn data_alone_needs_approval_too() {
    let (machine, mut command) = with_data("destroy --data");
    machine.kinfra("release 1 --force").exits(0);
    // What was noted of slot 4 is forgotten, so that it is clean without its data.
    let mut registry: Value = serde_json::from_str(&machine.read("~/pool/registry.json")).expect("JSON");
    let entry = registry["slots"]["4"].as_object_mut().expect("an entry");
    entry.retain(|key, _| !key.starts_with("started_"));
    machine.write("~/pool/registry.json", format!("{registry:#}\n"));
    machine.kinfra("destroy --auto-approve").exits(0).says("4 destroyed.");
    let run = Run::of(&mut command).exits(4).prints("No changes: the pool has no slots.\n");
    run.prints("  - Would remove volume pg of slot 2 (48.2MB)\n").says("give --auto-approve");
    assert_eq!(removals(&machine), [""; 0]);
    Run::of(command.arg("--auto-approve")).exits(0).says("Removed volume pg of slot 2\n");
    assert!(removals(&machine).contains(&"volume rm held".to_owned()));
}
