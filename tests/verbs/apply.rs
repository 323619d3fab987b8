//! `kinfra apply`: creates what is missing and changes nothing that exists.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Stdio;

use crate::support::{Machine, Run, Running, SMALL, without_id};

#[test]
fn a_clean_machine_gets_every_slot() {
    let machine = Machine::small();
    let run = machine.kinfra("apply").exits(0).prints("Plan: 2 to add, 0 to change, 0 to destroy.");
    assert_eq!(
        run.stderr.split_once("\n\n").expect("a summary").1,
        "Created slot 1 (only)
Created slot 2 (only)
Created 2 slot(s)

Apply complete! 2 added, 0 changed, 0 destroyed.
",
    );
    assert_eq!(machine.read("~/pool/slot-2/conf.txt"), "slot 2 on 8002\n");
    for (path, mode) in
        [("", 0o700), ("/slot-1", 0o700), ("/slot-1/conf.txt", 0o600), ("/registry.json", 0o600)]
    {
        assert_eq!(machine.mode(&format!("~/pool{path}")), mode, "{path}");
    }
}

#[test]
fn the_registry_says_what_was_written() {
    let machine = Machine::small();
    machine.spec(&SMALL.replace("1-2", "2"));
    machine.kinfra("apply").exits(0);
    let expected = format!(
        r#"{{
  "version": 2,
  "slots": {{
    "2": {{
      "slot_id": 2,
      "infrastructure_path": "{}/slot-2",
      "profile": "only",
      "workers": {{}},
      "ports": {{
        "web": 8002
      }},
      "claimed_by": null,
      "claimed_at": null,
      "status": "stopped",
      "files": {{
        "conf.txt": "b6dc4de87afc00eab9e4b96ef6b5d56847499a798d48d79e9dbee2530879b12b"
      }}
    }}
  }},
  "applied_from": {{
    "pool": "small",
    "spec": "{}/slots.toml"
  }}
}}
"#,
        machine.path("~/pool").canonicalize().expect("a root").display(),
        machine.project().canonicalize().expect("a project").display()
    );
    let registry = machine.read("~/pool/registry.json");
    assert_eq!(without_id(&registry), expected);
    assert!(registry.starts_with("{\n  \"version\": 2,\n  \"id\": \""), "{registry}");
    assert_eq!(machine.read("~/pool/registry.json.bak"), registry);
}

#[test]
fn applying_twice_gives_the_same_bytes() {
    let machine = Machine::new();
    machine.kinfra("apply").exits(0);
    let before = machine.tree();
    machine
        .kinfra("apply")
        .exits(0)
        .says("Skipped 6 existing slot(s)\n")
        .prints("No changes: all 6 slots are as slots.toml says.\n");
    assert_eq!(machine.tree(), before);
}

#[test]
fn a_foreign_file_is_left_alone() {
    let machine = Machine::small();
    machine.write("~/pool/slot-1/notes.txt", "mine");
    machine.kinfra("apply").exits(0).says("Created 2 slot(s)");
    assert_eq!(machine.read("~/pool/slot-1/notes.txt"), "mine");
    machine.kinfra("plan --detailed-exitcode").exits(0);
}

#[test]
fn lost_files_are_restored_and_edited_files_stay() {
    let machine = Machine::new();
    machine.kinfra("apply").exits(0);
    let applied = machine.tree();
    machine.remove("~/.ktrdr/sandboxes/slot-3/prometheus.yml");
    machine.remove("~/.ktrdr/sandboxes/slot-4");
    machine.kinfra("apply").exits(0).says("Restored slot 3: prometheus.yml\n").says("Restored 2 slots");
    assert_eq!(machine.tree(), applied);

    machine.remove("~/.ktrdr/sandboxes/slot-3/prometheus.yml");
    machine.write("~/.ktrdr/sandboxes/slot-3/docker-compose.yml", "mine");
    let heading =
        "Would restore slot 3: prometheus.yml; docker-compose.yml was edited by hand (--overwrite)\n";
    machine.kinfra("apply").exits(0).prints(heading);
    assert_eq!(machine.read("~/.ktrdr/sandboxes/slot-3/docker-compose.yml"), "mine");
    assert!(machine.exists("~/.ktrdr/sandboxes/slot-3/prometheus.yml"));
}

#[test]
fn a_lost_registry_is_made_again_from_slots_that_are_right() {
    let machine = Machine::small();
    machine.kinfra("apply").exits(0);
    let applied = machine.tree();
    machine.remove("~/pool/registry.json");
    machine.remove("~/pool/registry.json.bak");
    machine.remove("~/pool/slot-2/conf.txt");
    machine
        .kinfra("apply")
        .exits(0)
        .says("Adopted slot 1 (only)\n")
        .says("Created slot 2 (only)\n")
        .says("2 added");
    assert_eq!(machine.tree(), applied);
}

#[test]
fn a_registry_that_vanished_stops_everything() {
    let machine = Machine::small();
    machine.kinfra("apply").exits(0);
    machine.remove("~/pool/registry.json");
    let before = machine.tree();
    for verb in ["plan", "apply", "slots"] {
        machine.kinfra(verb).exits(5).says("vanished").says("registry.json.bak");
    }
    assert_eq!(machine.tree(), before);
}

#[test]
fn a_slot_that_fails_does_not_stop_the_others() {
    let machine = Machine::small();
    machine.spec(&SMALL.replace("\"conf.txt\" =", "\"conf/app.txt\" ="));
    machine.write("~/pool/slot-1/conf", "a file where a directory belongs");
    let plan = machine.kinfra("apply").exits(0);
    plan.prints("  ! Slot 1: conf/app.txt is a file: move it away").says("Created slot 2 (only)");
    assert_eq!(machine.read("~/pool/slot-1/conf"), "a file where a directory belongs");
}

#[test]
fn a_link_is_never_written_through() {
    let machine = Machine::small();
    machine.write("~/outside/keep", "");
    std::fs::create_dir(machine.path("~/pool")).expect("a root");
    symlink(machine.path("~/outside"), machine.path("~/pool/slot-1")).expect("a link");
    machine.kinfra("apply").exits(0).prints("  ! Slot 1: its directory is a symbolic link: move it away");
    assert!(!machine.exists("~/outside/conf.txt"));
    assert!(machine.exists("~/pool/slot-2/conf.txt"));
}

#[test]
fn a_root_behind_a_link_is_fine() {
    let machine = Machine::small();
    fs::create_dir(machine.path("~/disk")).expect("a directory");
    symlink(machine.path("~/disk"), machine.path("~/pool")).expect("a link");
    machine.kinfra("apply").exits(0);
    assert!(machine.exists("~/disk/slot-1/conf.txt"));
    machine.kinfra("plan --detailed-exitcode").exits(0);
}

#[test]
fn the_root_can_be_given_by_flag_or_environment() {
    let machine = Machine::small();
    machine.kinfra("apply --root elsewhere").exits(0);
    assert!(machine.exists("elsewhere/slot-1/conf.txt"));
    let mut command = machine.command("apply --root flag");
    Run::of(command.env("KINFRA_ROOT", machine.path("variable"))).exits(0);
    assert!(machine.exists("flag/slot-1/conf.txt") && !machine.exists("variable"));
    let mut command = machine.command("apply");
    Run::of(command.env("KINFRA_ROOT", machine.path("variable"))).exits(0);
    assert!(machine.exists("variable/slot-1/conf.txt") && !machine.exists("~/pool"));
}

#[test]
fn the_spec_is_found_in_a_parent_within_the_repository() {
    let machine = Machine::small();
    machine.write("deep/er/file", "");
    let below = |machine: &Machine| {
        let mut command = machine.command("plan");
        Run::of(command.current_dir(machine.path("deep/er"))).exits(0)
    };
    below(&machine).says("Using the embedded slots.toml");
    machine.write(".git", "gitdir: elsewhere");
    below(&machine).says("project/slots.toml");
    machine.write("deep/.git", "gitdir: elsewhere");
    below(&machine).says("Using the embedded slots.toml");
}

#[test]
fn a_held_lock_says_who_holds_it() {
    let machine = Machine::small();
    machine.kinfra("apply").exits(0);
    machine.remove("~/pool/slot-1");
    let lock =
        std::fs::File::options().read(true).write(true).open(machine.path("~/pool/.lock")).expect("a lock");
    lock.lock().expect("the lock");
    std::fs::write(machine.path("~/pool/.lock"), "4242 0 kinfra apply\n").expect("a signature");
    machine.kinfra("apply --lock-timeout 0s").exits(6).says("process 4242 (kinfra apply) for ");
    machine.kinfra("plan").exits(0);
    drop(lock);
    machine.kinfra("apply --lock-timeout 0s").exits(0);
}

#[test]
fn many_at_once_give_the_tree_of_one() {
    let alone = Machine::new();
    alone.kinfra("apply --root pool").exits(0);
    let machine = Machine::new();
    let start = |_| Running::piped(&mut machine.command("apply --root pool --lock-timeout 1m"));
    let children: Vec<Running> = (0..8).map(start).collect();
    for child in children {
        child.ends().exits(0);
    }
    for slot in 1..=6 {
        let file = format!("pool/slot-{slot}/.env.sandbox");
        let expected =
            alone.read(&file).replace(&*alone.home().to_string_lossy(), &machine.home().to_string_lossy());
        assert_eq!(machine.read(&file), expected);
    }
    machine.kinfra("plan --root pool --detailed-exitcode").exits(0);
}

#[test]
fn the_work_is_done_even_if_the_output_has_no_reader() {
    for closed in ["stdout", "stderr", "both"] {
        let machine = Machine::small();
        let run = |arguments: &str| {
            let mut command = machine.command(arguments);
            command.stdout(Stdio::null()).stderr(Stdio::null());
            // The pipe's reader is dropped at once.
            let no_reader = || std::io::pipe().expect("a pipe").1;
            if closed != "stderr" {
                command.stdout(no_reader());
            }
            if closed != "stdout" {
                command.stderr(no_reader());
            }
            Running::start(&mut command).wait().expect("kinfra ends").code()
        };
        assert_eq!(run("apply --auto-approve"), Some(0), "{closed}");
        assert!(machine.exists("~/pool/slot-2/conf.txt"), "{closed}");
        machine.template("conf.txt", "new\n");
        assert_eq!(run("apply --json --update"), Some(4), "{closed}: the exit code is that of what happened");
        assert_eq!(run("destroy --auto-approve"), Some(0), "{closed}");
        assert!(!machine.exists("~/pool/slot-1"), "{closed}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn the_wait_for_the_lock_can_be_interrupted() {
    let machine = Machine::small();
    machine.kinfra("apply").exits(0);
    machine.edit_spec("1-2", "1-3");
    let lock =
        std::fs::File::options().read(true).write(true).open(machine.path("~/pool/.lock")).expect("a lock");
    lock.lock().expect("the lock");
    let mut command = machine.command("apply --lock-timeout 10m");
    let child = Running::piped(&mut command);
    // Wait until it handles SIGINT, the second bit of the caught signals.
    let listens = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).expect("its status");
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).expect("its signals");
        u64::from_str_radix(caught.trim(), 16).expect("a set") & 2 != 0
    };
    while !listens() {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    child.signal(rustix::process::Signal::INT);
    let run = child.ends().exits(130);
    let run = run.says("stopped waiting for `").says("nothing was done");
    run.says("Apply incomplete! 0 added");
    assert!(!machine.exists("~/pool/slot-3"));
}
