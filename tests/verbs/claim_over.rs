//! A claim that ends while its stack is started or reset: by a release or a reap in the middle.

use std::process::Command;

use super::compose::Shop;
use super::up::up;
use crate::rig::fleet::{Fleet, Slot};
use crate::support::tools::set_mode;
use crate::support::{Run, SHOP};

/// Has `docker` release the slot of the worktree `a` at its first call that contains a text.
fn releasing_at<'command>(
    fleet: &Fleet,
    text: &str,
    command: &'command mut Command,
) -> &'command mut Command {
    let path = command.get_envs().find(|(name, _)| *name == "PATH").and_then(|(_, path)| path);
    let path = path.expect("a PATH").to_str().expect("text").to_owned();
    let (engine, kinfra) = (path.split(':').next().expect("a directory"), env!("CARGO_BIN_EXE_kinfra"));
    let (released, a) = (fleet.machine.path("~/released"), fleet.worktree("a"));
    let (released, a) = (released.display(), a.display());
    let script = format!(
        "#!/bin/sh\ncase \"$*\" in *\"{text}\"*)\n  if [ ! -e {released} ]; then\n    : > {released}\n    \
         cd {a} && {kinfra} release --lock-timeout 0s >{released} 2>&1\n  fi ;;\nesac\nexec {engine}/docker \"$@\"\n"
    );
    fleet.machine.write("~/bin/docker", script);
    let docker = fleet.machine.path("~/bin/docker");
    set_mode(&docker, 0o755);
    command.env("PATH", format!("{}:{path}", docker.parent().expect("its directory").display()))
}

#[test]
fn an_up_whose_claim_ended_during_the_gate_does_not_say_that_all_is_well() {
    let fleet = Fleet::new(&["a", "b"]);
    fleet.kinfra("a", "claim").exits(0);
    // Nothing listens in a scripted container: the gate looks until its time is over.
    let mut up = fleet.command("a", "up --timeout 5s --settle 0s");
    let run = Run::of(releasing_at(&fleet, "container inspect", &mut up)).exits(3).prints_exactly("");
    run.says(
        "error: the claim of slot 1 ended while its stack was started\nhelp: `kinfra up` claims a slot again",
    );
    assert!(
        fleet.machine.read("~/released").contains("not clean yet"),
        "{}",
        fleet.machine.read("~/released")
    );
    assert!(matches!(fleet.slots()[&1], Slot::Left(_)), "{:?}", fleet.slots()[&1]);
    fleet.kinfra("b", "clean 1 --auto-approve").exits(0);
    fleet.check().expect("nothing is left");
}

#[test]
fn an_up_whose_claim_ended_during_its_check_does_not_say_that_all_is_well() {
    let shop = Shop::new();
    let kinfra = env!("CARGO_BIN_EXE_kinfra");
    let check = format!("{kinfra} release --lock-timeout 0s; exit 0");
    shop.machine.spec(&format!("{SHOP}[stack]\nverify = [\"/bin/sh\", \"-c\", \"{check}\"]\n"));
    shop.machine.kinfra("apply").exits(0);
    Run::of(&mut up(&shop, ""))
        .exits(3)
        .prints_exactly("")
        .says("Checking with")
        .says("error: the claim of slot 1 ended while its stack was started")
        .never_says("The stack of slot 1 runs\n");
}

#[test]
fn a_reset_whose_claim_ended_before_it_was_approved_removes_nothing() {
    let fleet = Fleet::new(&["a"]);
    fleet.kinfra("a", "claim").exits(0);
    fleet.kinfra("a", "up --no-gate").exits(0);
    let (containers, volumes) = (fleet.engine.containers().len(), fleet.engine.volumes().len());
    let mut reset = fleet.command("a", "reset --auto-approve --no-gate");
    Run::of(releasing_at(&fleet, "system df", &mut reset)).exits(3).says("holds no slot");
    assert!(fleet.machine.exists("~/released"));
    assert_eq!((fleet.engine.containers().len(), fleet.engine.volumes().len()), (containers, volumes));
}
