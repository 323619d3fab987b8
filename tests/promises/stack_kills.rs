//! Every docker call of a verb is killed, fails, hangs and lies, and so is every change of the registry. Afterwards the
//! registry never says that a slot is clean while the engine has something of it, no slot is lost, and running the same
//! again leads where an undisturbed run does.
//!
//! ```text
//! cargo test --profile ci -- --ignored stack_kills
//! KINFRA_SCENARIO=release cargo test --profile ci -- --ignored stack_kills     # those with this in their name
//! ```

use std::env;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use crate::rig::figure;
use crate::rig::fleet::Fleet;
use crate::rig::scripted::{Call, Fault, When};
use crate::rig::strace::{self, Injection};
use crate::support::{Run, Running};

/// A command in a worktree.
type Step = (&'static str, &'static str);

/// A command that is disturbed, and what it starts from.
struct Scenario {
    name: &'static str,
    set_up: fn(&Fleet),
    step: Step,
    /// What is run afterwards, besides the same command: what kinfra's messages say.
    after: &'static [Step],
}

const WORKTREES: [&str; 5] = ["a", "b", "c", "x", "y"];

const REAP: &[Step] = &[("b", "reap --auto-approve")];

/// Removes the data of a stack and starts it anew.
const RESET: &str = "reset --auto-approve";

/// The scenarios. A verb that is new gets one here.
const SCENARIOS: &[Scenario] = &[
    Scenario { name: "up", set_up: claimed, step: ("a", "up"), after: &[] },
    Scenario { name: "up again", set_up: started, step: ("a", "up"), after: &[] },
    Scenario { name: "compose up", set_up: claimed, step: ("a", "compose up -d --build"), after: &[] },
    Scenario { name: "down", set_up: started, step: ("a", "down"), after: &[] },
    Scenario { name: "down --volumes", set_up: started, step: ("a", "down --volumes"), after: &[] },
    Scenario { name: "reset", set_up: started, step: ("a", RESET), after: &[] },
    Scenario { name: "claim of a clean slot", set_up: started, step: ("b", "claim"), after: &[] },
    Scenario { name: "release", set_up: started, step: ("a", "release"), after: REAP },
    Scenario { name: "release --wipe", set_up: started, step: ("a", "release --wipe"), after: REAP },
    Scenario { name: "claim of its own data", set_up: released, step: ("a", "claim"), after: &[] },
    Scenario { name: "claim of a slot with data", set_up: crowded, step: ("c", "claim"), after: &[] },
    Scenario { name: "claim of a dirty slot", set_up: crowded_and_dirty, step: ("c", "claim"), after: &[] },
    Scenario { name: "clean", set_up: released, step: ("b", "clean 1 --auto-approve"), after: &[] },
    Scenario { name: "reap of a dirty slot", set_up: dirty, step: REAP[0], after: &[] },
    Scenario { name: "reap of a worktree that is gone", set_up: deserted, step: REAP[0], after: &[] },
];

fn run(fleet: &Fleet, steps: &[Step]) {
    for (worktree, arguments) in steps {
        fleet.kinfra(worktree, arguments).exits(0);
    }
}

fn claimed(fleet: &Fleet) {
    run(fleet, &[("a", "claim")]);
}

fn started(fleet: &Fleet) {
    run(fleet, &[("a", "claim"), ("a", "up")]);
}

/// Slot 1 keeps the data of a worktree.
fn released(fleet: &Fleet) {
    started(fleet);
    run(fleet, &[("a", "release")]);
}

/// The same, and the other slot is held.
fn crowded(fleet: &Fleet) {
    released(fleet);
    run(fleet, &[("b", "claim"), ("b", "up")]);
}

/// Slot 1 has all that a stack had: the engine was gone when it was released.
fn dirty(fleet: &Fleet) {
    started(fleet);
    fleet.engine.fails(Fault::Gone, &When::Always);
    let run = fleet.kinfra("a", "release");
    assert_ne!(run.code, Some(0), "{run:#?}");
    fleet.engine.mend();
}

/// The same, and the other slot is held.
fn crowded_and_dirty(fleet: &Fleet) {
    run(fleet, &[("b", "claim --slot 2"), ("b", "up")]);
    dirty(fleet);
}

/// The worktree that holds slot 1 is gone, and its containers are not.
fn deserted(fleet: &Fleet) {
    started(fleet);
    std::fs::remove_dir_all(fleet.worktree("a")).expect("it is removed");
}

/// The system calls by which kinfra changes files. The engine uses none of these.
const CHANGES: [&str; 8] =
    ["renameat2", "renameat", "linkat", "unlinkat", "mkdirat", "fsync", "fdatasync", "symlinkat"];

#[test]
#[ignore = "needs minutes"]
fn killed_or_failed_at_any_docker_call() {
    let cases = |fleet: &Fleet| {
        let mut points = fleet.engine.points();
        // Two calls at once have no order, and each worker's directory has another name.
        let top = fleet.machine.home().display().to_string();
        points.sort_by_key(|call| (call.shape.replace(&top, ""), call.nth));
        let cases = points.into_iter().flat_map(|call| {
            // A lie to a question is that nothing is there.
            let faults = Fault::ALL.into_iter().filter(|fault| !(call.asks() && fault.is_half()));
            faults.map(|fault| (call.clone(), fault)).collect::<Vec<_>>()
        });
        cases.collect::<Vec<_>>()
    };
    let disturb = |fleet: &Fleet, scenario: &Scenario, (call, fault): &(Call, Fault)| {
        fleet.engine.forget_calls();
        fleet.engine.fails(*fault, &When::Call(call.clone()));
        let (worktree, arguments) = scenario.step;
        let run = bounded(&mut fleet.command(worktree, arguments));
        fleet.engine.mend();
        (format!("{fault:?} at {} {}", call.nth, call.shape), run)
    };
    sweep("docker calls", &cases, &disturb, 100);
}

#[test]
#[ignore = "needs strace and minutes"]
fn killed_at_any_change_of_a_file() {
    strace::need_strace();
    let cases = |fleet: &Fleet| {
        let scenario = fleet.machine.read("~/scenario");
        let scenario = SCENARIOS.iter().find(|other| other.name == scenario).expect("it is one of them");
        let (worktree, arguments) = scenario.step;
        let mut calls = strace::calls(&fleet.command(worktree, arguments));
        calls.retain(|call| CHANGES.contains(&call.name.as_str()));
        calls
    };
    let disturb = |fleet: &Fleet, scenario: &Scenario, call: &strace::Call| {
        let (worktree, arguments) = scenario.step;
        let trace = fleet.machine.path("~/trace");
        let run = Injection::Kill(call).run(&fleet.command(worktree, arguments), &trace);
        let Some((run, told)) = run.was_killed().then(|| (run, format!("killed at {call}"))) else {
            return (
                format!("not killed at {call}"),
                Run { code: Some(101), stdout: String::new(), stderr: String::new() },
            );
        };
        (told, Run { code: None, stdout: run.stdout, stderr: run.stderr })
    };
    sweep("changes of files", &cases, &disturb, 20);
}

/// How long a command may hang before it is killed, as a user would. kinfra itself gives docker a second here.
const PATIENCE: Duration = Duration::from_secs(12);

/// Runs a command that may hang, such as one that became Compose.
fn bounded(command: &mut Command) -> Run {
    let begun = Instant::now();
    let mut running = Running::piped(command);
    while running.try_wait().expect("its state").is_none() {
        if begun.elapsed() > PATIENCE {
            return Run { code: None, stdout: String::new(), stderr: "it hung, and was killed".to_owned() };
        }
        thread::sleep(Duration::from_millis(2));
    }
    running.ends()
}

/// Runs the cases of every scenario on every core, and fails if one did.
fn sweep<T>(
    what: &str,
    cases: &(impl Fn(&Fleet) -> Vec<T> + Sync),
    disturb: &(impl Fn(&Fleet, &Scenario, &T) -> (String, Run) + Sync),
    at_least: usize,
) {
    let (mut count, mut failures, mut lines) = (0, Vec::new(), String::new());
    let wanted = env::var("KINFRA_SCENARIO").unwrap_or_default();
    for scenario in SCENARIOS.iter().filter(|scenario| scenario.name.contains(&wanted)) {
        let (next, done, failed) = (AtomicUsize::new(0), AtomicUsize::new(0), Mutex::new(Vec::new()));
        thread::scope(|scope| {
            for _ in 0..thread::available_parallelism().map_or(1, Into::into) {
                scope.spawn(|| {
                    let (fleet, expected) = prepare(scenario);
                    let cases = cases(&fleet);
                    while let Some(case) = cases.get(next.fetch_add(1, Relaxed)) {
                        fleet.restore();
                        let (told, run) = disturb(&fleet, scenario, case);
                        done.fetch_add(1, Relaxed);
                        if let Err(why) = judge(&fleet, scenario, &expected, &run) {
                            let failure = format!("{}: {told}\n  {why}", scenario.name);
                            failed.lock().expect("no worker panicked").push(failure);
                        }
                    }
                });
            }
        });
        let failed = failed.into_inner().expect("no worker panicked");
        let done = done.into_inner();
        let _ = write!(lines, "\n  {}: {}/{done}", scenario.name, done - failed.len());
        count += done;
        failures.extend(failed);
    }
    let text = format!("{what} survived: {}/{count}{lines}", count - failures.len());
    figure(&text);
    if !failures.is_empty() {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("stack-failures.txt");
        std::fs::write(&path, failures.join("\n\n")).expect("the failures can be written");
        let first: Vec<&str> = failures.iter().map(String::as_str).take(5).collect();
        panic!("{text}\nall failures are in {}, the first are\n{}", path.display(), first.join("\n"));
    }
    assert!(count >= at_least || !wanted.is_empty(), "only {count} cases, of at least {at_least}: {text}");
}

/// A fleet that is where the scenario begins, kept; its calls are those of an undisturbed run. And where that leads.
fn prepare(scenario: &Scenario) -> (Fleet, Vec<String>) {
    let fleet = Fleet::new(&WORKTREES);
    fleet.machine.write("~/scenario", scenario.name);
    (scenario.set_up)(&fleet);
    fleet.engine.forget_calls();
    fleet.keep();
    fleet.kinfra(scenario.step.0, scenario.step.1).exits(0);
    fleet.check().unwrap_or_else(|why| panic!("{}, undisturbed: {why}", scenario.name));
    let calls: String = fleet.engine.calls().into_iter().map(|call| call + "\n").collect();
    again(&fleet, scenario);
    let expected = fleet.summary();
    fleet.restore();
    fleet.machine.write("~/engine/calls", calls);
    (fleet, expected)
}

/// The same command once more, and what comes after it. What they say depends on how far the first one came.
fn again(fleet: &Fleet, scenario: &Scenario) -> Vec<Run> {
    let steps = [scenario.step].into_iter().chain(scenario.after.iter().copied());
    steps.map(|(worktree, arguments)| fleet.kinfra(worktree, arguments)).collect()
}

/// Judges what a disturbed run left.
fn judge(fleet: &Fleet, scenario: &Scenario, expected: &[String], run: &Run) -> Result<(), String> {
    if run.code == Some(101) || run.stderr.contains("panicked") {
        return Err(format!("it panicked: {run:#?}"));
    }
    let told = |why: String| format!("{why}\n  the run: {run:#?}");
    fleet.check().map_err(told)?;
    let runs = again(fleet, scenario);
    fleet.check().map_err(|why| format!("after the next run: {why}\n  the runs: {run:#?} {runs:#?}"))?;
    let found = fleet.summary();
    if found != expected {
        return Err(format!(
            "it leads to {found:#?}\n  not to {expected:#?}\n  the runs: {run:#?} {runs:#?}"
        ));
    }
    can_be_had(fleet)
}

/// Once all have released, every slot can be had by worktrees that never held one.
fn can_be_had(fleet: &Fleet) -> Result<(), String> {
    for worktree in ["a", "b", "c"].into_iter().filter(|worktree| fleet.worktree(worktree).is_dir()) {
        fleet.kinfra(worktree, "release");
    }
    for worktree in ["x", "y"] {
        let run = fleet.kinfra(worktree, "claim");
        if run.code != Some(0) {
            return Err(format!("a slot is lost: {run:#?}\n  {:#?}", fleet.summary()));
        }
        fleet.check().map_err(|why| format!("at the next claim: {why}"))?;
    }
    Ok(())
}
