//! `kinfra run` and signals to all that a terminal has in front: they end the command or the start, and never the release.

use std::process::Command;
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};

use super::run::{applied, held, plain, run};
use super::run_holder::before_docker;
use crate::rig::fleet::{Fleet, Slot};
use crate::rig::terminal::Terminal;
use crate::support::{Machine, Run, Running};

/// Says in `~/there` that it is there, and waits for `~/go`.
const WAITS: &str = "touch ~/there; while [ ! -f ~/go ]; do sleep 0.02; done";

/// A `docker` that waits before it removes containers.
fn waits_at_its_end(fleet: &Fleet, command: &mut Command) {
    before_docker(fleet, command, &format!("case \"$*\" in *'container rm'*) {WAITS};; esac"));
}

fn until_there(machine: &Machine) {
    while !machine.exists("~/there") {
        thread::sleep(Duration::from_millis(5));
    }
}

/// A signal as a terminal sends it: to the program and all that it started in its group.
fn to_all(running: &Running, signal: Signal) {
    kill_process_group(Pid::from_child(running), signal).expect("it runs");
}

/// Puts a script of the command into a file: a terminal takes no words with spaces.
fn on_a_terminal(fleet: &Fleet, script: &str) -> Command {
    fleet.machine.write("~/script", script);
    let mut command = fleet.command("fix", "run --no-gate -- sh");
    command.arg(fleet.machine.path("~/script"));
    command
}

fn shows(lines: &[String], text: &str) -> bool {
    lines.iter().any(|line| line.contains(text))
}

#[test]
fn a_release_is_ended_by_no_signal() {
    // SIGQUIT may be ignored where the tests run, as in a job in the background, and then kinfra ignores it.
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let fleet = Fleet::new(&["fix"]);
        let mut command = run(&fleet, "", "exit 7");
        waits_at_its_end(&fleet, &mut command);
        let running = Running::piped(&mut command);
        until_there(&fleet.machine);
        for _ in 0..2 {
            to_all(&running, signal);
            thread::sleep(Duration::from_millis(100));
        }
        fleet.machine.write("~/go", "");
        let ran = running.ends().exits(7).says("Releasing slot 1: wait until what it has is removed\n");
        ran.says("Released slot 1");
        assert!(fleet.made_nothing(), "{signal:?}: {:#?}", fleet.summary());
    }
}

#[test]
fn a_signal_to_all_while_the_stack_starts_ends_the_run_and_the_claim() {
    // Also where docker is only asked: it ends then, and no error says why.
    for (call, docker) in [("up --detach", "*'up --detach'*"), ("a question", "ps*|compose*config*")] {
        for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
            let fleet = Fleet::new(&["fix"]);
            let mut command = run(&fleet, "", "echo ran");
            let waits = format!("case \"$*\" in {docker}) [ -f ~/there ] || {{ {WAITS}; }};; esac");
            before_docker(&fleet, &mut command, &waits);
            let running = Running::piped(&mut command);
            until_there(&fleet.machine);
            to_all(&running, signal);
            running.ends().exits(130).prints_exactly("");
            let slots = fleet.slots();
            assert!(
                !slots.values().any(|slot| matches!(slot, Slot::Held(_))),
                "{call} {signal:?}: {slots:?}"
            );
            fleet.check().unwrap_or_else(|why| panic!("{call} {signal:?}: {why}"));
        }
    }
}

#[test]
#[ignore = "needs script, of util-linux"]
fn ctrl_c_reaches_the_command_once() {
    let fleet = Fleet::new(&["fix"]);
    let counts = "trap 'echo caught' INT; echo ready; while [ ! -f ~/go ]; do sleep 0.02; done; exit 5";
    let mut terminal = Terminal::run(&fleet.machine, &on_a_terminal(&fleet, counts), 40, 200);
    terminal.until(|lines| shows(lines, "ready"));
    terminal.types("\u{3}");
    terminal.until(|lines| shows(lines, "caught"));
    // One that kinfra passed on would come soon.
    thread::sleep(Duration::from_millis(300));
    fleet.machine.write("~/go", "");
    let (code, printed, _) = terminal.ends();
    assert_eq!((code, printed.matches("caught").count()), (Some(5), 1), "{printed}");
    assert!(printed.contains("Released slot 1") && fleet.made_nothing(), "{printed}");
}

#[test]
#[ignore = "needs script, of util-linux"]
fn ctrl_c_while_the_stack_starts_releases_the_slot() {
    let fleet = Fleet::new(&["fix"]);
    let mut command = on_a_terminal(&fleet, "echo ran");
    before_docker(&fleet, &mut command, &format!("case \"$*\" in *'up --detach'*) {WAITS};; esac"));
    let mut terminal = Terminal::run(&fleet.machine, &command, 40, 200);
    until_there(&fleet.machine);
    terminal.types("\u{3}");
    let (code, printed, _) = terminal.ends();
    assert_eq!(code, Some(130), "{printed}");
    assert!(printed.contains("Released slot 1") && !printed.contains("ran\r"), "{printed}");
    assert!(fleet.made_nothing(), "{:#?}", fleet.summary());
}

#[test]
#[ignore = "needs script, of util-linux"]
fn ctrl_c_while_the_slot_is_released_ends_nothing() {
    let fleet = Fleet::new(&["fix"]);
    let mut command = on_a_terminal(&fleet, "exit 7");
    waits_at_its_end(&fleet, &mut command);
    let mut terminal = Terminal::run(&fleet.machine, &command, 40, 200);
    until_there(&fleet.machine);
    terminal.types("\u{3}");
    terminal.until(|lines| shows(lines, "Releasing slot 1: wait until what it has is removed"));
    terminal.types("\u{3}");
    fleet.machine.write("~/go", "");
    let (code, printed, _) = terminal.ends();
    assert_eq!(code, Some(7), "{printed}");
    assert!(printed.contains("Released slot 1") && fleet.made_nothing(), "{printed}");
}

#[test]
fn a_command_that_a_signal_ended_is_followed_by_a_word_of_the_release() {
    let machine = applied();
    let mut command = plain(&machine, "", WAITS);
    let running = Running::piped(&mut command);
    until_there(&machine);
    running.signal(Signal::TERM);
    running.ends().exits(143).says("Releasing slot 1: wait until").says("Released slot 1");
    assert_eq!(held(&machine), 0);
    let quiet = Run::of(&mut plain(&machine, "", "exit 3")).exits(3);
    quiet.never_says("Releasing");
}
