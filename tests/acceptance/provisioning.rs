//! The acceptance document passes, command by command, with the binary that was just built.
//!
//! Its commands say `uv run kinfra …`. Here a stand-in for uv runs the binary; with the real uv, and
//! the wheel, they run in `wheel.rs`.

use std::fs;

use crate::acceptance;
use crate::support::Machine;
use crate::support::tools::set_mode;

pub(super) const STAND_IN_FOR_UV: &str = r#"#!/bin/sh
if [ "$1 $2" != "run kinfra" ]; then
    echo "this stand-in for uv only knows 'uv run kinfra', not 'uv $*'" >&2
    exit 64
fi
shift
exec "$@"
"#;

#[test]
fn the_document_has_ten_steps() {
    let numbers: Vec<_> = acceptance::steps().iter().map(|step| step.number).collect();
    assert_eq!(numbers, (1..=10).collect::<Vec<_>>());
}

#[test]
fn the_acceptance_document_passes() {
    let machine = Machine::new();
    let uv = machine.tools().join("uv");
    fs::write(&uv, STAND_IN_FOR_UV).expect("a stand-in for uv");
    set_mode(&uv, 0o755);
    acceptance::pass_every_step(|| machine.program("bash"));
}
