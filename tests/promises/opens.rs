//! How often a run opens the registry. Each read costs time in proportion to the pool's size.

use crate::rig::strace::{calls, need_strace};
use crate::support::Machine;

/// How many of a run's calls open `registry.json` in any directory: to read it, or to stage the next one.
fn opens(machine: &Machine, arguments: &str) -> usize {
    let calls = calls(&machine.command(arguments));
    calls
        .iter()
        .filter(|call| call.name.starts_with("open") && call.shown.contains("registry.json\""))
        .count()
}

#[test]
#[ignore = "needs strace"]
fn a_run_opens_the_registry_only_as_often_as_it_must() {
    need_strace();
    let machine = Machine::small();
    machine.kinfra("apply").exits(0);
    for (arguments, most) in [
        ("slots", 1),
        ("claim --lease 8h", 4),
        ("status", 2),
        ("env", 2),
        ("exec true", 4),
        ("renew", 4),
        ("release", 4),
    ] {
        let count = opens(&machine, arguments);
        assert!((1..=most).contains(&count), "{arguments}: {count} opens, at most {most}");
    }
    machine.edit_spec("web = 8000", "web = 9000");
    let count = opens(&machine, "apply --update --auto-approve");
    assert!((4..=6).contains(&count), "apply --update: {count} opens");
}
