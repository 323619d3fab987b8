//! Starting the stack of a slot, until it runs.
//!
//! ```text
//! turn ─► runs already? ─┬─ no ─► ports, room ─► derive ─► admit ─► Compose ─┬─► gate ─► verify
//!                        └─ yes ────────────────────────────────────────────┘
//! ```
//!
//! Killed anywhere, the next `up` continues: only the registry and Docker say what there is.

pub mod addresses;
mod addresses_left;
pub mod request;

mod build_inputs;
mod compose_up;
mod free_ports;
pub(in crate::stack) mod last_start;
pub(in crate::stack) mod memory;
mod once;
mod room;
mod running;
mod start;
mod unused;
mod verify;

use std::collections::{BTreeMap, BTreeSet};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::compose_files::compose_args::ComposeArgs;
use super::compose_files::place::Place;
use super::gate::Gated;
use super::gate::patience::Verdict;
use super::gate::state::{Expected, ServiceState};
use super::turn::{Turn, other, take_turn};
use crate::claims::held::Held;
use crate::claims::keeper::Keeper;
use crate::compose::model::Model;
use crate::ended::{Ended, How};
use crate::fault::{Exit, Fault, Reason, reason_of};
use crate::host::clock::Stopwatch;
use crate::host::context::{elsewhere, remote_host};
use crate::host::engine::data_directory;
use crate::host::lock::LockPolicy;
use crate::slot::SlotId;
use addresses::{Address, Reach};
use compose_up::{Run, Started};
use last_start::{LastStart, images};
use request::{Means, Progress, UpRequest};
use running::{ids_of, runs_already, was_just_started};
use start::Start;
use verify::verify;

/// How long the gate waits, besides the settle time, where Compose failed.
const FAILED: Duration = Duration::from_secs(2);

/// What came of a start.
#[derive(Debug)]
pub struct Up {
    /// The slot.
    pub slot: SlotId,
    /// Whether the stack ran already, so that nothing was started.
    pub ran_already: bool,
    /// How Compose failed, if it did.
    pub complaint: Option<Ended>,
    /// Whether what runs is of an earlier start, because Compose failed.
    pub is_stale: bool,
    /// What the gate saw. `None` without a gate.
    pub gated: Option<Gated>,
    /// How the project's own check ended, if it ran: its command, and its end.
    pub verified: Option<(Vec<String>, Ended)>,
    /// Where the services are reached.
    pub addresses: Vec<Address>,
}

impl Up {
    /// The exit code.
    pub fn exit(&self) -> Exit {
        if self.is_stale {
            return Exit::DoesNotRun;
        }
        match self.gated.as_ref().map(|gated| gated.verdict) {
            Some(Verdict::DoesNotRun) => return Exit::DoesNotRun,
            Some(Verdict::NotInTime) => return Exit::NotInTime,
            Some(Verdict::Runs) | None => {}
        }
        match self.verified.as_ref().map(|(_, ended)| &ended.how) {
            None | Some(How::Well) => Exit::Done,
            Some(How::Badly(_)) => Exit::DoesNotRun,
            Some(How::NotInTime) => Exit::NotInTime,
            Some(How::Interrupted) => Exit::Interrupted,
        }
    }
}

/// Starts the stack of a slot, and waits until it runs. `progress` gets what happens meanwhile. The lease of
/// its claim is renewed for as long as that takes.
///
/// # Errors
/// [`Fault`] when the start is not admitted, nothing could be started, Docker does not answer, or the user
/// asks to stop.
pub fn up(
    held: Held,
    request: &UpRequest,
    means: &Means<'_>,
    progress: &mut impl FnMut(Progress<'_>),
) -> Result<Up> {
    Keeper::of(&held).during(&means.policy, || in_turn(held, request, means, progress))
}

/// The same, when it is its turn and there is memory.
fn in_turn(
    held: Held,
    request: &UpRequest,
    means: &Means<'_>,
    progress: &mut impl FnMut(Progress<'_>),
) -> Result<Up> {
    let other = other(&held);
    if let Some(other) = &other {
        progress(Progress::Waiting(&other.process));
    }
    let is_second = other.is_some_and(|other| other.is_kinfra);
    let patience = if is_second { request.longest() } else { request.patience.timeout };
    let (waiting, mut held) = (Stopwatch::start(), held);
    loop {
        let turn = take_turn(held, patience, &means.policy)?;
        match once(&turn, is_second, request, means, progress) {
            Err(error) if reason_of(&error) == Some(Reason::Memory) && waiting.elapsed() < request.waits => {
                progress(Progress::NoMemory(&error.to_string()));
            }
            ended => return ended,
        }
        // Meanwhile the stack can be released.
        drop(turn.lock);
        held = turn.held;
        memory::pause(request.waits.saturating_sub(waiting.elapsed()), means.interrupt)?;
    }
}

/// Starts it, if the memory suffices now.
fn once(
    turn: &Turn,
    is_second: bool,
    request: &UpRequest,
    means: &Means<'_>,
    progress: &mut impl FnMut(Progress<'_>),
) -> Result<Up> {
    let held = &turn.held;
    if let Some(elsewhere) = elsewhere(held.engine()) {
        progress(Progress::Elsewhere(&elsewhere));
    }
    let stack = held.stack();
    let last = LastStart::read(&held.dir());
    let place = Place::of(held, means.invocation)?;
    let start = Start { place, lock: &turn.lock, stack, request, means, last };
    let profiles = start.profiles();
    let key = start.place.key(&profiles, &means.policy, means.invocation)?;
    let earlier = match runs_already(&start, key)? {
        None if is_second => was_just_started(&start, key)?,
        earlier => earlier,
    };
    let done = if let Some(last) = earlier {
        Done { expected: start.expected(&last.model), model: last.model.clone(), ..Done::default() }
    } else {
        // From here on it is not known what runs, until the gate has seen it.
        if let Some(last) = &start.last {
            last.without_key().keep(&held.dir()).context("could not note that the stack changes")?;
        }
        start.start(&profiles, progress)?
    };
    let up = start.finish(&done, progress)?;
    start.still_held()?;
    Ok(up)
}

/// The services that the last start of a slot's stack named. None is all of them.
pub fn named_last(held: &Held) -> BTreeSet<String> {
    LastStart::read(&held.dir()).map(|last| last.named).unwrap_or_default()
}

/// What was started.
#[derive(Default)]
struct Done {
    expected: Expected,
    model: Model,
    /// How Compose ended, if it was asked.
    ended: Option<Ended>,
    /// The gate's verdict on services that have to run first, if that is bad.
    stopped_by: Option<Gated>,
    /// The containers that there were before.
    before: BTreeSet<String>,
    /// What it was started from, to be kept if the stack runs.
    to_keep: Option<LastStart>,
}

impl Start<'_> {
    /// Admits the start, and has Compose do it.
    fn start(&self, profiles: &[String], progress: &mut impl FnMut(Progress<'_>)) -> Result<Done> {
        let (place, means) = (&self.place, self.means);
        free_ports::check(place.held, &place.name)?;
        let args = ComposeArgs::up(self.request.services.iter().cloned(), profiles.to_vec());
        let engine = place.held.engine().cloned();
        let data = thread::spawn(move || data_directory(engine.as_ref()));
        let derived = place.derive(&means.policy, means.invocation)?;
        let key = place.key(profiles, &means.policy, means.invocation)?;
        let sought = place.sought(&derived, &args)?;
        room::check(&place.held.pool().root, data.join().ok().flatten().as_deref())?;
        let patience = self.request.patience.timeout;
        let starts = LockPolicy { patience, flag: Some("--timeout"), ..means.policy };
        let applied = place.held.spec().unwrap_or(&place.declared.spec);
        let starts = memory::check(place.held, applied, &starts)?;
        let admitted = place.admit(sought, &args, &means.policy, means.invocation)?;
        drop(starts);
        refuse_unknown(&self.request.services, &admitted.model)?;
        let mut remarks = derived.remarks.clone();
        remarks.notes.extend(admitted.notes.iter().cloned());
        progress(Progress::Starting(&self.request.services, &remarks));
        let before = self.remove_unused(&admitted, progress)?;
        let expected = self.expected(&admitted.model);
        let run = Run { start: self, derived: &derived, admitted: &admitted, expected: &expected, profiles };
        let mut last = LastStart::new(key, &self.request.services, &admitted.model);
        last.builds = build_inputs::of_stack(&last.model);
        last.once = self.last.as_ref().map(|last| last.once.clone()).unwrap_or_default();
        let (ended, stopped_by) = match run.compose(&mut last, progress)? {
            Started::All(ended) => (ended, None),
            Started::First(ended, gated) => (ended, Some(gated)),
        };
        if ended.how == How::Well {
            last.as_attempt().keep(&place.held.dir()).context("could not note what was started")?;
        }
        progress(Progress::Started);
        Ok(Done {
            expected,
            model: admitted.model,
            ended: Some(ended),
            stopped_by,
            before: before.into_iter().map(|container| container.id).collect(),
            to_keep: Some(last),
        })
    }

    /// Gates and checks what was started, and keeps what it was started from.
    fn finish(&self, done: &Done, progress: &mut impl FnMut(Progress<'_>)) -> Result<Up> {
        let failed = done.ended.as_ref().filter(|ended| ended.how != How::Well);
        let mut up = self.outcome(done);
        if let Some(gated) = &done.stopped_by {
            up.gated = Some(gated.clone());
            return Ok(up);
        }
        if !self.request.is_gated {
            up.is_stale = failed.is_some();
            return Ok(up);
        }
        let mut patience = self.request.patience;
        match failed.map(|ended| &ended.how) {
            Some(How::NotInTime) => patience.timeout = Duration::ZERO,
            // What Compose did not start does not come by itself.
            Some(_) => patience.timeout = patience.timeout.min(patience.settle + FAILED),
            None => {}
        }
        // Compose has ended, so no image gets another id any more.
        let engine = self.place.held.engine().cloned();
        let names = done.to_keep.as_ref().map(|last| images(&last.model));
        let images = names.map(|names| thread::spawn(move || ids_of(engine.as_ref(), &names)));
        let gated = self.gate(&done.expected, patience, progress);
        // A release stops the containers, and then the gate is about a stack that is to end.
        self.still_held()?;
        let mut gated = gated?;
        if gated.verdict == Verdict::NotInTime && failed.is_some_and(|ended| ended.how != How::NotInTime) {
            gated.verdict = Verdict::DoesNotRun;
        }
        let runs = gated.verdict == Verdict::Runs;
        let mut ids = gated.services.iter().filter_map(|judged| Some(&judged.container.as_ref()?.1));
        up.is_stale = runs && failed.is_some() && ids.any(|id| done.before.contains(id));
        if runs && !up.is_stale {
            let images = images.and_then(|images| images.join().ok()).unwrap_or_default();
            self.keep(done, images, &gated)?;
            up.verified = self.verified(progress)?;
        }
        up.gated = Some(gated);
        Ok(up)
    }

    fn outcome(&self, done: &Done) -> Up {
        let (held, spec) = (self.place.held, &self.place.declared.spec);
        let host = remote_host(held.engine());
        let reach = Reach { host: host.as_deref(), spec: Some(spec), model: &done.model, slot: held.slot };
        Up {
            slot: held.slot,
            ran_already: done.ended.is_none(),
            complaint: done.ended.clone().filter(|ended| ended.how != How::Well),
            is_stale: false,
            gated: None,
            verified: None,
            addresses: reach.addresses(&done.expected, held.entry.provisioned.host_ports()),
        }
    }

    fn verified(&self, progress: &mut impl FnMut(Progress<'_>)) -> Result<Option<(Vec<String>, Ended)>> {
        let words = &self.stack.verify;
        if words.is_empty() {
            return Ok(None);
        }
        progress(Progress::Verifying(words));
        // The check may run a command of Compose.
        self.lock.share();
        let ended = verify(&self.place, words, self.request.patience.timeout, self.means)?;
        Ok(Some((words.clone(), ended)))
    }

    /// Keeps what the stack that runs was started from.
    fn keep(&self, done: &Done, images: BTreeMap<String, String>, gated: &Gated) -> Result<()> {
        let Some(mut last) = done.to_keep.clone() else { return Ok(()) };
        let held = self.place.held;
        last.images = images;
        let containers = gated.services.iter().filter_map(|judged| {
            Some((judged.container.as_ref()?.1.clone(), judged.state != ServiceState::Done))
        });
        last.containers = containers.collect();
        last.keep(&held.dir()).context("could not keep what the stack was started from")
    }
}

fn refuse_unknown(named: &BTreeSet<String>, model: &Model) -> Result<()> {
    let unknown = named.iter().find(|name| !model.services.contains_key(*name));
    let Some(unknown) = unknown else { return Ok(()) };
    let services: Vec<&str> = model.services.keys().map(String::as_str).collect();
    let advice = format!("the services are {}", services.join(", "));
    Err(Fault::usage(format!("there is no service `{}`", unknown.escape_debug())).advise(advice).into())
}
