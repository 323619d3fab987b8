//! `kinfra run`: a slot for a command, and the end of both.

use std::io::{BufRead as _, BufReader};
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;

use crate::rig::fleet::{Fleet, Slot};
use crate::rig::scripted::{Fault, When};
use crate::support::{Machine, Run, Running, has_no_file};

/// `kinfra run` in the worktree `fix` of a fleet, for a script of sh.
pub(super) fn run(fleet: &Fleet, flags: &str, script: &str) -> Command {
    let mut run = fleet.command("fix", &format!("run --no-gate {flags}"));
    run.args(["--", "sh", "-c", script]);
    run
}

/// The same on a machine without an engine.
pub(super) fn plain(machine: &Machine, flags: &str, script: &str) -> Command {
    let mut run = machine.command(&format!("run --no-up {flags}"));
    run.args(["--", "sh", "-c", script]);
    run
}

pub(super) fn applied() -> Machine {
    let machine = Machine::small();
    machine.kinfra("apply").exits(0);
    machine
}

/// A run that is killed while its command runs.
fn killed(fleet: &Fleet, flags: &str) {
    let mut running = Running::piped(&mut run(fleet, flags, "echo ready; exec sleep 60"));
    until_it_runs(&mut running);
    running.signal(Signal::KILL);
}

/// How many slots of a pool are held.
pub(super) fn held(machine: &Machine) -> usize {
    machine.read("~/pool/registry.json").matches("\"claimed_by\": \"").count()
}

/// Waits for the first line that it prints.
pub(super) fn until_it_runs(running: &mut Running) -> String {
    let mut line = String::new();
    let stdout = running.stdout.take().expect("its stdout");
    BufReader::new(stdout).read_line(&mut line).expect("a line");
    line
}

#[test]
fn a_command_has_a_stack_of_its_own_and_its_slot_is_clean_afterwards() {
    let fleet = Fleet::new(&["fix"]);
    let script =
        "echo $SLOT_ID $COMPOSE_PROJECT_NAME; cat .env.sandbox | grep -c SHOP_; docker ps -q | wc -l; exit 7";
    let ran = Run::of(&mut run(&fleet, "--note ci", script)).exits(7);
    ran.prints_exactly("1 kinfra-fleet-slot-1\n1\n2\n")
        .says("Claimed slot 1")
        .says("Released slot 1, which was held by");
    assert_eq!(fleet.slots()[&1], Slot::Clean);
    assert_eq!(fleet.things(1).len(), 0, "{:?}", fleet.things(1));
    Run::of(&mut run(&fleet, "", "true")).exits(0).prints_exactly("");
    fleet.check().expect("a sound pool");
}

#[test]
fn a_slot_that_the_worktree_holds_is_used_and_stays() {
    let fleet = Fleet::new(&["fix"]);
    fleet.kinfra("fix", "up").exits(0);
    fleet.engine.write("kinfra-fleet-slot-1_data", "mine").exits(0);
    let data = |fleet: &Fleet| fleet.engine.volumes().iter().map(|it| it.data().len()).sum::<usize>();
    let before = data(&fleet);
    assert!(before > 0);
    let ran = Run::of(&mut run(&fleet, "", "exit 3")).exits(3);
    ran.says("Slot 1 is held by this worktree already: it is used as it is, and stays held")
        .never_says("Released");
    assert!(matches!(fleet.slots()[&1], Slot::Held(_)) && data(&fleet) == before);
    // What is asked for goes also there.
    Run::of(&mut run(&fleet, "--fresh", "exit 3")).exits(3).says("Removed 2 containers");
    assert!(matches!(fleet.slots()[&1], Slot::Held(_)) && data(&fleet) == 0);
}

#[test]
fn a_fresh_run_gets_nothing_of_what_the_worktree_left() {
    for (flags, kept) in [("", true), ("--fresh", false)] {
        let fleet = Fleet::new(&["fix"]);
        fleet.kinfra("fix", "up").exits(0);
        fleet.engine.write("kinfra-fleet-slot-1_data", "mine").exits(0);
        fleet.kinfra("fix", "release").exits(0);
        let script = "grep -c mine $ENGINE_STATE/state.json";
        let ran = Run::of(&mut run(&fleet, flags, script)).exits(i32::from(!kept));
        ran.says("has the volumes of this worktree's last claim");
        assert_eq!(fleet.slots()[&1], Slot::Clean, "a run leaves no data");
    }
}

#[test]
fn a_stack_that_does_not_start_leaves_no_claim_and_starts_no_command() {
    let fleet = Fleet::new(&["fix"]);
    fleet.engine.fails(Fault::FailHalf, &When::Matches("up --detach"));
    let ran = Run::of(&mut run(&fleet, "", "echo ran"));
    assert!(!matches!(ran.code, Some(0)), "{ran:?}");
    ran.prints_exactly("");
    assert_eq!(fleet.slots()[&1], Slot::Clean);
    // A command that is not there is told as a shell does.
    fleet.engine.mend();
    let mut absent = fleet.command("fix", "run --no-gate -- no-such-command");
    Run::of(&mut absent).exits(127).says("`no-such-command` is not found");
    assert_eq!(fleet.slots()[&1], Slot::Clean);
}

#[test]
fn a_slot_that_cannot_be_cleaned_fails_a_run_that_succeeded() {
    for (script, code) in [("exit 0", 9), ("exit 5", 5)] {
        let fleet = Fleet::new(&["fix"]);
        let gone = format!("echo 'gone always' >$ENGINE_STATE/faults; {script}");
        let ran = Run::of(&mut run(&fleet, "", &gone)).exits(code);
        ran.says("slot 1 is free, but not clean yet");
        assert!(matches!(fleet.slots()[&1], Slot::Left(_)));
    }
}

#[test]
fn signals_reach_the_command_and_the_slot_is_released() {
    for (signal, caught, code) in [
        (Signal::TERM, "TERM", 143),
        (Signal::INT, "INT", 130),
        (Signal::HUP, "HUP", 129),
        (Signal::USR1, "USR1", 138),
        (Signal::ALARM, "ALRM", 142),
    ] {
        let machine = applied();
        let script =
            format!("trap 'echo got >&2; exit 5' {caught}; echo ready; while :; do sleep 0.05; done");
        let mut running = Running::piped(&mut plain(&machine, "", &script));
        assert_eq!(until_it_runs(&mut running), "ready\n");
        assert_eq!(held(&machine), 1);
        running.signal(signal);
        running.ends().exits(5).says("got\n").says("Released slot 1");
        assert_eq!(held(&machine), 0);

        let mut running = Running::piped(&mut plain(&machine, "", "echo ready; exec sleep 60"));
        until_it_runs(&mut running);
        running.signal(signal);
        running.ends().exits(code).says("Released slot 1");
        assert_eq!(held(&machine), 0);
    }
}

#[test]
fn a_signal_before_the_command_ends_the_run_and_the_claim() {
    let fleet = Fleet::new(&["fix"]);
    fleet.engine.fails(Fault::Hang, &When::Matches("up --detach"));
    let running = Running::piped(&mut run(&fleet, "", "echo ran"));
    while !fleet.engine.calls().iter().any(|call| call.contains("up --detach")) {
        std::thread::sleep(Duration::from_millis(5));
    }
    running.signal(Signal::TERM);
    running.ends().exits(130).prints_exactly("");
    assert!(!matches!(fleet.slots()[&1], Slot::Held(_)));
}

#[test]
fn a_run_that_is_killed_is_freed_by_its_lease() {
    if has_no_file("a server judges leases by its own clock") {
        return;
    }
    let fleet = Fleet::new(&["fix"]);
    killed(&fleet, "--owner job-1");
    // The same owner has to wait: its run may go on.
    Run::of(&mut run(&fleet, "--owner job-1", "true"))
        .exits(4)
        .says("for job-1")
        .says("`kinfra release --owner job-1 --wipe` once it is no longer used");
    fleet.kinfra("project", "reap --auto-approve").exits(0);
    assert!(matches!(fleet.slots()[&1], Slot::Held(_)), "its lease of an hour goes on");
    fleet.engine.passes(Duration::from_hours(2));
    fleet.kinfra("project", "reap --auto-approve").exits(0).says("Released slot 1");
    assert_eq!(fleet.slots()[&1], Slot::Clean, "no data is kept for an owner");
}

#[test]
fn the_next_run_frees_what_a_killed_one_left() {
    if has_no_file("a server judges leases by its own clock") {
        return;
    }
    for flags in ["--owner job-1", ""] {
        let fleet = Fleet::new(&["fix"]);
        killed(&fleet, flags);
        fleet.engine.write("kinfra-fleet-slot-1_data", "of the killed run").exits(0);
        fleet.engine.passes(Duration::from_hours(2));
        let script = "echo $SLOT_ID; ! grep 'of the killed run' $ENGINE_STATE/state.json";
        let ran = Run::of(&mut run(&fleet, flags, script)).exits(0).prints_exactly("1\n");
        assert_eq!(ran.stderr.matches("Released slot 1").count(), 2, "{ran:?}");
        assert_eq!(fleet.slots()[&1], Slot::Clean);
    }
}

#[test]
fn a_directory_has_one_run_at_a_time_and_those_within_it() {
    let machine = applied();
    let second = "kinfra run --no-up -- true";
    // It is another one that does not come from the first one's command.
    let script = format!("env -u KINFRA_RUN {second}; echo $?; {second} || exit 1; exit 5");
    let ran = Run::of(&mut plain(&machine, "", &script)).exits(5).prints_exactly("4\n");
    let ran = ran.says("a run goes on there, or was killed").says("give each run an --owner");
    ran.says("Slot 1 is held by the run around this one already").says("Released slot 1");
    let inner = format!("{second} && echo $KINFRA_OWNER");
    Run::of(&mut plain(&machine, "--owner a", &inner)).exits(0).prints_exactly("a\n");
    assert_eq!(held(&machine), 0);
}

#[test]
fn the_data_of_a_run_is_kept_for_no_worktree() {
    if has_no_file("a server judges leases by its own clock") {
        return;
    }
    let fleet = Fleet::new(&["fix"]);
    killed(&fleet, "");
    fleet.engine.write("kinfra-fleet-slot-1_data", "of the run").exits(0);
    fleet.engine.passes(Duration::from_hours(2));
    fleet.kinfra("project", "reap --auto-approve").exits(0).says("Released slot 1");
    assert_eq!(fleet.slots()[&1], Slot::Clean);
}

#[test]
fn what_kinfra_was_started_to_ignore_stays_ignored() {
    let machine = applied();
    let mut nohup = machine.program("sh");
    nohup.args(["-c", "trap '' HUP; exec kinfra run --no-up -- sh -c 'echo ready; sleep 1; exit 3'"]);
    let mut running = Running::piped(&mut nohup);
    until_it_runs(&mut running);
    running.signal(Signal::HUP);
    running.ends().exits(3);
}

#[test]
fn a_script_without_its_first_line_is_one_for_sh() {
    let machine = applied();
    machine.write("~/bin/script", "echo \"$SLOT_ID $1\"; exit 4\n");
    machine.set_mode("~/bin/script", 0o755);
    let mut run = machine.command("run --no-up --");
    Run::of(run.arg(machine.path("~/bin/script")).arg("a b")).exits(4).prints_exactly("1 a b\n");
}

#[test]
fn a_lease_is_renewed_for_as_long_as_the_command_runs() {
    let machine = applied();
    let script = "ends() { kinfra status --json | grep lease_until; }
        first=$(ends); [ -n \"$first\" ] || exit 1; while [ \"$(ends)\" = \"$first\" ]; do sleep 0.05; done; exit 6";
    Run::of(&mut plain(&machine, "--lease 1s", script)).exits(6);
    // One that ended is not renewed, and the run says so.
    let script = "kinfra release >/dev/null && sleep 1";
    Run::of(&mut plain(&machine, "--lease 1s", script)).exits(0).says("ended while the command runs");
}

#[test]
fn each_owner_in_a_directory_has_a_slot() {
    let machine = applied();
    machine.repository(machine.project());
    let inner = "echo $SLOT_ID $KINFRA_OWNER; kinfra status; kinfra exec --owner a sh -c 'echo $KINFRA_OWNER'; kinfra env --format dotenv | grep SLOT_ID; kinfra slots; \
        kinfra slots --json | grep claim_owner; ls -A | grep -c env.sandbox; kinfra release --owner a >/dev/null; exit 8";
    let mut run = machine.command("run --no-up --owner a -- kinfra run --no-up --owner b -- sh -c");
    let ran = Run::of(run.arg(inner)).exits(8);
    let ran = ran
        .prints("2 b\n")
        .prints("\na\n")
        .prints("Slot 2 (only) is yours\n")
        .prints("owner   b\n")
        .prints("SLOT_ID=2\n");
    let ran =
        ran.prints("project (a)").prints("project (b)").prints("\"claim_owner\": \"a\"").prints("\n0\n");
    ran.says("for b since");
    assert_eq!(held(&machine), 0);
    // A directory's own claim is another.
    machine.kinfra("claim").exits(0).prints("Claimed slot 1");
    let ran = Run::of(&mut plain(&machine, "--owner a", "echo $SLOT_ID; grep -c 'Slot 1' .env.sandbox"));
    ran.exits(0).prints_exactly("2\n1\n");
    machine.kinfra("status --owner a").exits(0).prints("holds no slot for a\n");
    machine.kinfra("release --owner a").exits(0).prints("holds no slot for a\n");
    machine.kinfra("exec --owner a -- true").exits(3).says("holds no slot for a\n");
    assert_eq!(held(&machine), 1);
    machine.kinfra("run --owner -x -- true").exits(64).says("is not a valid name of an owner");
    let mut spoilt = machine.command("status");
    Run::of(spoilt.env("KINFRA_OWNER", "a b")).exits(64).says("KINFRA_OWNER: `a b`");
}

#[test]
fn a_registry_that_forgot_an_owner_gives_its_slot_to_no_other() {
    let machine = applied();
    machine.repository(machine.project());
    let before = machine.read("~/pool/registry.json");
    let script = "cp \"$HOME/before\" \"$HOME/pool/registry.json\"; kinfra claim --embedded 2>&1; exit 0";
    machine.write("~/before", before);
    // The run's own sign keeps its slot from the directory, which is another holder.
    let script =
        script.replace(" --embedded", "").replace("kinfra claim", "env -u KINFRA_OWNER kinfra claim");
    let ran = Run::of(&mut plain(&machine, "--owner a", &script));
    ran.prints("Claimed slot 2");
}

#[test]
fn a_slot_that_the_worktree_claims_while_a_run_has_it_stays() {
    let machine = applied();
    let script = "env -u KINFRA_RUN kinfra claim --note mine; exit 3";
    let ran = Run::of(&mut plain(&machine, "--lease 3s", script)).exits(3);
    assert!(!machine.read("~/pool/registry.json").contains("lease"));
    ran.says("Slot 1 stays held: this worktree claimed it while the command ran");
    machine.kinfra("status").exits(0).prints("Slot 1 (only) is yours");
    // Then it is used as any claim of the worktree is.
    Run::of(&mut plain(&machine, "", "exit 6")).exits(6).says("is held by this worktree already");
    assert_eq!(held(&machine), 1);
    machine.kinfra("release").exits(0);
    // A claim by the command itself changes nothing.
    Run::of(&mut plain(&machine, "", "kinfra claim")).exits(0).says("Released slot 1");
    assert_eq!(held(&machine), 0);
}

#[test]
fn what_is_taken_over_from_a_run_has_the_lease_of_a_new_claim() {
    for (claim, lease) in [("env CLAUDECODE=1 kinfra claim", "\"8h\""), ("kinfra claim --lease 2h", "\"2h\"")]
    {
        let machine = applied();
        let script = format!("env -u KINFRA_RUN {claim} >&2");
        Run::of(&mut plain(&machine, "--lease 3s", &script)).exits(0);
        assert!(machine.read("~/pool/registry.json").contains(&format!("\"lease\": {lease}")), "{claim}");
    }
}

#[test]
fn a_run_whose_slot_was_released_says_so_and_ends_with_its_command() {
    let machine = applied();
    let ran = Run::of(&mut plain(&machine, "", "kinfra release; exit 3")).exits(3);
    ran.says("warning: the slot was released while the command ran");
    // It releases no later claim of the worktree.
    let script = "kinfra release; env -u KINFRA_RUN kinfra claim; exit 0";
    Run::of(&mut plain(&machine, "", script)).exits(0);
    assert_eq!(held(&machine), 1);
}
