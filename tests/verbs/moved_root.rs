//! A root that is moved away while a verb waits for its lock: the verb goes on with what is at the path now.

use std::fs::{self, File};
use std::thread;
use std::time::Duration;

use crate::support::{Machine, Run, Running};

/// Runs a verb that waits for the lock of a root. Meanwhile the root is moved away, and `then` makes another.
fn meanwhile(machine: &Machine, verb: &str, then: impl FnOnce(&Machine)) -> Run {
    let lock = File::open(machine.path("~/pool/.lock")).expect("a lock");
    lock.lock().expect("it is free");
    let waiting = Running::piped(&mut machine.command(&format!("{verb} --lock-timeout 30s")));
    let status = format!("/proc/{}/task", waiting.id());
    // A second thread waits for the lock.
    let waits = (0..6000).any(|_| {
        thread::sleep(Duration::from_millis(5));
        fs::read_dir(&status).map_or(0, Iterator::count) > 1
    });
    assert!(waits, "{verb}");
    fs::rename(machine.path("~/pool"), machine.path("~/old")).expect("a move");
    then(machine);
    drop(lock);
    waiting.ends()
}

fn apply(machine: &Machine) {
    machine.kinfra("apply").exits(0);
}

/// A machine whose project holds slot 1, by a lease that has run out.
fn held() -> Machine {
    let machine = Machine::small();
    machine.kinfra("apply").exits(0);
    machine.kinfra("claim --lease 1s").exits(0);
    thread::sleep(Duration::from_millis(1100));
    machine
}

#[test]
#[cfg(target_os = "linux")]
fn every_verb_that_writes_leaves_a_root_alone_that_was_moved_away() {
    for (verb, code) in [
        ("claim --lease 1h", 0),
        ("release", 0),
        ("release 1", 0),
        ("renew --lease 1h", 3),
        ("exec -- true", 3),
        ("reap --auto-approve", 4),
        ("apply --prune --auto-approve", 0),
        ("destroy --auto-approve", 4),
    ] {
        let machine = held();
        if verb.starts_with("apply") {
            machine.edit_spec("ids = \"1-2\"", "ids = \"1\"");
        }
        let before = machine.read("~/pool/registry.json");
        let run = meanwhile(&machine, verb, apply);
        assert_eq!(machine.read("~/old/registry.json"), before, "{verb}: {run:?}");
        assert!(machine.exists("~/old/slot-2/conf.txt"), "{verb}: {run:?}");
        assert_eq!(run.code, Some(code), "{verb}: {run:?}");
        let claims = machine.read("~/pool/registry.json").matches("\"claimed_by\": \"").count();
        assert_eq!(claims, usize::from(verb.starts_with("claim")), "{verb}: {run:?}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_root_that_is_gone_after_the_wait_is_no_pool() {
    for verb in ["claim", "release", "renew"] {
        let machine = held();
        let before = machine.read("~/pool/registry.json");
        meanwhile(&machine, verb, |_| {}).exits(3).says("there is no pool in `");
        assert_eq!(machine.read("~/old/registry.json"), before, "{verb}");
        assert!(!machine.exists("~/pool"), "{verb}");
    }
}
