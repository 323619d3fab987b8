//! Many processes claim and release for minutes, and some are killed. The test judges by what each was told.
//!
//! ```text
//! cargo test --profile ci -- --ignored stress
//! KINFRA_TEST_LEDGER=postgres cargo test --profile ci -- --ignored stress                     # on a server
//! KINFRA_TEST_LEDGER=postgres KINFRA_STRESS=100 cargo test --profile ci -- --ignored stress   # a hundredth of it
//! KINFRA_TEST_LEDGER=pgbouncer KINFRA_STRESS_RESTARTS=3 cargo test --profile ci -- --ignored stress
//! ```
//!
//! The last one restarts the server every three seconds, and cuts connections in between. A verb may then say that it cannot
//! ask the server, or does not know what became of its change. That counts as a verb that was killed.
//!
//! Everything is in memory where possible. A disk would only make the risky moments rarer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use kinfra::registry::Registry;
use serde_json::Value;

use crate::rig::figure;
use crate::rig::postgres::Postgres;
use crate::support::{Machine, Run, Running, is_on_server};
use crate::verbs::claim::REGISTRY;

/// How many requests are made at the same time.
const CROWD: usize = 64;

/// How many slots there are.
const SLOTS: usize = 6;

/// How many rounds of requests there are.
const ROUNDS: usize = 1_000;

/// How many claims and releases there are in all, killed ones included.
const OPERATIONS: usize = 100_000;

/// How many claims and releases the waiters make.
const SERVED: usize = 2_000;

/// The part of so many that `KINFRA_STRESS` asks for.
fn part(all: usize) -> usize {
    let divisor =
        std::env::var("KINFRA_STRESS").map_or(1, |text| text.parse().expect("KINFRA_STRESS is a number"));
    all / divisor
}

/// After how many seconds `KINFRA_STRESS_RESTARTS` restarts the server, again and again.
fn calm() -> Option<Duration> {
    let text = std::env::var("KINFRA_STRESS_RESTARTS").ok()?;
    Some(Duration::from_secs(text.parse().expect("KINFRA_STRESS_RESTARTS is a number")))
}

/// Does the work while the server is restarted, if it is to be. What to say of that.
fn disturbed<T>(work: impl FnOnce() -> T) -> (T, String) {
    let Some(calm) = calm().filter(|_| is_on_server()) else { return (work(), String::new()) };
    Postgres::shared().disturbed(calm, |restarts| {
        let done = work();
        (done, format!(", {} restarts of the server", restarts.load(Relaxed)))
    })
}

/// Whether a verb does not know what became of its change, because the server was restarted.
fn is_unknown(run: &Run) -> bool {
    calm().is_some() && run.code == Some(9)
}

/// An applied pool of six slots, and a worktree for each requester.
fn pool(machine: Machine) -> Machine {
    machine.spec(crate::support::SMALL);
    machine.template("conf.txt", "slot {{ slot.id }} on {{ ports.web }}\n");
    machine.edit_spec("ids = \"1-2\"", "ids = \"1-6\"");
    machine.kinfra("apply").exits(0);
    for worker in 0..CROWD {
        std::fs::create_dir(machine.path(&format!("tree-{worker}"))).expect("a worktree");
    }
    machine
}

fn start(machine: &Machine, arguments: &str) -> Running {
    Running::piped(&mut machine.command(&format!("{arguments} --lock-timeout 2m")))
}

#[test]
#[ignore = "takes minutes: 70,000 processes"]
fn every_round_has_six_distinct_winners_and_tells_all_others() {
    let machine = pool(Machine::in_memory());
    let ((winners, unknown), restarted) = disturbed(|| rounds(&machine));
    figure(&format!(
        "claimants: {} for {} slots, {winners} winners, {unknown} without an answer, no slot twice{restarted}",
        CROWD * part(ROUNDS),
        SLOTS * part(ROUNDS)
    ));
}

/// How many claimants got a slot, and how many were not told.
fn rounds(machine: &Machine) -> (usize, usize) {
    let (mut winners, mut unknown) = (0, 0);
    for round in 0..part(ROUNDS) {
        let claims: Vec<Running> =
            (0..CROWD).map(|worker| start(machine, &format!("claim --json --for tree-{worker}"))).collect();
        let runs: Vec<Run> = claims.into_iter().map(Running::ends).collect();
        let (won, lost): (Vec<Run>, Vec<Run>) = runs.into_iter().partition(|run| run.code == Some(0));
        let slots: BTreeSet<u64> = won.iter().map(|run| claimed(run).0).collect();
        let (untold, lost): (Vec<Run>, Vec<Run>) = lost.into_iter().partition(is_unknown);
        // Who was not told may have a slot.
        let most = slots.len() + untold.len();
        assert!(
            won.len() == slots.len() && slots.len() <= SLOTS && most >= SLOTS,
            "round {round}: {slots:?}"
        );
        for run in lost {
            run.exits(3).says("error: no slot is free\n");
        }
        (winners, unknown) = (winners + won.len(), unknown + untold.len());
        let mut held: Vec<usize> = (1..=SLOTS).collect();
        while !held.is_empty() {
            let release = |slot: &usize| start(machine, &format!("release {slot} --force"));
            let releases: Vec<Run> = held.iter().map(release).map(Running::ends).collect();
            let mut untold = releases.iter().map(is_unknown);
            held.retain(|_| untold.next() == Some(true));
            releases.into_iter().filter(|run| !is_unknown(run)).for_each(|run| drop(run.exits(0)));
        }
    }
    (winners, unknown)
}

/// The slot and the id that `claim --json` printed.
fn claimed(run: &Run) -> (u64, String) {
    let document: Value = serde_json::from_str(&run.stdout).unwrap_or_else(|_| panic!("no JSON: {run:#?}"));
    let id = document["claim_id"].as_str().expect("an id");
    (document["slot_id"].as_u64().expect("a slot"), id.to_owned())
}

/// A time in which a slot certainly had this holder: from the acknowledged claim to the start of the release.
struct Hold {
    slot: u64,
    id: String,
    worker: usize,
    from: Instant,
    until: Instant,
}

/// A worker that claims and releases, and records what it was told.
struct Worker<'a> {
    machine: &'a Machine,
    number: usize,
    counts: &'a Counts,
    random: u64,
    /// What it holds, since when.
    held: Option<(u64, String, Instant)>,
    history: Vec<Hold>,
}

/// What all workers did.
#[derive(Default)]
struct Counts {
    done: AtomicUsize,
    killed: AtomicUsize,
}

impl Worker<'_> {
    /// A number below `limit`, by xorshift.
    fn random(&mut self, limit: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % limit
    }

    /// Runs kinfra. Kills it at a random moment if too few runs were killed so far; then returns `None`.
    fn run(&mut self, arguments: &str) -> Option<Run> {
        let (done, killed) = (self.counts.done.fetch_add(1, Relaxed), self.counts.killed.load(Relaxed));
        let mut child = start(self.machine, arguments);
        if killed * 4 <= done {
            // On the way to a server it takes longer.
            let longest = if is_on_server() { 60_000 } else { 6_000 };
            thread::sleep(Duration::from_micros(self.random(longest)));
            child.kill().expect("a kill");
        }
        let run = child.ends();
        if run.code.is_none() {
            self.counts.killed.fetch_add(1, Relaxed);
        }
        Some(run).filter(|run| run.code.is_some() && !is_unknown(run))
    }

    /// Claims, renews or releases.
    fn step(&mut self) {
        let tree = format!("--for tree-{}", self.number);
        match self.held.take() {
            None => {
                let wait = if self.random(8) == 0 { "--wait=0s" } else { "" };
                let Some(run) = self.run(&format!("claim --json --lease 8h {tree} {wait}")) else { return };
                if run.code == Some(0) {
                    let (slot, id) = claimed(&run);
                    self.held = Some((slot, id, Instant::now()));
                } else {
                    run.exits(3);
                }
            }
            // No other process may have taken or changed it meanwhile.
            Some((slot, id, from)) if self.random(4) == 0 => {
                if calm().is_none() {
                    let registry = Registry::parse(&self.machine.read(REGISTRY)).expect("a registry");
                    let entry = registry.slots.iter().find(|(number, _)| u64::from(number.get()) == slot);
                    let claim =
                        entry.and_then(|(_, entry)| entry.claim.as_ref()).expect("a claim that is not lost");
                    assert_eq!(claim.claim_id.map(|id| id.to_string()).as_ref(), Some(&id), "slot {slot}");
                }
                if let Some(run) = self.run(&format!("claim --json {tree}")) {
                    assert_eq!(claimed(&run.exits(0)), (slot, id.clone()), "the same claim");
                }
                self.held = Some((slot, id, from));
            }
            Some((slot, id, from)) => {
                let until = Instant::now();
                self.history.push(Hold { slot, id: id.clone(), worker: self.number, from, until });
                // If it is killed, the slot may be released or not. The next claim shows which.
                let Some(run) = self.run(&format!("release {slot} --claim-id {id}")) else { return };
                run.exits(0).prints(&format!("Released slot {slot}, which was held by "));
            }
        }
    }
}

#[test]
#[ignore = "takes minutes: 100,000 processes, a quarter of them killed"]
fn kills_give_no_slot_two_holders_and_lose_no_claim() {
    let machine = pool(Machine::in_memory());
    let free = machine.read(REGISTRY);
    let counts = Counts::default();
    let work = || crowd(&machine, &counts);
    let (history, restarted) = disturbed(work);
    let overlaps = overlaps(&history);
    assert!(overlaps.is_empty(), "{overlaps:#?}");
    let (done, killed) = (counts.done.into_inner(), counts.killed.into_inner());
    assert!(killed * 5 > done, "only {killed} of {done} were killed");
    for slot in 1..=SLOTS {
        machine.kinfra(&format!("release {slot} --force")).exits(0);
    }
    assert_eq!(machine.read(REGISTRY), free);
    figure(&format!(
        "claims and releases: {done}, {killed} of them killed, {} holds, none overlaps, no claim lost{restarted}",
        history.len()
    ));
}

/// What a crowd of workers was told.
fn crowd(machine: &Machine, counts: &Counts) -> Vec<Hold> {
    thread::scope(|scope| {
        let work = |number: usize| {
            let random = 0x9E37_79B9_7F4A_7C15 ^ (number as u64 + 1);
            let mut worker = Worker { machine, number, counts, random, held: None, history: Vec::new() };
            while counts.done.load(Relaxed) < part(OPERATIONS) {
                worker.step();
            }
            if let Some((slot, id, from)) = worker.held.take() {
                worker.history.push(Hold { slot, id, worker: number, from, until: Instant::now() });
            }
            worker.history
        };
        let workers: Vec<_> = (0..CROWD).map(|number| scope.spawn(move || work(number))).collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().expect("a worker that saw nothing wrong"))
            .collect()
    })
}

/// The holds of one slot that overlap, and the ids that occur in two holds.
fn overlaps(history: &[Hold]) -> Vec<String> {
    let mut of_slots: BTreeMap<u64, Vec<&Hold>> = BTreeMap::new();
    for hold in history {
        of_slots.entry(hold.slot).or_default().push(hold);
    }
    let mut found = Vec::new();
    for (slot, mut holds) in of_slots {
        holds.sort_by_key(|hold| hold.from);
        for pair in holds.windows(2) {
            let [one, next] = pair else { continue };
            let is_same = one.id == next.id && one.worker == next.worker;
            if next.from < one.until && !is_same || (one.id == next.id && one.worker != next.worker) {
                found.push(format!("slot {slot}: {} and {}", one.worker, next.worker));
            }
        }
    }
    found
}

#[test]
#[ignore = "takes a minute: 64 processes that wait for six slots on a disk"]
fn waiters_are_all_served() {
    let machine = pool(Machine::new());
    let begun = Instant::now();
    let ((), restarted) = disturbed(|| serve(&machine));
    let seconds = begun.elapsed().as_secs_f64();
    figure(&format!(
        "{CROWD} waiting claimants of {SLOTS} slots: {} pairs of claim and release, {:.0} a second{restarted}",
        part(SERVED),
        f64::from(u32::try_from(part(SERVED)).expect("a number")) / seconds
    ));
}

/// Lets a crowd wait for slots until all are served.
fn serve(machine: &Machine) {
    let served = AtomicUsize::new(0);
    thread::scope(|scope| {
        for worker in 0..CROWD {
            let served = &served;
            scope.spawn(move || {
                while served.fetch_add(1, Relaxed) < part(SERVED) {
                    let claim = start(machine, &format!("claim --wait --json --for tree-{worker}")).ends();
                    if is_unknown(&claim) {
                        served.fetch_sub(1, Relaxed);
                        continue;
                    }
                    let (slot, id) = claimed(&claim.exits(0));
                    let release = || start(machine, &format!("release {slot} --claim-id {id}")).ends();
                    let mut run = release();
                    let is_told = !is_unknown(&run);
                    while is_unknown(&run) {
                        run = release();
                    }
                    // It may have been released by the one before.
                    assert!(run.code == Some(0) || !is_told, "{run:#?}");
                }
            });
        }
    });
}
