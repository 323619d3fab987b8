//! kinfra is killed at every system call that touches a file, and each of these calls is made to fail.
//!
//! A run under strace lists the calls of a [`Scenario`]. strace counts them by name, so (name, k) is a point
//! at which it can kill the run or fail the call. The points begin at `getcwd`, the first call of kinfra's
//! own code. Before it only the loader and Rust's runtime run. A kill comes before its call does anything. So
//! the points are all the states that a crash can leave between two calls.
//!
//! ```text
//! cargo test --profile ci -- --ignored crash                                  # what CI runs
//! KINFRA_CRASH_ALL=1 cargo test --profile ci -- --ignored crash::killed_twice # every double kill: an hour
//! KINFRA_CRASH_SEED=7 cargo test --profile ci -- --ignored crash::killed_twice # another sample
//! ```
//!
//! Figures go to stdout, and to the file that `KINFRA_FIGURES` names, if it is set.

mod bench;
mod scenario;
mod sweep;
mod tree;
mod verdict;

use std::collections::{BTreeSet, HashMap};
use std::env;
use std::path::Path;
use std::sync::Mutex;

use crate::rig::random::Random;
use crate::rig::strace::{Call, Injection};
use bench::{Bench, Prepared};

use scenario::{SCENARIOS, Scenario};
use sweep::{Figures, Tally, on_all_cores};
use verdict::{after_a_crash, after_an_error, after_plain_apply, after_recovery, journal_is_whole};

use crate::support::Run;

/// The errors of a full disk, broken hardware, missing permissions and a busy machine.
const ERRORS: [&str; 8] = ["ENOSPC", "EIO", "EACCES", "EROFS", "EDQUOT", "EMFILE", "ENOMEM", "EINTR"];

/// How many double kills the sample has, over all scenarios.
const SAMPLE: usize = 500;

/// The seed of the sample, unless `KINFRA_CRASH_SEED` says otherwise.
const SEED: u64 = 3;

#[test]
#[ignore = "needs strace and minutes"]
fn killed_anywhere_it_recovers() {
    let mut figures = Figures::of("kill points survived");
    for scenario in &SCENARIOS {
        let tally = on_all_cores(
            scenario,
            |prepared| prepared.calls.len(),
            |bench, prepared, index, tally| {
                let first = &prepared.calls[index];
                tally.note(format_args!("killed at {first}"), {
                    bench.rebuild(&prepared.before);
                    kill(bench, scenario, prepared, first)
                        .and_then(|()| recover_from_kill(bench, scenario, prepared))
                });
            },
        );
        figures.add(scenario, tally);
    }
    figures.finish(1000);
}

#[test]
#[ignore = "needs strace and minutes"]
fn killed_twice_it_recovers() {
    let all = env::var_os("KINFRA_CRASH_ALL").is_some();
    let seed = env::var("KINFRA_CRASH_SEED").map_or(SEED, |seed| seed.parse().expect("a seed is a number"));
    let what = if all { "all of them".to_owned() } else { format!("a sample, seed {seed}") };
    let mut figures = Figures::of(&format!("double kills survived ({what})"));
    let mut random = Random::new(seed);
    let mut left = SAMPLE;
    for (index, scenario) in SCENARIOS.iter().enumerate() {
        let share = left / (SCENARIOS.len() - index);
        left -= share;
        // The tree decides what the next run does, so two first kills that leave the same tree count once.
        let known = Mutex::new(HashMap::new());
        let tally = if all {
            on_all_cores(
                scenario,
                |prepared| prepared.calls.len(),
                |bench, prepared, index, tally| {
                    let first = &prepared.calls[index];
                    let (seconds, is_new) = calls_of_recovery(bench, scenario, prepared, first, &known);
                    for second in seconds.iter().filter(|_| is_new) {
                        kill_twice(bench, scenario, prepared, (first, second), tally);
                    }
                },
            )
        } else {
            let drawn: Vec<(u64, u64)> = (0..share).map(|_| (random.next(), random.next())).collect();
            on_all_cores(
                scenario,
                |_| share,
                |bench, prepared, index, tally| {
                    let first = Random::pick(drawn[index].0, &prepared.calls);
                    let (seconds, _) = calls_of_recovery(bench, scenario, prepared, first, &known);
                    let second = Random::pick(drawn[index].1, &seconds);
                    kill_twice(bench, scenario, prepared, (first, second), tally);
                },
            )
        };
        figures.add(scenario, tally);
    }
    figures.finish(SAMPLE);
}

/// A file that an update removes is gone, and its directory is not. Only the path of the file leads to it.
#[test]
#[ignore = "needs strace and minutes"]
fn killed_twice_it_leaves_no_directory_of_a_removed_file() {
    let mut figures = Figures::of("double kills survived (the first before a directory is removed)");
    let scenario =
        SCENARIOS.iter().find(|scenario| scenario.name == "update and prune").expect("it is there");
    let firsts = |prepared: &Prepared| -> Vec<Call> {
        let removes = |call: &&Call| call.name == "unlinkat" && call.shown.contains("\"deep\", AT_REMOVEDIR");
        prepared.calls.iter().filter(removes).cloned().collect()
    };
    let tally = on_all_cores(
        scenario,
        |prepared| firsts(prepared).len(),
        |bench, prepared, index, tally| {
            let first = &firsts(prepared)[index];
            let (seconds, _) = calls_of_recovery(bench, scenario, prepared, first, &Mutex::default());
            // Between two of these calls, the tree does not change.
            let changes = ["mkdir", "link", "rename", "unlink"];
            for second in seconds.iter().filter(|call| changes.iter().any(|name| call.name.starts_with(name)))
            {
                kill_twice(bench, scenario, prepared, (first, second), tally);
            }
        },
    );
    figures.add(scenario, tally);
    figures.finish(20);
}

#[test]
#[ignore = "needs strace and minutes"]
fn failed_anywhere_it_says_so_and_recovers() {
    let mut figures = Figures::of("injected errors survived");
    for scenario in &SCENARIOS {
        let count = |prepared: &Prepared| errors(&prepared.calls).len();
        let tally = on_all_cores(scenario, count, |bench, prepared, index, tally| {
            let (call, error) = errors(&prepared.calls)[index];
            tally.note(format_args!("{error} at {call}"), {
                bench.rebuild(&prepared.before);
                let run = bench.run_under_strace(scenario, &Injection::Error(call, error));
                let judged = after_an_error(&run, &bench.look(), scenario, prepared, (call, error));
                let got_another = run.stderr.contains("Passed over slot");
                judged.and_then(|()| if got_another { Ok(()) } else { recover(bench, scenario, prepared) })
            });
        });
        figures.add(scenario, tally);
    }
    figures.finish(8000);
}

/// The calls with the errors that they get: all of them the first time; where the same call is made again,
/// one in turn, and the one that kinfra tells from the others.
fn errors(calls: &[Call]) -> Vec<(&Call, &'static str)> {
    let mut seen = BTreeSet::new();
    let mut all = Vec::new();
    for (index, call) in calls.iter().enumerate() {
        let is_new = seen.insert(call.question());
        let in_turn = ERRORS[index % ERRORS.len()];
        let tried = ERRORS.into_iter().filter(|error| is_new || [in_turn, "EACCES"].contains(error));
        all.extend(tried.map(|error| (call, error)));
    }
    all
}

/// Kills kinfra at a call, and judges what it leaves.
fn kill(bench: &Bench, scenario: &Scenario, prepared: &Prepared, call: &Call) -> Result<(), String> {
    let run = bench.run_under_strace(scenario, &Injection::Kill(call));
    if !run.was_killed() {
        return Err(format!("it was not killed: {run:#?}"));
    }
    after_a_crash(&bench.look(), scenario, prepared)
}

fn kill_twice(
    bench: &Bench,
    scenario: &Scenario,
    prepared: &Prepared,
    (first, second): (&Call, &Call),
    tally: &Tally,
) {
    tally.note(format_args!("killed at {first}, then at {second}"), {
        bench.rebuild(&prepared.before);
        kill(bench, scenario, prepared, first)
            .and_then(|()| kill(bench, scenario, prepared, second))
            .and_then(|()| recover_from_kill(bench, scenario, prepared))
    });
}

/// As [`recover`]. No kill keeps a change out of the journal, or puts one into it that was not saved.
fn recover_from_kill(bench: &Bench, scenario: &Scenario, prepared: &Prepared) -> Result<(), String> {
    recover(bench, scenario, prepared)?;
    journal_is_whole(&bench.look(), Path::new(scenario.root))
}

/// Runs kinfra again, undisturbed, and judges the result.
fn recover(bench: &Bench, scenario: &Scenario, prepared: &Prepared) -> Result<(), String> {
    if scenario.changes {
        let run = Run::of(&mut bench.kinfra("apply --auto-approve", scenario.here));
        after_plain_apply(&run, &bench.look(), scenario)?;
    }
    let run = bench.run(scenario);
    after_recovery(&run, &bench.look(), scenario, prepared)
}

/// The calls of the run that follows a kill, and whether this is the first kill seen that leaves its tree.
fn calls_of_recovery(
    bench: &Bench,
    scenario: &Scenario,
    prepared: &Prepared,
    first: &Call,
    known: &Mutex<HashMap<String, Vec<Call>>>,
) -> (Vec<Call>, bool) {
    bench.rebuild(&prepared.before);
    bench.run_under_strace(scenario, &Injection::Kill(first));
    let state = bench.fingerprint();
    if let Some(calls) = known.lock().expect("no worker panicked").get(&state) {
        return (calls.clone(), false);
    }
    let calls = bench.run_under_strace(scenario, &Injection::None).calls();
    let other = known.lock().expect("no worker panicked").insert(state, calls.clone());
    (calls, other.is_none())
}
