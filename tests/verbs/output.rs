//! What a verb does where nothing takes what it prints: a full disk, a reader that is gone, a stream that is
//! closed. The exit code tells done from not done, and the message says what was done.

use std::fs::File;
use std::io::Read as _;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use rustix::fs::OFlags;

use super::compose::Shop;
use super::up::up;
use crate::support::{Machine, Run, Running};

/// Runs a command whose stdout is a disk without room. Only Linux has one to try.
#[cfg(target_os = "linux")]
fn to_full(mut command: Command) -> Run {
    let full = File::options().write(true).open("/dev/full").expect("a full disk");
    Running::start(command.stdout(full).stderr(Stdio::piped())).ends()
}

#[cfg(target_os = "linux")]
const FULL: &str = "could not print to stdout: No space left on device";

#[test]
#[cfg(target_os = "linux")]
fn what_was_done_is_said_where_stdout_is_full() {
    let machine = Machine::small();
    let full = |arguments: &str| to_full(machine.command(arguments));
    // The plan comes before the work.
    let mut init = machine.command("init --embedded");
    init.current_dir(machine.home());
    to_full(init).exits(1).says(FULL).says("; nothing was changed\n");
    assert!(!machine.exists("~/slots.toml"));
    for arguments in ["apply", "apply --json"] {
        full(arguments).exits(1).says(FULL).says("; nothing was changed\n");
        assert!(!machine.exists("~/pool"), "{arguments}");
    }
    full("plan --out a.plan").exits(74).says("saved the plan in `a.plan`, but ").says(FULL);
    machine.kinfra("apply").exits(0);
    machine.edit_spec("web = 8000", "web = 8010");
    full("apply --update --auto-approve").exits(1).says("; nothing was changed\n");
    machine.edit_spec("web = 8010", "web = 8000");

    for (arguments, done) in [
        ("claim --lease 1h", "claimed slot 1, but "),
        ("claim --json", "claimed slot 1, but "),
        ("renew", "renewed the lease of slot 1, but "),
        ("release", "released slot 1, but "),
    ] {
        full(arguments).exits(74).says(&format!("error: {done}{FULL}"));
        let is_held = !machine.kinfra("status --json").exits(0).stdout.contains("\"slot_id\": null");
        assert_eq!(is_held, arguments != "release", "{arguments}");
    }
    // Nothing is done: there is nothing to release, and no slot to claim.
    full("release").exits(1).says(FULL).never_says("but");
    full("claim --json --slot 7").exits(3);

    machine.kinfra("claim --lease 1s").exits(0);
    sleep(Duration::from_millis(1100));
    for arguments in ["reap --auto-approve", "destroy --auto-approve"] {
        full(arguments).exits(1).says(FULL);
    }
    machine.kinfra("slots").exits(0).prints("expired");
    machine.write("~/pool/registry.json", "{");
    full("doctor --repair --auto-approve").exits(1).says(FULL);
    assert_eq!(machine.read("~/pool/registry.json"), "{");
}

#[test]
#[cfg(target_os = "linux")]
fn a_start_says_that_its_stack_runs_where_stdout_is_full() {
    let shop = Shop::new();
    for arguments in ["", "--json"] {
        to_full(up(&shop, arguments)).exits(74).says("error: started the stack of slot 1, but ").says(FULL);
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_verb_that_only_reads_fails_where_stdout_is_full() {
    let machine = Machine::small();
    machine.kinfra("apply").exits(0);
    machine.kinfra("claim").exits(0);
    machine.kinfra("plan --out a.plan").exits(0);
    let reads = "slots|slots --json|status|status --json|plan|plan --json|show a.plan|ports|ports --json|doctor|\
                 validate|validate --json|env|env --format json|completions bash|man|help exit-codes|--help|\
                 --version|help claim|slots --watch|slots --watch --json";
    for arguments in reads.split('|') {
        let run = to_full(machine.command(arguments)).exits(1).says("error: ").says(FULL);
        assert!(!run.stderr.contains("panicked"), "{run:?}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn messages_that_cannot_be_printed_stop_nothing() {
    let machine = Machine::small();
    let run = |arguments: &str| {
        let full = File::options().write(true).open("/dev/full").expect("a full disk");
        let mut command = machine.command(arguments);
        Running::start(command.stdout(Stdio::piped()).stderr(full)).ends()
    };
    run("apply").exits(0);
    run("claim").exits(0).prints("Claimed slot 1 (only)\n");
    run("slots").exits(0).prints("project");
    run("claim --slot 2").exits(4);
    run("release").exits(0).prints("Released slot 1, ");
    run("destroy --auto-approve").exits(0);
    assert!(!machine.exists("~/pool/slot-1"));
}

#[test]
fn a_stream_that_can_only_be_read_is_as_a_full_one() {
    let machine = Machine::small();
    machine.kinfra("apply").exits(0);
    let script = |text: &str| Run::of(machine.program("sh").args(["-c", text]));
    script("kinfra claim 1< slots.toml").exits(74).says("claimed slot 1, but could not print to stdout: ");
    script("kinfra status 2< slots.toml").exits(0).prints("Slot 1 (only) is yours");
    script("eval \"$(kinfra env 1< slots.toml)\"; kinfra release 1< slots.toml")
        .exits(74)
        .says("released slot 1, but ");
    let spec = machine.read("slots.toml");
    assert_eq!(spec, crate::support::SMALL);
}

#[test]
fn a_file_that_may_not_grow_is_as_a_full_disk() {
    let machine = Machine::small();
    machine.kinfra("apply").exits(0);
    for verb in ["--help", "status", "env --help", "completions bash"] {
        let text = format!("ulimit -f 0; exec kinfra {verb} > ~/file");
        let run = Run::of(machine.program("bash").args(["-c", &text])).exits(1);
        run.says("error: could not print to stdout: File too large");
    }
}

#[test]
fn a_reader_that_is_gone_is_no_error() {
    let machine = Machine::small();
    let script = |text: &str| Run::of(machine.program("bash").args(["-c", text]));
    let text = "set -o pipefail; for verb in apply claim slots 'slots --json' status 'plan --json' doctor renew \
                --help release 'destroy --auto-approve'; do kinfra $verb 2>/dev/null | true; \
                echo \"$verb ${PIPESTATUS[0]}\"; done";
    let run = script(text);
    assert!(run.stdout.lines().all(|line| line.ends_with(" 0")), "{}", run.stdout);
    assert_eq!(run.stdout.lines().count(), 11, "{}", run.stdout);
}

#[test]
fn closed_streams_are_as_empty_as_dev_null() {
    let machine = Machine::small();
    let script = |text: &str| Run::of(machine.program("sh").args(["-c", text]));
    for closed in [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"] {
        for verb in ["apply", "claim", "slots", "env", "status", "release", "destroy --auto-approve"] {
            script(&format!("kinfra {verb} {closed}")).exits(0);
        }
        // What would have been printed went into no file of the pool.
        for file in ["~/pool/registry.json", "~/pool/registry.json.bak", "~/pool/.lock"] {
            let text = machine.read(file);
            assert!(!text.contains("Plan:") && !text.contains("Slot"), "{closed}: {file}: {text}");
        }
    }
}

#[test]
fn a_pipe_that_refuses_what_does_not_fit_gets_everything() {
    let machine = Machine::small();
    machine.edit_spec("ids = \"1-2\"", "ids = \"1-900\"");
    machine.kinfra("apply").exits(0);
    let expected = machine.kinfra("slots --json").exits(0).stdout;
    assert!(expected.len() > 200_000, "{}", expected.len());
    let (mut reader, writer) = std::io::pipe().expect("a pipe");
    // As Node.js opens the pipes of its children.
    let flags = rustix::fs::fcntl_getfl(&writer).expect("its flags");
    rustix::fs::fcntl_setfl(&writer, flags | OFlags::NONBLOCK).expect("other flags");
    let mut command = machine.command("slots --json");
    let slots = Running::start(command.stdout(writer).stderr(Stdio::piped()));
    drop(command);
    sleep(Duration::from_millis(300));
    let mut printed = String::new();
    reader.read_to_string(&mut printed).expect("its text");
    slots.ends().exits(0);
    assert!(printed == expected, "{} of {} bytes", printed.len(), expected.len());
}
