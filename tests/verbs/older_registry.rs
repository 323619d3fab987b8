//! A registry that is older than what stands on the disk: a slot that shows a claim is not given to another.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::rig::fleet::Fleet;
use crate::support::{Machine, Run};

const REGISTRY: &str = "~/pool/registry.json";
const SIGN: &str = "~/pool/slot-1/.kinfra-claim";

/// An applied pool of two slots and two worktrees, with the registry from before `a` claimed slot 1.
struct Restored {
    machine: Machine,
    a: PathBuf,
    b: PathBuf,
}

impl Restored {
    fn new() -> Self {
        let machine = Machine::small();
        machine.repository(machine.project());
        machine.kinfra("apply").exits(0);
        let (a, b) = (machine.worktree("a"), machine.worktree("b"));
        let older = machine.read(REGISTRY);
        let restored = Self { machine, a, b };
        restored.run(&restored.a, "claim").exits(0).prints("Claimed slot 1");
        restored.machine.write(REGISTRY, older);
        restored
    }

    fn run(&self, dir: &PathBuf, arguments: &str) -> Run {
        Run::of(self.machine.command(arguments).current_dir(dir)).never_says("panicked")
    }
}

#[test]
fn a_slot_that_shows_a_claim_is_passed_over_and_named() {
    let restored = Restored::new();
    let (machine, b) = (&restored.machine, &restored.b);
    let why = "it shows a claim of `";
    machine.kinfra("doctor").prints("! slot 1: it shows a claim of `").prints("/a`, of which the registry");
    restored.run(b, "claim --slot 1").exits(4).says("slot 1 cannot be claimed: ").says(why);
    restored.run(b, "claim").exits(0).prints("Claimed slot 2").says("Passed over slot 1: ").says(why);
    restored.run(&machine.project(), "claim").exits(3).says("slot 1 is free, but it shows a claim of `");
    restored.run(&machine.project(), "claim --wait=1s").exits(3);
    // Neither an apply nor a reap takes the sign away.
    machine.kinfra("apply").exits(0);
    machine.kinfra("reap --auto-approve").exits(0);
    assert!(machine.exists(SIGN));
    machine.kinfra("release 1").exits(0).prints("Slot 1 is free already");
    restored.run(&machine.project(), "claim").exits(3);
    // A person says that it is not used any more.
    machine.kinfra("release 1 --force").exits(0).prints("Released slot 1, which was held by ").prints("/a\n");
    assert!(!restored.a.join(".env.sandbox").exists());
    restored.run(&machine.project(), "claim").exits(0).prints("Claimed slot 1");
}

#[test]
fn the_worktree_itself_gets_its_slot_back_and_gives_it_back() {
    let restored = Restored::new();
    let (machine, a, b) = (&restored.machine, &restored.a, &restored.b);
    restored.run(b, "claim").exits(0).prints("Claimed slot 2");
    restored.run(a, "claim").exits(0).prints("Claimed slot 1").never_says("Passed over");
    restored.run(a, "release").exits(0);
    assert!(!machine.exists(SIGN));
    // Its own slot comes before a smaller one.
    restored.run(b, "release").exits(0);
    let free = machine.read(REGISTRY);
    restored.run(a, "claim --slot 2").exits(0);
    machine.write(REGISTRY, &free);
    restored.run(a, "claim").exits(0).prints("Claimed slot 2");
    machine.write(REGISTRY, &free);
    restored.run(a, "release").exits(0).prints("holds no slot");
    restored.run(b, "claim --slot 2").exits(0).prints("Claimed slot 2");
}

#[test]
fn a_claim_that_was_over_does_not_use_what_a_later_one_holds() {
    let restored = Restored::new();
    let (machine, a, b) = (&restored.machine, &restored.a, &restored.b);
    restored.run(a, "claim").exits(0).prints("Claimed slot 1");
    let older = machine.read(REGISTRY);
    restored.run(a, "release").exits(0);
    restored.run(b, "claim").exits(0).prints("Claimed slot 1");
    machine.write(REGISTRY, older);
    for verb in ["env", "exec -- true", "claim"] {
        restored
            .run(a, verb)
            .exits(4)
            .says("slot 1 shows a claim of `")
            .says("/b`, of which the registry does not know");
    }
    restored.run(a, "release").exits(0).prints("Released slot 1");
    assert!(machine.exists(SIGN), "it is the sign of the other claim");
    restored.run(a, "claim").exits(0).prints("Claimed slot 2");
    restored.run(b, "claim").exits(0).prints("Claimed slot 1");
}

#[test]
fn a_lost_registry_that_is_made_again_does_not_free_a_slot_that_is_used() {
    let restored = Restored::new();
    let machine = &restored.machine;
    for file in [REGISTRY, "~/pool/registry.json.bak"] {
        machine.remove(file);
    }
    machine.kinfra("apply").exits(0);
    restored.run(&restored.b, "claim").exits(0).prints("Claimed slot 2");
    // A sign that says nothing is one all the same.
    fs::write(machine.path(SIGN), "").expect("a file");
    restored
        .run(&machine.project(), "claim")
        .exits(3)
        .says("it shows a claim, and `")
        .says("/pool/slot-1/.kinfra-claim` does not say whose it is")
        .says("`kinfra release 1 --force` once the slot is no longer used");
    machine.write(REGISTRY, "{");
    machine.remove("~/pool/registry.json.bak");
    machine.kinfra("doctor --repair --auto-approve").exits(0);
    machine.kinfra("slots --json").exits(0).prints("\"claimed_by\": \"unknown\"");
}

#[test]
fn no_cleaning_takes_the_stack_of_a_claim_that_an_older_registry_does_not_know() {
    let fleet = Fleet::new(&["a", "b"]);
    let registry = "~/pool/registry.json";
    fleet.kinfra("a", "claim --slot 1").exits(0);
    fleet.kinfra("a", "up").exits(0);
    let older = fleet.machine.read(registry);
    fleet.kinfra("a", "release --wipe").exits(0);
    fleet.kinfra("b", "claim --slot 1").exits(0);
    fleet.kinfra("b", "up").exits(0);
    let there = || format!("{:?}", fleet.things(1));
    let before = there();
    assert!(before.contains("container"), "{before}");
    fleet.machine.write(registry, older);
    fleet
        .kinfra("a", "release")
        .says("slot 1 was not cleaned: it shows a claim of `")
        .says("release 1 --force");
    fleet.kinfra("project", "reap --auto-approve").says("slot 1 was not cleaned");
    fleet.kinfra("project", "clean 1 --auto-approve").says("slot 1 was not cleaned");
    assert_eq!(there(), before);
    // Its own worktree gets it back, with its data.
    fleet.kinfra("b", "claim").exits(0).prints("Claimed slot 1");
    assert_eq!(there(), before);
}

#[test]
fn the_marks_that_an_older_kinfra_leaves_behind_lock_no_holder_out() {
    let restored = Restored::new();
    let (machine, a, b) = (&restored.machine, &restored.a, &restored.b);
    restored.run(a, "claim").exits(0).prints("Claimed slot 1");
    // It frees the slot, and gives it to the other worktree. Of marks and of the sign it knows nothing.
    let mut registry: Value = serde_json::from_str(&machine.read(REGISTRY)).expect("JSON");
    let entry = registry["slots"]["1"].as_object_mut().expect("a slot");
    entry.retain(|key, _| !["claimed_host", "claimed_user", "claimed_gitdir"].contains(&key.as_str()));
    entry.insert("claimed_by".to_owned(), b.canonicalize().expect("a path").to_str().into());
    entry.insert("claimed_at".to_owned(), "2026-03-01T17:22:10.000000+00:00".into());
    entry.insert("claim_id".to_owned(), "000000000000000000000000000000aa".into());
    assert!(entry.contains_key("claimed_token") && entry.contains_key("claim_marked"));
    machine.write(REGISTRY, format!("{registry:#}\n"));
    // The slot may still be used by the first one. Both ways out are named, and lead out.
    let doubt =
        "release and claim again for another slot; `kinfra release 1 --force` once it is no longer used";
    restored.run(b, "env").exits(4).says(doubt);
    restored.run(b, "release").exits(0).prints("Released slot 1");
    restored.run(b, "claim").exits(0).prints("Claimed slot 2");
    restored.run(b, "release").exits(0);
    machine.write(REGISTRY, format!("{registry:#}\n"));
    machine.remove(SIGN);
    for verb in ["env", "exec -- true", "renew", "claim"] {
        restored.run(b, verb).exits(0);
    }
    restored.run(a, "status").exits(0).prints("holds no slot");
    let now: Value = serde_json::from_str(&machine.read(REGISTRY)).expect("JSON");
    assert_ne!(now["slots"]["1"]["claimed_token"], registry["slots"]["1"]["claimed_token"]);
    restored.run(b, "release").exits(0).prints("Released slot 1");
}
