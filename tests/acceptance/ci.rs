//! Runs what docs/ci.md shows, as it stands there, on a scripted engine.

use std::fs;

use crate::docs::blocks;
use crate::rig::fleet::{Fleet, Slot};
use crate::support::Run;

const CI: &str = include_str!("../../docs/ci.md");

/// The commands of the steps of a workflow.
fn steps(workflow: &str) -> Vec<&str> {
    workflow.lines().filter_map(|line| line.trim().strip_prefix("- run: ")).collect()
}

#[test]
fn the_recipes_for_ci_run_as_they_are_written() {
    let shell = blocks(CI, "sh").into_iter().map(str::to_owned);
    let workflows: Vec<String> =
        blocks(CI, "yaml").into_iter().map(|block| steps(block).join("\n")).collect();
    assert!(
        workflows.len() == 2 && workflows.iter().all(|steps| steps.contains("kinfra run")),
        "{workflows:?}"
    );
    let fleet = Fleet::new(&["fix"]);
    // Nothing listens in a scripted container, so the gate is left out.
    let kinfra = "#!/bin/sh\nverb=$1; shift\n[ $verb != run ] || set -- --no-gate \"$@\"\nexec \"$KINFRA\" $verb \"$@\"\n";
    fleet.machine.write("~/bin/kinfra", kinfra);
    fleet.machine.set_mode("~/bin/kinfra", 0o755);
    let tests = "#!/bin/sh\ndocker ps -q | grep . >/dev/null && echo \"$COMPOSE_PROJECT_NAME $KINFRA_OWNER\" >>\"$HOME/ran\"\n";
    fs::write(fleet.worktree("fix").join("test.sh"), tests).expect("a script");
    fleet.machine.set_mode("~/fix/test.sh", 0o755);
    let mut runs = 0;
    for script in shell.chain(workflows) {
        let mut sh = fleet.machine.program("bash");
        fleet.engine.reach(&mut sh);
        let path = sh.get_envs().find(|(name, _)| *name == "PATH").and_then(|(_, path)| path);
        let path = format!("{}:{}", fleet.machine.path("~/bin").display(), path.expect("a PATH").display());
        sh.env("PATH", path).env("KINFRA", env!("CARGO_BIN_EXE_kinfra"));
        for (name, value) in [("RUN_ID", "77"), ("RUN_ATTEMPT", "2"), ("JOB", "test")] {
            sh.env(format!("GITHUB_{name}"), value);
        }
        sh.args(["-e", "-c", &script]);
        runs += script.matches("kinfra run").count();
        Run::of(sh.current_dir(fleet.worktree("fix"))).exits(0);
        assert!(fleet.slots().values().all(|slot| *slot == Slot::Clean), "{script}");
    }
    let ran = fleet.machine.read("~/ran");
    assert_eq!(ran.lines().count(), runs, "{ran}");
    for owner in [" unit\n", " browser\n", " 77-2-test\n"] {
        assert!(ran.contains(owner), "{ran}");
    }
}
