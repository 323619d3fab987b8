//! The gate: whether a stack runs, from what Docker and the kernel say of it. Compose's own answer is not
//! asked for, because it is wrong in common cases.

pub mod listening;
pub mod patience;
pub mod state;

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;

use crate::fault::Fault;
use crate::host::clock::{Stopwatch, pause};
use crate::host::container::Container;
use crate::host::containers::{last_lines, of_project};
use crate::host::docker::Answer;
use crate::host::signals::Interrupt;
use crate::registry::{Engine, RegistryId};
use crate::time::Time;
use listening::listening;
use patience::{Patience, Verdict};
use state::{Expected, Judged, Prospect, Seen, judge};

/// The longest that Docker may take for one answer.
const LONGEST: Duration = Duration::from_secs(20);
/// How long Docker may not answer, as while its daemon restarts.
const AWAY: Duration = Duration::from_secs(30);
/// How many last lines of a service are kept.
const LAST_LINES: usize = 20;
/// How soon an interrupt is heard.
const HEARD: Duration = Duration::from_millis(50);

/// The stack that the gate looks at.
#[derive(Debug, Clone, Copy)]
pub struct Watched<'a> {
    /// The name of its Compose project.
    pub project: &'a str,
    /// The engine that it runs on. `None` is the caller's.
    pub engine: Option<&'a Engine>,
    /// The registry whose it is: another's containers of that name do not count.
    pub id: RegistryId,
    /// What it should come to.
    pub expected: &'a Expected,
}

/// What the gate saw at last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gated {
    /// Each service, in the order of their names.
    pub services: Vec<Judged>,
    /// Whether the stack runs.
    pub verdict: Verdict,
    /// The last lines that the services printed which are not ready, by the names of their containers.
    pub last_lines: BTreeMap<String, Vec<String>>,
}

impl Gated {
    /// The services that the verdict is about: where the stack does not run, not those that are on their way.
    pub fn failing(&self) -> Vec<&Judged> {
        failing(&self.services, self.verdict)
    }
}

fn failing(judged: &[Judged], verdict: Verdict) -> Vec<&Judged> {
    let is_failing = |judged: &&Judged| match judged.prospect {
        Prospect::Ready => false,
        Prospect::OnItsWay => verdict != Verdict::DoesNotRun,
        Prospect::Stuck | Prospect::Over => true,
    };
    judged.iter().filter(is_failing).collect()
}

/// Looks until the stack runs, or it is clear that it does not, or the time is over. `progress` gets each
/// look.
///
/// # Errors
/// [`Fault`] when Docker does not answer, or the user asks to stop. Neither touches the stack.
pub fn gate(
    watched: &Watched<'_>,
    patience: Patience,
    interrupt: &Interrupt,
    progress: &mut impl FnMut(&[Judged]),
) -> Result<Gated> {
    let clock = Stopwatch::start();
    let (mut observed, mut way) = (Observed::default(), Stopwatch::start());
    let mut answered = Stopwatch::start();
    loop {
        let left = patience.timeout.saturating_sub(clock.elapsed());
        match look(watched, patience.settle, &mut observed, left) {
            Ok(judged) => {
                answered = Stopwatch::start();
                progress(&judged);
                if judged.iter().any(|judged| judged.prospect == Prospect::OnItsWay) {
                    way = Stopwatch::start();
                }
                if let Some(verdict) = patience.verdict(&judged, way.elapsed(), clock.elapsed()) {
                    let last_lines = lines_of(watched, &failing(&judged, verdict));
                    return Ok(Gated { services: judged, verdict, last_lines });
                }
            }
            Err(reason) => {
                // What is not seen is not stuck.
                way = Stopwatch::start();
                let is_over = clock.elapsed() >= patience.timeout || answered.elapsed() >= AWAY;
                if is_over || !reason.may_pass {
                    return Err(not_asked(watched, &reason.what).into());
                }
            }
        }
        let length = interval(clock.elapsed()).min(patience.timeout.saturating_sub(clock.elapsed()));
        wait(length, interrupt)?;
    }
}

/// One look, without waiting.
///
/// # Errors
/// [`Fault`] when Docker does not answer within a time.
pub fn look_once(watched: &Watched<'_>, settle: Duration, timeout: Duration) -> Result<Vec<Judged>> {
    let judged = look(watched, settle, &mut Observed::default(), timeout);
    Ok(judged.map_err(|reason| not_asked(watched, &reason.what))?)
}

/// Since when each run of a container's process is watched. The engine's clock may be another than that of
/// this machine, so no time of the one is ever compared with a time of the other.
#[derive(Default)]
struct Observed(BTreeMap<(String, Option<Time>, u32), Stopwatch>);

impl Observed {
    /// How long a container's process has been there: by the engine, or since it was first seen.
    fn up_for(&mut self, container: &Container) -> Duration {
        let run = (container.id.clone(), container.started, container.pid);
        let watched = self.0.entry(run).or_insert_with(Stopwatch::start).elapsed();
        container.up_for.map_or(watched, |up_for| up_for.max(watched))
    }
}

/// Why Docker could not be asked, and whether that may pass.
struct Unasked {
    what: String,
    may_pass: bool,
}

fn look(
    watched: &Watched<'_>,
    settle: Duration,
    observed: &mut Observed,
    left: Duration,
) -> Result<Vec<Judged>, Unasked> {
    let clock = Stopwatch::start();
    // At the very end there is still time for an answer.
    let timeout = left.clamp(Duration::from_secs(2), LONGEST);
    let answer = of_project(watched.engine, watched.project, timeout);
    let may_pass = answer != Answer::NoCommand;
    let containers = answer.needed().map_err(|what| Unasked { what, may_pass })?;
    let id = watched.id.to_string();
    let ours = containers.into_iter().filter(|container| {
        let is_foreign = container.registry.as_ref().is_some_and(|other| *other != id);
        !is_foreign && watched.expected.services.contains_key(&container.service)
    });
    let seen = ours.map(|container| Seen {
        up_for: observed.up_for(&container),
        listening: listening(watched.engine, &container, timeout.saturating_sub(clock.elapsed())),
        container,
    });
    Ok(judge(watched.expected, &seen.collect::<Vec<_>>(), settle))
}

/// How long to wait until the next look: longer and longer.
fn interval(waited: Duration) -> Duration {
    Duration::from_millis(match waited.as_secs() {
        0..10 => 200,
        10..60 => 500,
        _ => 1000,
    })
}

fn wait(length: Duration, interrupt: &Interrupt) -> Result<()> {
    let clock = Stopwatch::start();
    loop {
        if interrupt.is_requested() {
            let what = "interrupted while the stack was starting; what was started runs on";
            return Err(Fault::interrupted(what).advise("`kinfra status` says what it does").into());
        }
        let left = length.saturating_sub(clock.elapsed());
        if left.is_zero() {
            return Ok(());
        }
        pause(left.min(HEARD));
    }
}

fn lines_of(watched: &Watched<'_>, failing: &[&Judged]) -> BTreeMap<String, Vec<String>> {
    let containers = failing.iter().filter_map(|judged| judged.container.as_ref());
    containers
        .map(|(name, id)| (name.clone(), last_lines(watched.engine, id, LAST_LINES, Duration::from_secs(5))))
        .collect()
}

fn not_asked(watched: &Watched<'_>, reason: &str) -> Fault {
    Fault::docker(format!("Docker cannot say whether the stack `{}` runs: {reason}", watched.project))
        .advise("`kinfra status` asks again")
}
