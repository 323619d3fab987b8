//! Changing an existing pool: what each flag does to each difference. The plan afterwards is empty or says
//! exactly what is blocked.

use std::fs;

use serde_json::Value;

use crate::support::{Machine, Run};
use crate::verbs::doctor::fake_docker;

const REGISTRY: &str = "~/pool/registry.json";

/// An applied pool of slots 1 to 3, each with its port in a file.
fn applied() -> Machine {
    let machine = Machine::small();
    machine.edit_spec("1-2", "1-3");
    machine.kinfra("apply").exits(0);
    machine
}

fn entry(machine: &Machine, slot: &str) -> Value {
    let registry: Value = serde_json::from_str(&machine.read(REGISTRY)).expect("JSON");
    registry["slots"][slot].clone()
}

fn claim(machine: &Machine, slot: u16) {
    let dir = machine.path(&format!("~/tree-{slot}"));
    fs::create_dir_all(&dir).expect("a worktree");
    machine.kinfra(&format!("claim --slot {slot} --for {}", dir.display())).exits(0);
}

/// Applies with these flags, without asking.
fn apply(machine: &Machine, flags: &str) -> Run {
    machine.kinfra(&format!("apply --auto-approve {flags}")).never_says("panicked")
}

/// Asserts that nothing is left to do or blocked.
#[track_caller]
fn is_settled(machine: &Machine) {
    machine.kinfra("plan --detailed-exitcode --update --overwrite --prune --include-claimed").exits(0);
    assert!(!machine.read(REGISTRY).contains("pending"));
    let names = fs::read_dir(machine.path("~/pool/.tmp")).expect("a directory").count();
    assert_eq!(names, 0, "something is left among the temporary files");
}

#[test]
fn an_outdated_file_is_updated_when_asked() {
    let machine = applied();
    machine.template("conf.txt", "slot {{ slot.id }} listens on {{ ports.web }}\n");
    let line = "  ! Slots 1-3: conf.txt differs from slots.toml (--update)\n";
    machine.kinfra("plan").exits(0).prints(line).prints("Blocked: 3 to change (--update).");
    let before = machine.tree();
    apply(&machine, "").exits(0).prints(line).says("0 added, 0 changed, 0 destroyed.");
    assert_eq!(machine.tree(), before);
    let plan = machine.kinfra("plan --update").exits(0).prints("  ~ Would update slot 2: conf.txt\n");
    plan.prints("Plan: 0 to add, 3 to change, 0 to destroy.\n").never_says("Blocked");
    assert_eq!(machine.tree(), before);
    apply(&machine, "--update")
        .exits(0)
        .says("Updated slot 2: conf.txt\n")
        .says("0 added, 3 changed, 0 destroyed.");
    assert_eq!(machine.read("~/pool/slot-2/conf.txt"), "slot 2 listens on 8002\n");
    assert_eq!(machine.mode("~/pool/slot-2/conf.txt"), 0o600);
    is_settled(&machine);
    assert!(!machine.exists("~/pool/backups"), "nothing of anybody else was overwritten");
}

#[test]
fn only_some_slots_are_changed_when_some_are_named() {
    let machine = applied();
    machine.template("conf.txt", "new {{ ports.web }}\n");
    let plan = machine.kinfra("plan --update --only 2-3 --exclude 3").exits(0);
    plan.prints("Would update slot 2").never_says("lot 1").never_says("lot 3");
    apply(&machine, "--update --only 2").exits(0).says("Updated 1 slot");
    assert_eq!(machine.read("~/pool/slot-1/conf.txt"), "slot 1 on 8001\n");
    apply(&machine, "--update --exclude 1").exits(0).says("Updated slot 3").says("Updated 1 slot");
    apply(&machine, "--update").exits(0).says("Updated slot 1");
    is_settled(&machine);
    machine
        .kinfra("plan --only 9")
        .exits(64)
        .says("there is no slot 9, neither in slots.toml nor in the registry");
    machine.kinfra("plan --exclude 1-3").exits(64).says("leave no slot");
    machine.kinfra("plan --only nine").exits(64);
}

#[test]
fn an_edited_file_is_overwritten_when_asked_and_a_copy_is_kept() {
    let machine = applied();
    machine.write("~/pool/slot-2/conf.txt", "mine\n");
    let line = "  ! Slot 2: conf.txt was edited by hand (--overwrite)\n";
    machine.kinfra("plan --update --prune --include-claimed").exits(0).prints(line);
    let before = machine.tree();
    apply(&machine, "--update --prune --include-claimed").exits(0).prints(line);
    assert_eq!(machine.tree(), before);
    let plan = machine.kinfra("plan --overwrite").exits(0);
    plan.prints("  ~ Would update slot 2: conf.txt (overwritten, a copy is kept)\n");
    let run = apply(&machine, "--overwrite").exits(0).says("Updated slot 2: conf.txt\n");
    let kept = run.stderr.split("Kept what was overwritten as ").nth(1).expect("a copy").lines().next();
    let kept = kept.expect("a path").to_owned();
    assert!(kept.starts_with("~/pool/backups/slot-2/conf.txt.20"), "{kept}");
    assert_eq!(machine.read(&kept), "mine\n");
    assert_eq!(machine.read("~/pool/slot-2/conf.txt"), "slot 2 on 8002\n");
    is_settled(&machine);
    // A second time at once: both copies stay.
    machine.write("~/pool/slot-2/conf.txt", "mine again\n");
    apply(&machine, "--overwrite").exits(0);
    assert_eq!(fs::read_dir(machine.path("~/pool/backups/slot-2")).expect("copies").count(), 2);
}

#[test]
fn a_slot_changes_as_a_whole_or_not_at_all() {
    let machine = applied();
    machine.edit_spec("\"conf.txt\" =", "\"etc/more.txt\" = \"more.txt\"\n\"conf.txt\" =");
    machine.template("more.txt", "more of {{ slot.id }}\n");
    machine.edit_spec("web = 8000", "web = 8100");
    machine.write("~/pool/slot-2/conf.txt", "mine\n");
    let before = machine.read("~/pool/slot-1/conf.txt");
    let plan = machine.kinfra("plan --update").exits(0);
    let plan = plan.prints("  ~ Would update slot 1: ports.web 8001 → 8101, conf.txt, etc/more.txt (new)\n");
    plan.prints("  ! Slot 2: ports.web 8002 → 8102, conf.txt was edited by hand, etc/more.txt is not there yet (--overwrite)\n");
    apply(&machine, "--update").exits(0).says("Updated 2 slots");
    assert_ne!(machine.read("~/pool/slot-1/conf.txt"), before);
    assert_eq!(machine.read("~/pool/slot-1/etc/more.txt"), "more of 1\n");
    assert!(!machine.exists("~/pool/slot-2/etc"));
    assert_eq!(entry(&machine, "1")["ports"]["web"], 8101);
    assert_eq!(entry(&machine, "2")["ports"]["web"], 8002);
    apply(&machine, "--overwrite").exits(0);
    is_settled(&machine);
}

#[test]
fn dropped_files_go_and_foreign_files_stay() {
    let machine = applied();
    machine.edit_spec("\"conf.txt\" =", "\"etc/app/more.txt\" = \"conf.txt\"\n\"conf.txt\" =");
    apply(&machine, "--update").exits(0);
    machine.write("~/pool/slot-2/etc/app/more.txt", "mine\n");
    machine.edit_spec("\"etc/app/more.txt\" = \"conf.txt\"\n", "");
    let plan = machine.kinfra("plan").exits(0);
    let plan = plan.prints("  ! Slots 1,3: etc/app/more.txt is no longer in slots.toml (--update)\n");
    plan.prints("  ! Slot 2: etc/app/more.txt is no longer in slots.toml, was edited by hand and would stay (--update)\n");
    apply(&machine, "--update").exits(0);
    assert!(!machine.exists("~/pool/slot-1/etc"), "the directories that are empty then go too");
    assert_eq!(machine.read("~/pool/slot-2/etc/app/more.txt"), "mine\n");
    is_settled(&machine);
}

#[test]
fn a_mode_is_set_when_asked() {
    let machine = applied();
    machine.set_mode("~/pool/slot-1/conf.txt", 0o644);
    machine.kinfra("plan").exits(0).prints("  ! Slot 1: conf.txt has mode 0644 (--update)\n");
    apply(&machine, "--update").exits(0);
    assert_eq!(machine.mode("~/pool/slot-1/conf.txt"), 0o600);
    is_settled(&machine);
}

#[test]
fn a_surplus_slot_is_removed_when_asked() {
    let machine = applied();
    machine.edit_spec("1-3", "1");
    claim(&machine, 2);
    let line = "  ! Slot 3: no longer in slots.toml (--prune)\n";
    machine.kinfra("plan --update --overwrite").exits(0).prints(line);
    let plan = machine.kinfra("plan --prune --include-claimed").exits(0).prints("  - Would remove slot 3\n");
    plan.prints("! Slot 2: no longer in slots.toml").prints("Plan: 0 to add, 0 to change, 1 to destroy.\n");
    let run = apply(&machine, "--prune --include-claimed").exits(0);
    run.says("Removed slot 3\n").says("Removed 1 slot").says("1 destroyed.");
    assert!(!machine.exists("~/pool/slot-3") && entry(&machine, "3").is_null());
    assert!(
        machine.exists("~/pool/slot-2/conf.txt") && !entry(&machine, "2").is_null(),
        "a claimed slot stays"
    );
    machine.kinfra("release 2 --force").exits(0);
    apply(&machine, "--prune").exits(0).says("Removed slot 2");
    is_settled(&machine);
}

#[test]
fn a_surplus_slot_with_files_of_others_keeps_them_and_stays_registered() {
    let machine = applied();
    machine.edit_spec("1-3", "1-2");
    machine.write("~/pool/slot-3/data/notes.txt", "mine\n");
    let plan = machine.kinfra("plan --prune").exits(0);
    plan.prints("  - Would remove slot 3, but not data, which kinfra did not write\n");
    apply(&machine, "--prune").exits(0).says("Removed slot 3, but for data: it stays registered until");
    assert!(!machine.exists("~/pool/slot-3/conf.txt"));
    assert_eq!(machine.read("~/pool/slot-3/data/notes.txt"), "mine\n");
    assert_eq!(entry(&machine, "3")["pending"], "remove");
    machine.kinfra("claim --slot 3").exits(4).says("an apply was cut short in it");
    machine.kinfra("slots").exits(0).prints("  unfinished\n");
    let line = "  ! Slot 3: removed, but for data, which kinfra did not write: move it away\n";
    machine.kinfra("plan").exits(0).prints(line);
    apply(&machine, "--prune").exits(4).prints(line);
    // With any flags, an unfinished change is completed as soon as that is possible.
    machine.remove("~/pool/slot-3/data");
    machine.kinfra("plan").exits(0).prints("  - Would remove slot 3\n");
    // It was approved when it began.
    machine.kinfra("apply").exits(0).says("Removed slot 3\n");
    is_settled(&machine);
}

#[test]
fn a_surplus_slot_goes_with_the_directories_of_files_that_are_gone() {
    let machine = Machine::small();
    machine.edit_spec("\"conf.txt\" =", "\"etc/app/more.txt\" = \"conf.txt\"\n\"conf.txt\" =");
    machine.kinfra("apply").exits(0);
    machine.remove("~/pool/slot-2/etc/app/more.txt");
    machine.edit_spec("1-2", "1");
    apply(&machine, "--prune").exits(0).says("Removed slot 2\n");
    assert!(!machine.exists("~/pool/slot-2"));
    is_settled(&machine);
}

#[test]
fn a_surplus_slot_that_was_edited_keeps_what_was_edited() {
    let machine = applied();
    machine.edit_spec("1-3", "1-2");
    machine.write("~/pool/slot-3/conf.txt", "mine\n");
    apply(&machine, "--prune --overwrite").exits(0).says("Removed slot 3, but for conf.txt");
    assert_eq!(machine.read("~/pool/slot-3/conf.txt"), "mine\n");
    // The slot comes back into the spec: taken as a whole, with a copy of the file.
    machine.edit_spec("1-2", "1-3");
    machine.kinfra("plan").exits(0).prints("(--overwrite)");
    apply(&machine, "--overwrite").exits(0);
    assert_eq!(machine.read("~/pool/slot-3/conf.txt"), "slot 3 on 8003\n");
    is_settled(&machine);
}

#[test]
fn a_claimed_slot_changes_only_when_that_is_asked_too() {
    let machine = applied();
    claim(&machine, 2);
    let held = entry(&machine, "2");
    machine.edit_spec("web = 8000", "web = 8100");
    let plan = machine.kinfra("plan --update").exits(0).prints("! Slot 2: ").prints("held by ");
    plan.prints("(--update, --include-claimed)").prints("Would update slot 1");
    apply(&machine, "--update").exits(0).says("Updated 2 slots");
    assert_eq!(entry(&machine, "2"), held);
    let run = apply(&machine, "--update --include-claimed").exits(0).says("Updated slot 2");
    run.says(": `kinfra claim` there brings its .env.sandbox up to date\n");
    let now = entry(&machine, "2");
    assert_eq!([&now["claimed_by"], &now["claimed_at"]], [&held["claimed_by"], &held["claimed_at"]]);
    assert_eq!(now["ports"]["web"], 8102);
    is_settled(&machine);
}

#[test]
fn a_profile_moves_with_its_files() {
    let machine = applied();
    machine
        .edit_spec("name = \"only\"", "name = \"only\"\n[[profiles]]\nname = \"big\"\nworkers = { job = 4 }");
    machine.edit_spec("ids = \"1-3\"", "ids = \"3\"\nprofile = \"big\"\n[[slots]]\nids = \"1-2\"");
    machine.template(
        "conf.txt",
        "slot {{ slot.id }} on {{ ports.web }}{{ ' with jobs' if workers.job is defined }}\n",
    );
    machine
        .kinfra("plan --update")
        .exits(0)
        .prints("  ~ Would update slot 3: profile only → big, workers.job 4 is new, conf.txt\n");
    apply(&machine, "--update").exits(0).says("Updated 1 slot");
    assert_eq!(machine.read("~/pool/slot-3/conf.txt"), "slot 3 on 8003 with jobs\n");
    assert_eq!(entry(&machine, "3")["profile"], "big");
    is_settled(&machine);
}

#[test]
fn ports_may_move_onto_each_other() {
    let machine = applied();
    // Each slot takes the port of the next.
    machine.edit_spec("web = 8000", "web = 8001");
    apply(&machine, "--update").exits(0).says("Updated 3 slots");
    assert_eq!(entry(&machine, "3")["ports"]["web"], 8004);
    is_settled(&machine);
    // If one slot stays, so does each slot that would take its port.
    claim(&machine, 2);
    machine.edit_spec("web = 8001", "web = 8002");
    let plan = machine.kinfra("plan --update").exits(0).prints("  ~ Would update slot 3: ");
    plan.prints("  ! Slot 1: WEB 8003 is still slot 2's (--update, --include-claimed)\n");
    apply(&machine, "--update").exits(0).says("Updated 1 slot");
    assert_eq!(entry(&machine, "1")["ports"]["web"], 8002);
    // The base moves and the pool grows in one edit.
    machine.kinfra("release 2 --force").exits(0);
    machine.edit_spec("1-3", "1-6");
    machine.edit_spec("web = 8002", "web = 8003");
    apply(&machine, "--update").exits(0).says("Created 3 slot(s)").says("Updated 3 slots");
    is_settled(&machine);
}

#[test]
fn a_foreign_slot_directory_is_taken_over_when_asked() {
    let machine = Machine::small();
    machine.write("~/pool/slot-1/conf.txt", "theirs\n");
    machine.write("~/pool/slot-1/keep.txt", "theirs too\n");
    machine
        .kinfra("apply")
        .exits(0)
        .prints("  ! Slot 1: already exists, skipping: conf.txt differs (--overwrite)\n");
    apply(&machine, "--overwrite")
        .exits(0)
        .says("Updated slot 1: conf.txt")
        .says("Kept what was overwritten as ");
    assert_eq!(machine.read("~/pool/slot-1/keep.txt"), "theirs too\n");
    is_settled(&machine);
}

#[test]
fn a_foreign_slot_directory_takes_a_port_that_another_slot_gives_up() {
    let machine = applied();
    machine.edit_spec("1-3", "1-2");
    apply(&machine, "--prune").exits(0);
    machine.write("~/pool/slot-3/conf.txt", "theirs\n");
    // Slot 1 gives 8001 up, and slot 3 takes it.
    machine.edit_spec("1-2", "1-3");
    machine.edit_spec("web = 8000", "web = 7998");
    machine.kinfra("plan --overwrite").exits(0).prints("Plan: 0 to add, 3 to change, 0 to destroy.");
    apply(&machine, "--overwrite").exits(0).says("Updated 3 slots");
    assert_eq!(entry(&machine, "3")["ports"]["web"], 8001);
    is_settled(&machine);
}

#[test]
fn missing_files_come_back_with_or_without_an_update() {
    let machine = applied();
    machine.remove("~/pool/slot-1");
    machine.remove("~/pool/slot-2/conf.txt");
    machine.kinfra("apply").exits(0).says("Restored 2 slots");
    is_settled(&machine);
    machine.remove("~/pool/slot-1");
    machine.edit_spec("web = 8000", "web = 8100");
    machine
        .kinfra("plan")
        .exits(0)
        .prints("  ! Slot 1: ports.web 8001 → 8101, conf.txt is not there yet (--update)\n");
    apply(&machine, "--update").exits(0);
    assert_eq!(machine.read("~/pool/slot-1/conf.txt"), "slot 1 on 8101\n");
    is_settled(&machine);
    let registry = machine.read(REGISTRY);
    let mut document: Value = serde_json::from_str(&registry).expect("JSON");
    document["slots"].as_object_mut().expect("slots").remove("2");
    machine.write(REGISTRY, document.to_string());
    machine.kinfra("apply").exits(0).says("Adopted slot 2");
    is_settled(&machine);
}

#[test]
fn a_slot_with_containers_is_not_removed_and_keeps_its_ports() {
    let machine = applied();
    let with_docker = |arguments: &str, projects: &str| {
        let mut command = machine.command(arguments);
        Run::of(command.env("PATH", fake_docker()).env("CONTAINERS", projects))
    };
    machine.edit_spec("1-3", "1-2");
    let refused = "\nApply refused: all that was asked for is blocked. Nothing was changed.\n";
    let run = with_docker("apply --prune --auto-approve", "small-slot-3").exits(4);
    assert!(run.stderr.ends_with(refused), "{run:#?}");
    run.prints(
        "  ! Slot 3: no longer in slots.toml, it has containers: `kinfra down` in its worktree first\n",
    );
    // No answer from Docker does not mean that there are no containers.
    let run = with_docker("apply --prune --auto-approve", "error:permission denied").exits(4);
    run.prints("  ! Slot 3: no longer in slots.toml, docker does not say whether it has containers (permission denied)");
    assert!(machine.exists("~/pool/slot-3/conf.txt"));
    machine.edit_spec("web = 8000", "web = 8100");
    let run = with_docker("apply --update --auto-approve", "small-slot-1").exits(0).says("Updated 1 slot");
    run.prints("Slot 1: ports.web 8001 → 8101, conf.txt differs from slots.toml, it has containers");
    assert_eq!(entry(&machine, "1")["ports"]["web"], 8001);
    // A daemon that cannot be reached may run something, too.
    let none = "error:Cannot connect to the Docker daemon at unix:///nowhere. Is the docker daemon running?";
    let unknown = "docker does not say whether it has containers (Docker does not answer)";
    for (verb, exit) in [("apply --update --prune --auto-approve", 4), ("plan --update --prune", 0)] {
        with_docker(verb, none)
            .exits(exit)
            .prints("Blocked: 1 to change, 1 to destroy.\nAll that was asked for is blocked.\n")
            .prints(&format!("lot 1: ports.web 8001 → 8101, conf.txt differs from slots.toml, {unknown}"))
            .prints(&format!("  ! Slot 3: no longer in slots.toml, {unknown}"));
    }
    assert!(machine.exists("~/pool/slot-3/conf.txt"));
    // What was not asked for is no refusal.
    with_docker("apply", none).exits(0).says("\nNothing was changed: slots 1,3 are blocked.\n");
    with_docker("plan", none).exits(0).never_says("All that was asked for");
    // Neither a plain `plan` nor an apply without such work asks docker.
    with_docker("plan", "error:asked").exits(0).never_says("asked");
    with_docker("apply", "error:asked").exits(0).never_says("asked");
}

#[test]
fn the_files_of_a_slot_that_runs_change_only_if_claimed_slots_are_included() {
    let machine = applied();
    let with_docker = |arguments: &str, projects: &str| {
        let mut command = machine.command(arguments);
        Run::of(command.env("PATH", fake_docker()).env("CONTAINERS", projects))
    };
    machine.template("conf.txt", "new\n");
    machine.kinfra("claim --slot 2").exits(0);
    let run = with_docker("apply --update --auto-approve", "small-slot-1").exits(0);
    run.says("Updated slot 3: conf.txt\n")
        .prints("conf.txt differs from slots.toml, it has containers that run with its files: `kinfra down` in its worktree first (--update, --include-claimed)\n");
    assert_eq!(machine.read("~/pool/slot-1/conf.txt"), "slot 1 on 8001\n");
    assert_eq!(machine.read("~/pool/slot-2/conf.txt"), "slot 2 on 8002\n");
    let unknown = with_docker("apply --update --auto-approve --only 1", "error:permission denied").exits(4);
    unknown.says("Apply refused: all that was asked for is blocked.");
    with_docker("apply --update --auto-approve", "small-slot-1\nsmall-slot-2").exits(4);
    let run = with_docker("apply --update --include-claimed --auto-approve", "small-slot-1\nsmall-slot-2");
    run.exits(0).says("Updated 2 slots");
    is_settled(&machine);
}

#[test]
fn without_a_terminal_or_an_approval_nothing_that_is_there_changes() {
    let machine = applied();
    machine.template("conf.txt", "new\n");
    machine.edit_spec("1-3", "1-2,4");
    let before = machine.tree();
    for flags in ["--update", "--prune", "--update --prune"] {
        let run = machine.kinfra(&format!("apply {flags}")).exits(4).prints("Would create slot 4");
        run.says("this needs approval, and there is no terminal to ask on\n")
            .says("help: run it on a terminal, or give --auto-approve\n");
    }
    assert_eq!(machine.tree(), before, "not even what would need no approval");
    machine
        .kinfra("apply --dry-run --update --prune")
        .exits(0)
        .prints("Plan: 1 to add, 2 to change, 1 to destroy.");
    assert_eq!(machine.tree(), before);
    // Creating never asks.
    machine.kinfra("apply").exits(0).says("Created slot 4");
    machine.kinfra("apply --detailed-exitcode").exits(2);
    apply(&machine, "--update --prune --detailed-exitcode").exits(0);
    is_settled(&machine);
}

#[test]
fn an_unfinished_change_is_completed_without_another_approval() {
    let machine = applied();
    machine.edit_spec("1-3", "1-4");
    // Slot 2 is left as a killed update leaves it: announced, its file not yet changed.
    let mut registry: Value = serde_json::from_str(&machine.read(REGISTRY)).expect("JSON");
    registry["slots"]["2"]["pending"] = serde_json::json!({ "files": registry["slots"]["2"]["files"] });
    machine.write(REGISTRY, format!("{registry:#}\n"));
    machine.template("conf.txt", "new {{ ports.web }}\n");
    // Any other change still needs approval.
    machine.kinfra("apply --update").exits(4).says("give --auto-approve");
    machine.write("~/pool/slot-2/conf.txt", "mine\n");
    machine.kinfra("apply --overwrite --only 2").exits(4).says("give --auto-approve");
    machine.write("~/pool/slot-2/conf.txt", "slot 2 on 8002\n");
    machine.kinfra("apply").exits(0).says("Created slot 4").says("Updated slot 2: conf.txt\n");
    assert_eq!(machine.read("~/pool/slot-2/conf.txt"), "new 8002\n");
    assert_eq!(machine.read("~/pool/slot-1/conf.txt"), "slot 1 on 8001\n");
    assert!(!machine.read(REGISTRY).contains("pending"));
}

#[test]
fn no_changes_is_said_only_of_the_slots_that_were_looked_at() {
    let machine = applied();
    machine.template("conf.txt", "new\n");
    machine.edit_spec("1-3", "1-2");
    machine.kinfra("apply --update --only 1 --auto-approve").exits(0);
    let plan = machine.kinfra("plan --only 1").exits(0).prints("No changes: slot 1 is as slots.toml says.\n");
    plan.never_says("all 2 slots");
    machine.kinfra("plan").exits(0).never_says("No changes");
    let machine = Machine::small();
    machine.kinfra("plan --only 1 --exclude 1").exits(64).says("leave no slot");
}

#[test]
fn foreign_text_in_the_registry_steers_no_terminal() {
    let machine = applied();
    let mut registry: Value = serde_json::from_str(&machine.read(REGISTRY)).expect("JSON");
    registry["slots"]["2"]["infrastructure_path"] = "/x\u{1b}[2J".into();
    machine.write(REGISTRY, format!("{registry:#}\n"));
    let plan = machine.kinfra("plan").exits(0).prints("infrastructure_path /x\\u{1b}[2J → ");
    plan.never_says("\u{1b}");
    machine.kinfra("plan --update --out plan").exits(0).never_says("\u{1b}");
    machine.kinfra("show plan").exits(0).prints("/x\\u{1b}[2J → ").never_says("\u{1b}");
}

#[test]
fn the_exit_code_tells_what_a_dry_run_would_do_and_what_a_removal_leaves() {
    let machine = applied();
    machine.kinfra("apply --dry-run --detailed-exitcode").exits(0);
    machine.edit_spec("1-3", "1-2");
    machine.write("~/pool/slot-3/notes.txt", "mine\n");
    machine.kinfra("apply --dry-run --detailed-exitcode --prune").exits(2);
    let json = machine.kinfra("apply --dry-run --json --prune").exits(0).stdout;
    let last: Value = serde_json::from_str(json.lines().last().expect("a summary")).expect("JSON");
    assert_eq!((&last["event"], &last["destroyed"]), (&"summary".into(), &0.into()));
    apply(&machine, "--prune --detailed-exitcode").exits(2).says("Removed slot 3, but for notes.txt");
    machine.remove("~/pool/slot-3/notes.txt");
    apply(&machine, "--prune --detailed-exitcode").exits(0).says("Removed slot 3\n");
}
