//! What each service of a stack does, judged from what Docker and the kernel say. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use crate::compose::model::Model;
use crate::host::container::{Activity, Container, HealthVerdict, Restart};

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;

/// The longest that a service which was restarted must stay up until it counts as steady.
const STEADY: Duration = Duration::from_mins(1);

/// What a service does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ServiceState {
    /// Its container is not there.
    Missing,
    /// Its container was never started.
    Created,
    /// It runs, and is not ready yet.
    Starting,
    /// Its health check succeeds.
    Healthy,
    /// Its health check failed too often.
    Unhealthy,
    /// It has no health check, runs, and listens where it publishes.
    Settled,
    /// It ended well.
    Done,
    /// It ends again and again.
    Looping,
    /// It ended, or could not be started.
    Failed,
}

impl fmt::Display for ServiceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "missing",
            Self::Created => "created",
            Self::Starting => "starting",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
            Self::Settled => "settled",
            Self::Done => "done",
            Self::Looping => "looping",
            Self::Failed => "failed",
        })
    }
}

/// What a stack should come to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Expected {
    /// Its services.
    pub services: BTreeMap<String, Part>,
}

/// What is expected of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// How many containers it has.
    pub replicas: u16,
    /// Whether it is meant to end: the stack runs only when it has.
    pub is_to_end: bool,
    /// The services that it waits for.
    pub depends_on: BTreeSet<String>,
}

impl Expected {
    /// What a model comes to. `once` are services that slots.toml says are meant to end. Those whose
    /// completion another service waits for are, too.
    pub fn of(model: &Model, once: &BTreeSet<String>) -> Self {
        let all = model.services.values().flat_map(|service| &service.depends_on);
        let waited: BTreeSet<&String> =
            all.filter(|(_, dependency)| dependency.is_completion()).map(|(name, _)| name).collect();
        let part = |(name, service): (&String, &crate::compose::model::Service)| {
            let part = Part {
                replicas: service.replicas(),
                is_to_end: waited.contains(name) || once.contains(name),
                depends_on: service.depends_on.keys().cloned().collect(),
            };
            (name.clone(), part)
        };
        Self { services: model.services.iter().map(part).collect() }
    }

    /// Only the services that are named, and those that they wait for. All of them if none is named.
    #[must_use]
    pub fn only(mut self, named: &BTreeSet<String>) -> Self {
        if named.is_empty() {
            return self;
        }
        let mut wanted = BTreeSet::new();
        let mut next: Vec<String> = named.iter().cloned().collect();
        while let Some(name) = next.pop() {
            if let Some(part) = self.services.get(&name).filter(|_| wanted.insert(name.clone())) {
                next.extend(part.depends_on.iter().cloned());
            }
        }
        self.services.retain(|name, _| wanted.contains(name));
        self
    }
}

/// Whether a server accepts what comes to a published port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listening {
    /// It does.
    Yes,
    /// None does.
    No,
    /// One does on the container's loopback only, which no published port reaches.
    OnLoopback,
    /// There was no way to look.
    NotChecked,
}

/// A container as it was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// What Docker says.
    pub container: Container,
    /// How long its process has been there.
    pub up_for: Duration,
    /// What listens on its published ports. Looked at only if it runs without a health check.
    pub listening: Vec<(u16, Listening)>,
}

/// What a state alone does not say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// The engine could not start it.
    NotStarted(String),
    /// There was no way to see whether it listens.
    ListeningNotChecked,
    /// It does not listen on this port of its container.
    NotListening(u16),
    /// It listens on this port, but only on the loopback of its container.
    OnLoopback(u16),
    /// It runs, and is meant to end.
    NotEnded,
    /// It ended well, and nothing says that it is meant to end.
    Ended,
    /// It was restarted so many times.
    Restarted(u32),
    /// It is frozen.
    Paused,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotStarted(error) => f.write_str(error),
            Self::ListeningNotChecked => f.write_str("listening not checked"),
            Self::NotListening(port) => write!(f, "nothing listens on port {port} of its container"),
            Self::OnLoopback(port) => {
                write!(f, "port {port} listens on the container's loopback only: let it listen on 0.0.0.0")
            }
            Self::NotEnded => f.write_str("runs, and is meant to end"),
            Self::Ended => f.write_str("ended by itself"),
            Self::Restarted(1) => f.write_str("restarted once"),
            Self::Restarted(times) => write!(f, "restarted {times} times"),
            Self::Paused => f.write_str("paused"),
        }
    }
}

/// What is to be thought of a service that is not ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prospect {
    /// It is as it should be.
    Ready,
    /// It may be ready soon.
    OnItsWay,
    /// It does not get there by itself, but a service that it needs may help.
    Stuck,
    /// It does not get there.
    Over,
}

/// A container of a service, judged. Without a container, the service is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// The service.
    pub service: String,
    /// The container's name and id.
    pub container: Option<(String, String)>,
    /// What it does.
    pub state: ServiceState,
    /// Whether that is as it should be, or may become so.
    pub prospect: Prospect,
    /// How its process ended, if it did.
    pub exit_code: Option<i32>,
    /// Whether it was killed for its memory.
    pub is_out_of_memory: bool,
    /// What its health check printed last. Empty if that is of no interest.
    pub health: String,
    /// What the state does not say.
    pub note: Option<Note>,
}

impl Judged {
    /// Whether it is as it should be.
    pub fn is_ready(&self) -> bool {
        self.prospect == Prospect::Ready
    }

    fn missing(service: &str) -> Self {
        Self {
            service: service.to_owned(),
            container: None,
            state: ServiceState::Missing,
            prospect: Prospect::Stuck,
            exit_code: None,
            is_out_of_memory: false,
            health: String::new(),
            note: None,
        }
    }
}

/// Judges what was seen of a stack. A service must have been up for `settle` to be ready.
pub fn judge(expected: &Expected, seen: &[Seen], settle: Duration) -> Vec<Judged> {
    let mut judged = Vec::new();
    for (service, part) in &expected.services {
        let own = |seen: &&Seen| seen.container.service == *service && !seen.container.is_one_off;
        let mut own: Vec<&Seen> = seen.iter().filter(own).collect();
        own.sort_by_key(|seen| seen.container.number);
        let missing = usize::from(part.replicas).saturating_sub(own.len());
        judged.extend(own.into_iter().map(|seen| judge_one(seen, part, settle)));
        judged.extend((0..missing).map(|_| Judged::missing(service)));
    }
    judged
}

/// Judges a container by itself: nothing is known of what it is for.
pub fn judge_alone(seen: &Seen, settle: Duration) -> Judged {
    judge_one(seen, &Part { replicas: 1, is_to_end: false, depends_on: BTreeSet::new() }, settle)
}

fn judge_one(seen: &Seen, part: &Part, settle: Duration) -> Judged {
    let container = &seen.container;
    let (state, prospect, note) = state_of(seen, part, settle);
    let has_ended = matches!(container.activity, Activity::Exited | Activity::Dead | Activity::Restarting)
        || state == ServiceState::Failed;
    let health = container.health.as_ref().filter(|_| prospect != Prospect::Ready);
    Judged {
        service: container.service.clone(),
        container: Some((container.name.clone(), container.id.clone())),
        state,
        prospect,
        exit_code: Some(container.exit_code).filter(|_| has_ended),
        is_out_of_memory: container.is_out_of_memory,
        health: health.map(|health| health.output.clone()).unwrap_or_default(),
        note,
    }
}

fn state_of(seen: &Seen, part: &Part, settle: Duration) -> (ServiceState, Prospect, Option<Note>) {
    let container = &seen.container;
    let restarted = Some(container.restarts).filter(|times| *times > 0).map(Note::Restarted);
    match container.activity {
        Activity::Created if container.exit_code != 0 || !container.error.is_empty() => {
            let why = Some(container.error.clone()).filter(|why| !why.is_empty()).map(Note::NotStarted);
            (ServiceState::Failed, Prospect::Over, why)
        }
        Activity::Created => (ServiceState::Created, Prospect::Stuck, None),
        Activity::Removing => (ServiceState::Missing, Prospect::Stuck, None),
        Activity::Paused => (ServiceState::Starting, Prospect::Stuck, Some(Note::Paused)),
        Activity::Restarting => (ServiceState::Looping, Prospect::Stuck, restarted),
        Activity::Exited if container.exit_code == 0 && (part.is_to_end || !is_to_stay(container)) => {
            (ServiceState::Done, Prospect::Ready, (!part.is_to_end).then_some(Note::Ended))
        }
        Activity::Exited | Activity::Dead => {
            // An engine that was restarted itself starts them again in a moment.
            let may_come_back = container.restart != Restart::Never && container.activity == Activity::Exited;
            let prospect = if may_come_back { Prospect::Stuck } else { Prospect::Over };
            let error = Some(container.error.clone()).filter(|error| !error.is_empty());
            (ServiceState::Failed, prospect, error.map(Note::NotStarted).or(restarted))
        }
        Activity::Running if container.restarts > 0 && seen.up_for < steady_after(container, settle) => {
            (ServiceState::Looping, Prospect::Stuck, restarted)
        }
        Activity::Running => running(seen, part, settle),
    }
}

/// What a container does that runs, and does not end again and again.
fn running(seen: &Seen, part: &Part, settle: Duration) -> (ServiceState, Prospect, Option<Note>) {
    let has_settled = seen.up_for >= settle;
    let when_settled = if has_settled { Prospect::Ready } else { Prospect::OnItsWay };
    if part.is_to_end {
        return (ServiceState::Starting, Prospect::OnItsWay, Some(Note::NotEnded));
    }
    match seen.container.health.as_ref().map(|health| health.verdict) {
        Some(HealthVerdict::Starting) => return (ServiceState::Starting, Prospect::OnItsWay, None),
        Some(HealthVerdict::Unhealthy) => return (ServiceState::Unhealthy, Prospect::Stuck, None),
        Some(HealthVerdict::Healthy) => return (ServiceState::Healthy, when_settled, None),
        Some(HealthVerdict::None) | None => {}
    }
    let first = |wanted: Listening| {
        let mut ports = seen.listening.iter();
        ports.find(|(_, listening)| *listening == wanted).map(|(port, _)| *port)
    };
    if let Some(port) = first(Listening::No) {
        return (ServiceState::Starting, Prospect::OnItsWay, Some(Note::NotListening(port)));
    }
    if let Some(port) = first(Listening::OnLoopback) {
        return (ServiceState::Starting, Prospect::Stuck, Some(Note::OnLoopback(port)));
    }
    let note = first(Listening::NotChecked).map(|_| Note::ListeningNotChecked);
    let state = if has_settled { ServiceState::Settled } else { ServiceState::Starting };
    (state, when_settled, note)
}

/// Whether a service is one that stays: it is started again in any case, publishes a port, or has a health
/// check.
fn is_to_stay(container: &Container) -> bool {
    container.restart == Restart::Always || !container.ports.is_empty() || container.health.is_some()
}

/// How long a service that was restarted must be up: twice as long as it lasted so far, on average.
fn steady_after(container: &Container, settle: Duration) -> Duration {
    let lasted = container.created.zip(container.started).map(|(created, started)| started.since(created));
    let average = lasted.map_or(STEADY, |lasted| lasted / container.restarts.max(1));
    average.saturating_mul(2).min(STEADY).max(settle)
}
