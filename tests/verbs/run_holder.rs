//! `kinfra run` and its holder: the lease during the start, another run of the same holder, a claim that was there before,
//! and one that the command makes.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::Command;

use rustix::process::Signal;

use super::run::{applied, held, plain, run, until_it_runs};
use crate::rig::fleet::Fleet;
use crate::support::{Machine, Run, Running, has_no_file};

/// A `docker` that runs a script of sh before the real one. It finds where that is as `$docker`.
pub(super) fn before_docker(fleet: &Fleet, command: &mut Command, script: &str) {
    let (_, path) = command.get_envs().find(|(name, _)| *name == "PATH").expect("a PATH");
    let path = path.expect("a PATH").to_owned();
    let own = fleet.machine.path("~/bin");
    let mut dirs = std::env::split_paths(&path).filter(|dir| *dir != own);
    let docker = dirs.find_map(|dir| Some(dir.join("docker")).filter(|docker| docker.exists()));
    let docker = docker.expect("the scripted one");
    let text = format!("#!/bin/sh\ndocker={}\n{script}\nexec $docker \"$@\"\n", docker.display());
    fleet.machine.write("~/bin/docker", text);
    fleet.machine.set_mode("~/bin/docker", 0o755);
    let path = std::env::join_paths(std::iter::once(own).chain(std::env::split_paths(&path)));
    // What waits for a test may take longer than one that hangs.
    command.env("PATH", path.expect("a PATH")).env("KINFRA_TEST_DOCKER_SECONDS", "100");
}

/// A run that holds its slot until there is a file `~/go`.
fn holding(machine: &Machine, flags: &str) -> Running {
    let script = "echo ready; while [ ! -f ~/go ]; do sleep 0.02; done";
    let mut running = Running::piped(&mut plain(machine, flags, script));
    until_it_runs(&mut running);
    running
}

/// The first line that it says.
fn first_word(running: &mut Running) -> String {
    let mut line = String::new();
    BufReader::new(running.stderr.take().expect("stderr")).read_line(&mut line).expect("a line");
    line
}

#[test]
fn a_lease_is_renewed_while_the_stack_starts() {
    if has_no_file("its command reads the file") {
        return;
    }
    // It starts once the lease has another end, and fails if that does not come.
    let script = "case \"$*\" in *'up --detach'*) ends() { grep lease_until ~/pool/registry.json; }; first=$(ends)
        for i in $(seq 100); do [ \"$(ends)\" = \"$first\" ] || exec $docker \"$@\"; sleep 0.05; done; exit 9;; esac";
    let fleet = Fleet::new(&["fix"]);
    let mut run = run(&fleet, "--lease 1s", "exit 3");
    before_docker(&fleet, &mut run, script);
    Run::of(&mut run).exits(3);
    // So is that of a claim.
    fleet.kinfra("fix", "claim --lease 1s").exits(0);
    let mut up = fleet.command("fix", "up");
    before_docker(&fleet, &mut up, script);
    Run::of(&mut up).exits(0);
}

#[test]
fn a_run_that_waits_comes_after_another_one_of_its_holder() {
    for flags in ["", "--owner a"] {
        let machine = applied();
        let first = holding(&machine, flags);
        let mut second = Running::piped(&mut plain(&machine, &format!("--wait=2m {flags}"), "exit 4"));
        let said = first_word(&mut second);
        assert!(said.contains("Waiting for another run: slot 1 is held by "), "{said}");
        assert!(second.try_wait().expect("its state").is_none());
        machine.write("~/go", "");
        first.ends().exits(0);
        second.ends().exits(4);
        assert_eq!(held(&machine), 0);
    }
}

#[test]
fn a_run_waits_no_longer_than_it_is_to() {
    let machine = applied();
    let first = holding(&machine, "");
    for time in ["0s", "1s"] {
        let late = Run::of(&mut plain(&machine, &format!("--wait={time}"), "echo ran")).exits(3);
        late.prints_exactly("").says("a run goes on there, or was killed");
    }
    Run::of(&mut plain(&machine, "", "true")).exits(4).says("help: `--wait` waits for it");
    let mut third = Running::piped(&mut plain(&machine, "--wait", "echo ran"));
    first_word(&mut third);
    third.signal(Signal::INT);
    third.ends().exits(130).prints_exactly("");
    machine.write("~/go", "");
    first.ends().exits(0).says("Released slot 1");
}

#[test]
fn a_run_that_waits_frees_what_a_killed_one_left() {
    let machine = applied();
    let first = holding(&machine, "--lease 1s");
    first.signal(Signal::KILL);
    drop(first);
    Run::of(&mut plain(&machine, "--wait=2m", "exit 4")).exits(4).says("Released slot 1");
    assert_eq!(held(&machine), 0);
}

#[test]
fn what_is_asked_of_a_claim_that_is_there_is_said_to_change_nothing() {
    let machine = applied();
    machine.kinfra("claim").exits(0);
    let run = Run::of(&mut plain(&machine, "--lease 2h --note ci", "exit 3")).exits(3);
    run.says("stays held. --lease and --note are not used: they are for a new claim\n");
    let run = Run::of(&mut plain(&machine, "--note ci", "exit 3")).exits(3);
    run.says("--note is not used: it is for a new claim\n");
    Run::of(&mut plain(&machine, "--profile only", "exit 3")).exits(3).never_says("not used");
    let run = Run::of(&mut plain(&machine, "--profile large", "echo ran")).exits(4).prints_exactly("");
    run.says("this worktree holds slot 1 already, whose profile is only").says("help: leave out --profile");
    assert!(!machine.read("~/pool/registry.json").contains("lease"));
}

#[test]
fn what_its_command_claims_anew_ends_with_a_run() {
    for flags in ["", "--owner a"] {
        let fleet = Fleet::new(&["fix"]);
        let anew = "kinfra release && kinfra claim && kinfra up --no-gate";
        let ran = Run::of(&mut run(&fleet, flags, &format!("{{ {anew}; }} >&2 && exit 5"))).exits(5);
        assert_eq!(ran.stderr.matches("Released slot 1").count(), 2, "{ran:?}");
        assert!(fleet.made_nothing(), "{flags}: {:#?}", fleet.summary());
    }
}

#[test]
fn what_a_run_s_command_claims_for_another_holder_stays() {
    let machine = applied();
    machine.repository(machine.project());
    machine.worktree("other");
    let anew = "kinfra release && kinfra claim && env -u KINFRA_RUN kinfra claim --note mine";
    let ran = Run::of(&mut plain(&machine, "", &format!("{{ {anew}; }} >&2; exit 3"))).exits(3);
    ran.says("warning: the slot was released while the command ran");
    assert_eq!(held(&machine), 1);
    machine.kinfra("release").exits(0);
    let elsewhere = "kinfra release && cd ~/other && kinfra claim";
    Run::of(&mut plain(&machine, "", &format!("{{ {elsewhere}; }} >&2; exit 3"))).exits(3);
    assert_eq!(held(&machine), 1);
    machine.kinfra("release").exits(0).prints("holds no slot");
}

#[test]
fn a_time_apart_from_its_flag_is_not_the_command() {
    let machine = applied();
    let run = machine.kinfra("run --no-up --wait 1s -- true").exits(64);
    run.says("`1s` is taken for the command").says("help: write `--wait=1s`").never_says("Claimed");
    machine.kinfra("run --no-up --wait=1s -- true").exits(0);
    machine.kinfra("run --no-up --wait -- true").exits(0);
}

#[test]
fn a_wait_for_a_slot_that_another_worktree_keeps_ends_as_one_for_any_slot() {
    let machine = applied();
    machine.repository(machine.project());
    Run::of(machine.command("claim").current_dir(machine.worktree("other"))).exits(0);
    for verb in ["claim", "run --no-up"] {
        let command = |wait: &str| {
            let end = if verb == "claim" { "" } else { " -- true" };
            machine.kinfra(&format!("{verb} --slot 1{wait}{end}"))
        };
        command("").exits(4).says("slot 1 is held by");
        command(" --wait=1s").exits(3).says("slot 1 is held by");
    }
}

#[test]
fn a_run_does_not_wait_without_end_for_the_slot_of_the_run_around_it() {
    let machine = applied();
    let inner = "kinfra run --no-up --owner b --wait";
    let run = Run::of(&mut plain(&machine, "", &format!("{inner} --slot 1 -- true"))).exits(3);
    run.says("the run around this one holds each slot that would do").says("Released slot 1");
    let middle = format!("kinfra run --no-up --owner a -- {inner} -- true");
    Run::of(&mut plain(&machine, "", &middle)).exits(3).says("holds each slot that would do");
    assert_eq!(held(&machine), 0);
    Run::of(&mut plain(&machine, "", &format!("{inner} -- true"))).exits(0);
}

#[test]
fn a_run_ends_its_claim_whatever_became_of_its_directory() {
    let machine = applied();
    machine.repository(machine.project());
    let anew = "top=$(git rev-parse --git-common-dir) && git worktree remove --force ~/w &&
        git --git-dir $top worktree add --quiet ~/w w";
    let (first, moved) = (machine.path("~/w"), machine.path("~/moved"));
    let add = format!("worktree add --quiet --force -B w {}", first.display());
    let scripts = [
        "rm -r ~/w",
        "git worktree move ~/w ~/moved",
        "git worktree move ~/w ~/moved && cd ~/moved && kinfra status",
        "mv ~/w ~/moved",
        anew,
        "kinfra release && kinfra claim && git worktree move ~/w ~/moved",
    ];
    for (script, flags) in scripts.iter().flat_map(|script| [(script, ""), (script, "--owner a")]) {
        machine.git(machine.project(), &add);
        let mut run = plain(&machine, flags, &format!("{{ {script}; }} >&2; exit 3"));
        let ran = Run::of(run.current_dir(&first)).exits(3);
        ran.says("Released slot 1").never_says("was released while the command ran");
        assert_eq!(held(&machine), 0, "{script}");
        machine.kinfra("run --no-up -- true").exits(0);
        for there in [&first, &moved].into_iter().filter(|path| path.exists()) {
            fs::remove_dir_all(there).expect("a directory that can be removed");
        }
        machine.git(machine.project(), "worktree prune");
    }
}

#[test]
fn a_lease_is_renewed_in_a_worktree_that_is_moved() {
    if has_no_file("its command reads the file") {
        return;
    }
    let machine = applied();
    machine.repository(machine.project());
    let tree = machine.worktree("w");
    let ends = "grep -m1 lease_until ~/pool/registry.json";
    let script = format!(
        "{{ git worktree move ~/w ~/moved && cd ~/moved && kinfra status; }} >&2; first=$({ends})
        for i in $(seq 100); do [ \"$({ends})\" = \"$first\" ] || exit 3; sleep 0.05; done"
    );
    Run::of(plain(&machine, "--lease 1s", &script).current_dir(&tree)).exits(3);
    assert_eq!(held(&machine), 0);
}
