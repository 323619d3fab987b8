//! A week of twelve agents on eight slots: claims with leases, stacks, data, waiting, and a reap by cron each hour, while
//! the machine reboots, Docker is upgraded or gone, disks are full, worktrees vanish under their stacks, and kinfra is
//! killed. The clock of kinfra and of the scripted engine is the test's own.
//!
//! The judge has its own account of who holds what and wrote what. After each step no holder has lost a line of its data
//! or sees another's, and no slot changed hands but by a step that does that. After each reap that went well nothing is
//! left, on the engine or in the root, that no worktree holds.
//!
//! ```text
//! cargo test --profile ci -- --ignored stack_week                     # week 0
//! KINFRA_WEEKS=20 cargo test --profile ci -- --ignored stack_week     # the first 20
//! KINFRA_WEEK=17 cargo test --profile ci -- --ignored stack_week      # this one
//! ```

mod agent;
mod chores;
mod judge;
mod steps;
mod week;

use std::env;
use std::time::Instant;

use crate::rig::figure;
use week::Week;

/// Plays the weeks that variables ask for, each for so many hours.
fn play(hours: u64, is_root: bool, weeks: u64) {
    let number = |name: &str| env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    let seeds = match number("KINFRA_WEEK") {
        Some(seed) => seed..seed + 1,
        None => 0..number("KINFRA_WEEKS").unwrap_or(weeks),
    };
    for seed in seeds {
        let begun = Instant::now();
        let mut week = Week::new(seed, is_root);
        let lived = week.live(hours);
        let told = week.told();
        lived.unwrap_or_else(|why| panic!("KINFRA_WEEK={seed}\n{told}\n→ {why}"));
        if hours > 24 {
            let steps = told.lines().count();
            figure(&format!("week {seed}: {steps} steps in {} s", begun.elapsed().as_secs()));
        }
    }
}

#[test]
#[ignore = "takes minutes, and needs root: mounts a file system"]
fn after_a_week_nothing_is_lost_and_nothing_is_left() {
    play(168, true, 1);
}

#[test]
fn after_some_hours_nothing_is_lost_and_nothing_is_left() {
    play(5, false, 1);
}
