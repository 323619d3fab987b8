//! The acceptance document passes, command by command, with the binary that was just built.
//!
//! Its commands say `uv run kinfra …`. Here a stand-in for uv runs the binary; with the real uv, and
//! the wheel, they run in `wheel.rs`.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};

use crate::acceptance;

const STAND_IN_FOR_UV: &str = r#"#!/bin/sh
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
    let machine = tempfile::tempdir().expect("a temporary directory");
    let [home, repository, bin] = ["home", "ktrdr", "bin"].map(|name| {
        let directory = machine.path().join(name);
        fs::create_dir(&directory).expect("a directory of the test's machine");
        directory
    });
    symlink(env!("CARGO_BIN_EXE_kinfra"), bin.join("kinfra")).expect("kinfra in PATH");
    fs::write(bin.join("uv"), STAND_IN_FOR_UV).expect("uv in PATH");
    fs::set_permissions(bin.join("uv"), Permissions::from_mode(0o755)).expect("an executable uv");

    let mut path = bin.into_os_string();
    path.push(":");
    path.push(std::env::var_os("PATH").expect("PATH is set"));
    acceptance::pass_every_step(&repository, &[("HOME", home.as_os_str()), ("PATH", &path)]);
}
