//! A pool that this user has not applied: its slots.toml, its registry and its files came from elsewhere, with
//! a clone. They are shown, and nothing of them is used.

use std::process::Command;

use crate::support::{Machine, Run};

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
    for verb in ["claim", "env", "exec -- true", "up", "compose ps", "shell", "release", "renew", "reset"] {
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
