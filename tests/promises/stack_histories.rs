//! Random histories of a pool: worktrees claim slots, start stacks and release them, while containers crash, kinfra is
//! killed and the engine fails. After each step no holder has another's container or volume, and no slot that is said to
//! be clean has anything. In the end every slot is free, or quarantined with a reason.
//!
//! ```text
//! cargo test --profile ci -- --ignored stack_histories                              # 10,000 of them
//! KINFRA_HISTORIES=500 cargo test --profile ci -- --ignored stack_histories         # fewer
//! KINFRA_HISTORY=4711 cargo test --profile ci -- --ignored stack_histories          # this one
//! KINFRA_REAL_HISTORIES=100 .ci/engine cargo test --profile ci -- --ignored stack_histories::no_holder_on_a_real_engine
//! ```

use std::env;
use std::fs;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Instant;

use crate::rig::figure;
use crate::rig::fleet::{Fleet, SLOTS, Slot};
use crate::rig::random::Random;
use crate::rig::scripted::{Fault, When};

const WORKTREES: [&str; 4] = ["a", "b", "c", "d"];

/// The services of a stack.
const SERVICES: [&str; 2] = ["web", "db"];

/// How long a history is.
const STEPS: usize = 14;

/// The commands, with how often they come. A verb that is new gets a line here.
const COMMANDS: &[(u64, &str)] = &[
    (6, "claim"),
    (8, "up"),
    (1, "compose stop"),
    (1, "down --volumes"),
    (1, "reset --auto-approve"),
    (1, "compose up -d --build"),
    (4, "release"),
    (1, "release --wipe"),
    (2, "reap --auto-approve"),
    (1, "clean 1 --auto-approve"),
];

/// How a history ends: every holder releases, and what is left is cleaned.
const END: &[&str] = &["release", "reap --auto-approve"];

/// A step of a history.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// A command of kinfra in a worktree, and what goes wrong at which docker call.
    Command(&'static str, &'static str, Option<(Fault, usize)>),
    /// The containers of a service crash.
    Crash(&'static str),
    /// A worktree is removed, and another is made under its name elsewhere.
    Gone(&'static str),
}

impl Step {
    fn draw(random: &mut Random) -> Self {
        let worktree = *Random::pick(random.next(), &WORKTREES);
        match random.next() % 12 {
            0 => return Self::Crash(Random::pick::<&str>(random.next(), &SERVICES)),
            1 => return Self::Gone(worktree),
            _ => {}
        }
        let all: u64 = COMMANDS.iter().map(|(weight, _)| weight).sum();
        let mut drawn = random.next() % all;
        let command = COMMANDS.iter().find(|(weight, _)| {
            let is_it = drawn < *weight;
            drawn = drawn.saturating_sub(*weight);
            is_it
        });
        let (_, command) = command.expect("the weights add up");
        let call = usize::try_from(random.next() % 16).expect("a small number") + 1;
        // What hangs takes too long for so many.
        let faults: Vec<_> = Fault::ALL.into_iter().filter(|fault| *fault != Fault::Hang).collect();
        let fault = random.next().is_multiple_of(3).then(|| (*Random::pick(random.next(), &faults), call));
        Self::Command(worktree, command, fault)
    }

    fn take(self, fleet: &Fleet) -> String {
        match self {
            Self::Command(worktree, command, fault) => {
                fleet.engine.forget_calls();
                if let Some((fault, call)) = fault {
                    // A lie that looks like an answer cannot be told from one.
                    let when = if lies(fault) { When::Changes(call) } else { When::At(call) };
                    fleet.engine.fails(fault, &when);
                }
                let run = fleet.kinfra(worktree, command);
                fleet.engine.mend();
                let panicked = run.code == Some(101) || run.stderr.contains("panicked");
                assert!(!panicked, "{self:?}: {run:#?}");
                let said = run.stderr.lines().last().unwrap_or_default();
                format!("{worktree}: {command} {fault:?} → {:?} {said}", run.code)
            }
            Self::Crash(service) => {
                fleet.crash(service);
                format!("{service} crashes")
            }
            Self::Gone(worktree) => {
                let path = fleet.worktree(worktree);
                fleet
                    .machine
                    .git(fleet.machine.project(), &format!("worktree remove --force {}", path.display()));
                fleet.machine.git(fleet.machine.project(), &format!("branch --quiet -D {worktree}"));
                fs::remove_dir_all(&path).ok();
                format!("{worktree} is gone")
            }
        }
    }
}

/// Whether a fault leaves no sign of itself.
fn lies(fault: Fault) -> bool {
    matches!(fault, Fault::Lie | Fault::Half)
}

#[test]
#[ignore = "needs minutes"]
fn no_holder_sees_the_data_of_another_in_any_history() {
    let workers = thread::available_parallelism().map_or(1, Into::into);
    play("histories", workers, &seeds("KINFRA_HISTORIES", 10_000), || Fleet::new(&WORKTREES));
}

#[test]
#[ignore = "needs docker"]
fn no_holder_on_a_real_engine_sees_the_data_of_another() {
    let seeds = seeds("KINFRA_REAL_HISTORIES", 10);
    play("histories on a real engine", 1, &seeds, || Fleet::on_a_real_engine(&WORKTREES));
}

/// The histories to play: the one that is asked for, or as many as a variable says.
fn seeds(count: &str, default: u64) -> Range<u64> {
    let number = |name: &str| env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    match number("KINFRA_HISTORY") {
        Some(seed) => seed..seed + 1,
        None => 0..number(count).unwrap_or(default),
    }
}

/// Plays histories, and fails with those that go wrong.
fn play(what: &str, workers: usize, seeds: &Range<u64>, fleet: impl Fn() -> Fleet + Sync) {
    let (begun, next, failures) = (Instant::now(), AtomicU64::new(seeds.start), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                let fleet = fleet();
                fleet.keep();
                loop {
                    let seed = next.fetch_add(1, Relaxed);
                    if !seeds.contains(&seed) || failures.lock().expect("no worker panicked").len() >= 5 {
                        return;
                    }
                    fleet.restore();
                    if seed % 1000 == 999 {
                        figure(&format!("{what}: at the {}th", seed + 1));
                    }
                    if let Err(why) = history(&fleet, seed) {
                        let why = format!("KINFRA_HISTORY={seed}\n{why}");
                        failures.lock().expect("no worker panicked").push(why);
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().expect("no worker panicked");
    let run = next.into_inner().min(seeds.end) - seeds.start;
    figure(&format!("{what}: {}/{run} in {} s", run - failures.len() as u64, begun.elapsed().as_secs()));
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

/// Runs one history. The error tells it step by step.
fn history(fleet: &Fleet, seed: u64) -> Result<(), String> {
    let mut random = Random::new(seed);
    let mut told = Vec::new();
    let mut gone = Vec::new();
    for _ in 0..STEPS {
        let step = Step::draw(&mut random);
        match step {
            // A path that was another worktree's would make the two look like one.
            Step::Gone(worktree) | Step::Command(worktree, ..) if gone.contains(&worktree) => continue,
            Step::Gone(worktree) => gone.push(worktree),
            Step::Command(..) | Step::Crash(_) => {}
        }
        told.push(step.take(fleet));
        fleet.check().map_err(|why| format!("{}\n→ {why}", told.join("\n")))?;
    }
    for command in END {
        for worktree in WORKTREES.iter().filter(|worktree| !gone.contains(worktree)) {
            told.push(Step::Command(worktree, command, None).take(fleet));
        }
    }
    if gone.len() == WORKTREES.len() {
        told.push(Step::Command("project", "reap --auto-approve", None).take(fleet));
    }
    ends(fleet).map_err(|why| format!("{}\n→ {why}", told.join("\n")))
}

/// In the end every slot is free, or quarantined with a reason.
fn ends(fleet: &Fleet) -> Result<(), String> {
    fleet.check()?;
    let slots = fleet.slots();
    for id in SLOTS {
        match &slots[&id] {
            Slot::Clean => {}
            Slot::Held(holder) => return Err(format!("{} holds slot {id} in the end", holder.display())),
            left @ Slot::Left(entry) => {
                let keeps_data = entry["left"]["remains"] == "data";
                if left.quarantine().is_none() && !keeps_data {
                    return Err(format!("slot {id} is neither clean nor quarantined in the end: {entry:#}"));
                }
            }
        }
    }
    Ok(())
}
