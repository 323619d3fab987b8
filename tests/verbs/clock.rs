//! Clocks that are wrong, clocks that jump, durations without an end, and files of other ages.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use serde_json::Value;

use super::compose::Shop;
use super::up::up;
use crate::support::{Machine, Run};

const YEAR: i64 = 31_556_952;

/// Commands on a machine whose clock shows another time.
struct Clock<'a>(&'a Machine);

impl Clock<'_> {
    /// Sets the clock: seconds since 1970.
    fn set(&self, seconds: i64) {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a clock that is right");
        let now = i64::try_from(now.as_secs()).expect("a time");
        self.0.write("~/clock", seconds.saturating_sub(now).to_string());
    }

    fn command(&self, arguments: &str) -> Command {
        let mut command = self.0.command(arguments);
        command.env("KINFRA_TEST_CLOCK", self.0.path("~/clock"));
        command
    }

    fn kinfra(&self, arguments: &str) -> Run {
        Run::of(&mut self.command(arguments))
    }
}

/// The time that a claim of slot 1 has in the registry, as it is written.
fn claimed_at(machine: &Machine) -> String {
    let registry: Value = serde_json::from_str(&machine.read("~/pool/registry.json")).expect("JSON");
    registry["slots"]["1"]["claimed_at"].as_str().expect("a time").to_owned()
}

#[test]
fn a_claim_is_right_whatever_the_clock_says() {
    for (seconds, time) in [
        (-100, "1969-12-31T23:58:"),
        (-10 * YEAR + YEAR / 2, "1960-"),
        (-1900 * YEAR + YEAR / 2, "0070-"),
        (0, "1970-01-01T00:00:"),
        (300 * YEAR + YEAR / 2, "2270-"),
        (7990 * YEAR + YEAR / 2, "9960-"),
    ] {
        let machine = Machine::small();
        let clock = Clock(&machine);
        clock.set(seconds);
        for verb in ["apply", "claim --lease 2h", "status", "slots", "slots --json", "renew", "doctor", "env"]
        {
            clock.kinfra(verb).exits(0).never_says("panicked");
        }
        let at = claimed_at(&machine);
        assert!(at.starts_with(time), "{seconds}: {at}");
        clock.kinfra("slots").prints("1h59m");
        clock.kinfra("reap --dry-run").exits(0).prints("Reap: 0 to release.");
        clock.set(seconds + 3 * 3600);
        clock.kinfra("slots").exits(0).prints("expired");
        clock.kinfra("reap --auto-approve").exits(0).says("Released slot 1");
    }
}

#[test]
fn a_clock_that_no_registry_can_hold_is_refused_before_anything_is_done() {
    let machine = Machine::small();
    machine.kinfra("apply").exits(0);
    machine.kinfra("claim").exits(0);
    let (before, clock) = (machine.tree(), Clock(&machine));
    for seconds in [28_030 * YEAR, 8029 * YEAR, -1971 * YEAR, -8000 * YEAR, i64::MAX / 2, i64::MIN / 2] {
        clock.set(seconds);
        for verb in
            ["claim", "release", "renew", "apply", "plan", "slots", "reap --auto-approve", "exec true"]
        {
            let run =
                clock.kinfra(verb).exits(1).never_says("panicked").says("nothing was changed\nhelp: set it");
            assert!(run.stderr.starts_with("error: the clock of this machine cannot be right: it says "));
        }
        let run = clock.kinfra("env").exits(1);
        assert!(run.stdout.ends_with("false\n"), "{run:?}");
    }
    machine.remove("~/clock");
    assert_eq!(machine.tree(), before);
}

#[test]
fn a_clock_that_jumps_gives_no_slot_twice() {
    let machine = Machine::small();
    machine.edit_spec("ids = \"1-2\"", "ids = \"1\"");
    let clock = Clock(&machine);
    fs::create_dir(machine.path("~/other")).expect("a directory");
    let other = |arguments: &str| {
        let mut command = clock.command(arguments);
        command.current_dir(machine.path("~/other")).env("KINFRA_SPEC", machine.path("slots.toml"));
        Run::of(&mut command)
    };
    let now = 60 * YEAR;
    clock.set(now);
    clock.kinfra("apply").exits(0);
    clock.kinfra("claim --lease 1h").exits(0);
    for seconds in [now - 50 * YEAR, -YEAR, now, now + 3500] {
        clock.set(seconds);
        other("claim").exits(3).says("no slot is free");
        clock.kinfra("status").exits(0).prints("Slot 1 (only) is yours");
        clock.kinfra("slots").exits(0).never_says("expired");
    }
    // A lease that has run out ends with a reap only, and a clock that goes back makes it hold again.
    clock.set(now + 2 * 3600);
    clock.kinfra("slots").exits(0).prints("expired");
    clock.set(now);
    clock.kinfra("reap --auto-approve").exits(0).never_says("Released");
    clock.kinfra("renew --lease 1h").exits(0);
    other("claim").exits(3);
}

#[test]
fn a_duration_without_an_end_is_one() {
    const LONGEST: &str = "18446744073709551615s";
    let machine = Machine::small();
    machine.kinfra("apply").exits(0);
    for lease in ["99999999d", "213503982334601d", LONGEST] {
        machine
            .kinfra(&format!("claim --lease {lease}"))
            .exits(0)
            .prints("9999-12-30")
            .never_says("panicked");
        machine.kinfra("status").exits(0).prints("d").prints(" left\n");
        machine.kinfra("slots").exits(0).prints("d");
        machine.kinfra(&format!("renew --lease {lease}")).exits(0).prints("9999-12-30");
        machine.kinfra("reap --dry-run").exits(0).prints("Reap: 0 to release.");
        machine.kinfra("release").exits(0);
    }
    machine.kinfra(&format!("claim --wait={LONGEST} --lock-timeout {LONGEST}")).exits(0);
    machine.kinfra("claim --lease 213503982334602d").exits(64).says("write a whole number and a unit");
    let shop = Shop::new();
    let arguments = format!("--timeout {LONGEST} --wait-for-memory {LONGEST}");
    let run = Run::of(&mut up(&shop, &arguments)).never_says("panicked");
    assert!(run.code == Some(0) || run.code == Some(64), "{run:?}");
    Run::of(&mut up(&shop, &format!("--timeout {LONGEST}"))).exits(0);
}

/// Gives everything below a directory the same age.
fn age(dir: &Path, at: SystemTime) {
    for entry in fs::read_dir(dir).expect("a directory").map(|entry| entry.expect("an entry").path()) {
        let meta = entry.symlink_metadata().expect("metadata");
        if meta.is_dir() {
            age(&entry, at);
        }
        if !meta.is_symlink() {
            File::open(&entry).and_then(|file| file.set_modified(at)).expect("an age");
        }
    }
}

#[test]
fn files_of_any_age_are_used() {
    let machine = Machine::in_memory();
    machine.spec(crate::support::SMALL);
    machine.template("conf.txt", "text\n");
    machine.repository(machine.project());
    machine.worktree("fix");
    machine.kinfra("apply").exits(0);
    let fix = |arguments: &str| Run::of(machine.command(arguments).current_dir(machine.path("~/fix")));
    fix("claim").exits(0);
    let years = |years: u64| Duration::from_secs(years * 31_556_952);
    let epoch = SystemTime::UNIX_EPOCH;
    for at in [epoch - years(1969), epoch - years(1_000_000), epoch + years(28_030), epoch + years(1_000_000)]
    {
        for dir in [machine.home(), machine.project()] {
            age(&dir, at);
        }
        for verb in [
            "plan",
            "apply",
            "claim",
            "status",
            "slots",
            "slots --json",
            "renew",
            "doctor",
            "env",
            "reap --dry-run",
            "release",
            "claim",
        ] {
            fix(verb).exits(0).never_says("panicked");
        }
    }
}
