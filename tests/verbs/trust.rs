//! A pool that this user has not applied: its slots.toml, its registry and its files came from elsewhere, with
//! a clone. They are shown, and nothing of them is used.

use std::process::Command;

use super::compose::Shop;
use super::up::up;
use crate::support::{Machine, Run, SMALL};

/// A pool that was applied and claimed, and the commands of a user whose index of pools does not know it.
struct Cloned {
    machine: Machine,
}

impl Cloned {
    fn new() -> Self {
        let machine = Machine::small();
        machine.kinfra("apply").exits(0);
        machine.kinfra("claim").exits(0);
        Self { machine }
    }

    fn command(&self, arguments: &str) -> Command {
        let mut command = self.machine.command(arguments);
        command.env("XDG_STATE_HOME", self.machine.path("~/other/state"));
        command
    }

    fn kinfra(&self, arguments: &str) -> Run {
        Run::of(&mut self.command(arguments))
    }
}

#[test]
fn nothing_of_a_pool_is_used_that_this_user_has_not_applied() {
    let cloned = Cloned::new();
    let before = cloned.machine.read("~/pool/registry.json");
    let verbs = [
        "claim",
        "env",
        "exec -- true",
        "up",
        "up --all",
        "compose ps",
        "shell",
        "logs",
        "down",
        "release",
        "renew",
        "reset",
        "reap --auto-approve",
        "clean 1",
        "clean --all",
        "destroy --auto-approve",
    ];
    for verb in verbs {
        let run = cloned.kinfra(verb).exits(4);
        let run = run.says("you have not applied").says("kinfra apply");
        assert!(!run.stdout.contains("export"), "{verb}: {}", run.stdout);
    }
    cloned.kinfra("release 1 --force").exits(4);
    assert_eq!(cloned.machine.read("~/pool/registry.json"), before);
}

#[test]
fn it_is_shown_with_a_note() {
    let cloned = Cloned::new();
    for verb in ["slots", "status"] {
        cloned.kinfra(verb).exits(0).says("note: you have not applied").prints("1");
    }
    for verb in ["plan", "doctor"] {
        assert_ne!(cloned.kinfra(verb).code, Some(4), "{verb}");
    }
}

#[test]
fn the_registry_of_such_a_pool_chooses_no_engine_that_is_asked() {
    let shop = Shop::new();
    Run::of(&mut up(&shop, "")).exits(0);
    let calls = shop.machine.read("~/calls");
    for verb in ["slots", "status", "slots --json"] {
        let mut shown = shop.command(verb);
        shown.env("XDG_STATE_HOME", shop.machine.path("~/other/state"));
        Run::of(&mut shown).exits(0).prints("unknown");
    }
    assert_eq!(shop.machine.read("~/calls"), calls);
}

#[test]
fn apply_is_the_act_of_trust_also_where_nothing_is_to_do() {
    let cloned = Cloned::new();
    cloned.kinfra("apply --dry-run").exits(0);
    cloned.kinfra("env").exits(4);
    cloned.kinfra("apply").exits(0);
    cloned.kinfra("env").exits(0).prints("export");
    cloned.kinfra("slots").exits(0).never_says("not applied");
}

#[test]
fn a_root_that_is_named_is_trusted() {
    let cloned = Cloned::new();
    let root = cloned.machine.path("~/pool").display().to_string();
    cloned.kinfra(&format!("env --root {root}")).exits(0).prints("export");
    Run::of(cloned.command("env").env("KINFRA_ROOT", &root)).exits(0).prints("export");
}

#[test]
fn a_root_that_is_in_use_and_not_as_a_pool_is_left_alone() {
    for name in ["thesis.txt", ".tmp/drafts/thesis.txt", ".queue/1", "backups/a", ".env"] {
        let machine = Machine::small();
        machine.write(&format!("~/pool/{name}"), "three weeks of work");
        for verb in ["plan", "apply", "apply --dry-run"] {
            machine.kinfra(verb).exits(4).says("is in use, and not as a pool: `");
        }
        assert_eq!(machine.read(&format!("~/pool/{name}")), "three weeks of work");
        // A lock has the name that every program gives it.
        machine.write("~/pool/.lock", "another program's\n");
        machine.kinfra("apply").exits(4).says("is in use, and not as a pool: `");
        assert_eq!(machine.read("~/pool/.lock"), "another program's\n");
        assert_eq!(machine.read(&format!("~/pool/{name}")), "three weeks of work");
        machine.remove("~/pool");
        machine.write("~/pool/slot-1/conf.txt", "x");
        machine.kinfra("plan").exits(0).prints("Would create slot 2");
    }
}

#[test]
fn no_spelling_of_a_home_or_of_the_whole_file_system_is_a_root() {
    let machine = Machine::small();
    let home = machine.home().display().to_string();
    let (slash, dot) = (format!("{home}/"), format!("{home}/."));
    for root in ["~/.", "~/./", "~//", "/.", "//", slash.as_str(), dot.as_str()] {
        machine.spec(&SMALL.replace("~/pool", root));
        assert_ne!(machine.kinfra("plan").code, Some(0), "{root}");
    }
    machine.spec(SMALL);
    machine.kinfra("plan --root ~").exits(4).says("not a directory of the pool's own");
    machine.spec(&SMALL.replace("~/pool", "~//pool"));
    machine.kinfra("plan").exits(0).prints("~/pool/slot-1");
}
