//! The memory that a stack uses on a real engine: its peak is noted before its containers go.

use serde_json::Value;

use crate::rig::engine::{BUSYBOX, Engine};
use crate::support::{Machine, Run, shop};

/// What the stack takes for a moment, in MiB. It gives it back before it is looked at.
const TAKEN: u64 = 96;

#[test]
#[ignore = "needs docker"]
fn a_peak_of_a_real_stack_is_noted_and_shown() {
    let engine = Engine::for_projects(&["kinfra-peak-slot-1", "kinfra-peak-slot-2"]);
    let machine = Machine::new().with_real_ports();
    machine.install("docker");
    machine.spec(&shop("kinfra-peak", 27_500).replace(", publish = \"web:80\"", ""));
    let takes = format!("dd if=/dev/zero of=/dev/null bs={TAKEN}M count=1; touch /done; exec sleep 1000");
    machine.write(
        "compose.yaml",
        format!(
            "services:\n  web:\n    image: {BUSYBOX}\n    command: [sh, -c, '{takes}']\n    init: true\n    \
             healthcheck: {{test: [CMD, test, -e, /done], interval: 1s}}\n"
        ),
    );
    machine.repository(machine.project());
    let kinfra = |arguments: &str| Run::of(engine.reach(&mut machine.command(arguments)));
    kinfra("apply").exits(0);
    kinfra("up").exits(0);
    kinfra("status").exits(0).never_says("earlier runs");
    kinfra("down").exits(0);
    kinfra("status").exits(0).prints("earlier runs used at most ");
    let status: Value = serde_json::from_str(&kinfra("status --json").stdout).expect("JSON");
    let peak = status["peak_memory"].as_u64().expect("a peak") >> 20;
    assert!((TAKEN..8 * TAKEN).contains(&peak), "{peak} MiB");
    // A start for which no machine has the memory is refused, and says what the last one used.
    machine.edit_spec("name = \"only\"", "name = \"only\"\nmemory = \"900000g\"");
    kinfra("apply").exits(0);
    kinfra("up").exits(3).says("memory: needs 900000 GiB (its earlier runs used at most ").says(" free");
    kinfra("release").exits(0);
}
