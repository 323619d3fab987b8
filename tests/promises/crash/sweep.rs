//! Runs many cases at once, and keeps count.

use std::fmt::{Arguments, Write as _};
use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use super::bench::{Bench, Prepared};
use super::scenario::Scenario;
use crate::rig::figure;
use crate::rig::strace::need_strace;

/// How the cases of a scenario went.
#[derive(Default)]
pub(super) struct Tally {
    cases: AtomicUsize,
    failures: Mutex<Vec<String>>,
}

impl Tally {
    pub(super) fn note(&self, case: Arguments<'_>, result: Result<(), String>) {
        self.cases.fetch_add(1, Ordering::Relaxed);
        if let Err(why) = result {
            self.failures.lock().expect("no worker panicked").push(format!("{case}\n{why}"));
        }
    }
}

/// Runs the cases of a scenario, which are numbered from 0, on every core.
pub(super) fn on_all_cores(
    scenario: &Scenario,
    count: impl Fn(&Prepared) -> usize + Sync,
    run: impl Fn(&Bench, &Prepared, usize, &Tally) + Sync,
) -> Tally {
    let (tally, next) = (Tally::default(), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, Into::into) {
            scope.spawn(|| {
                let bench = Bench::new();
                let prepared = bench.prepare(scenario);
                let count = count(&prepared);
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= count {
                        return;
                    }
                    run(&bench, &prepared, index, &tally);
                }
            });
        }
    });
    tally
}

/// What a sweep measured.
pub(super) struct Figures {
    what: String,
    started: Instant,
    cases: usize,
    failed: usize,
    lines: String,
    told: String,
}

impl Figures {
    pub(super) fn of(what: &str) -> Self {
        need_strace();
        let what = what.to_owned();
        Self { what, started: Instant::now(), cases: 0, failed: 0, lines: String::new(), told: String::new() }
    }

    /// Adds a scenario.
    pub(super) fn add(&mut self, scenario: &Scenario, tally: Tally) {
        let (cases, failures) =
            (tally.cases.into_inner(), tally.failures.into_inner().expect("no worker panicked"));
        let name = scenario.name;
        let survived = cases - failures.len();
        let _ = write!(self.lines, "\n  {name}: {survived}/{cases}");
        for failure in &failures {
            let _ = writeln!(self.told, "{name}: {failure}\n");
        }
        self.cases += cases;
        self.failed += failures.len();
    }

    /// Prints the figures, and fails if a case did. Fewer cases than `at_least` mean that there was nothing
    /// to find.
    pub(super) fn finish(self, at_least: usize) {
        let Self { what, started, cases, failed, lines, told } = self;
        let seconds = started.elapsed().as_secs();
        let text = format!("{what}: {}/{cases} in {seconds} s{lines}", cases - failed);
        figure(&text);
        if failed > 0 {
            let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("crash-failures.txt");
            fs::write(&path, &told).expect("the failures can be written");
            let first: Vec<&str> = told.lines().take(50).collect();
            panic!("{text}\nall failures are in {}, here is the first\n{}", path.display(), first.join("\n"));
        }
        assert!(cases >= at_least, "only {cases} cases, of at least {at_least}: {text}");
    }
}
