//! A slot's stack in a registry entry: how it was started, and what it left behind.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use super::claim::{Claim, Holder};
use super::mark::{Mark, Place, Token};
use crate::json::{Corrupt, optional, required};
use crate::shown::printable;
use crate::time::Time;

/// After so many failures, cleaning a slot waits for a person.
pub const MOST_FAILURES: u32 = 3;

/// The pause after the first failure. After each further one it is twice as long.
const PAUSE: Duration = Duration::from_mins(1);

/// A start of a slot's stack. It is noted before Compose is called: from then on there may be containers,
/// volumes and networks of the project, even without a label. It stays until Docker shows that nothing is
/// left of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Started {
    /// When, in ISO 8601 with an offset.
    pub at: String,
    /// The name of the Compose project.
    pub project: String,
    /// The Docker engine that it runs on. An older kinfra did not note it.
    pub engine: Option<Engine>,
    /// The profiles of Compose that are kept with the slot, sorted.
    pub profiles: Vec<String>,
    /// What it left behind when the claim of the slot ended.
    pub left: Option<Left>,
}

/// A Docker engine, as `docker` is told which one: `DOCKER_HOST` or `DOCKER_CONTEXT`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Engine {
    /// The one at this address.
    Address(String),
    /// The one of this context.
    Context(String),
}

impl Engine {
    /// Reads what [`fmt::Display`] writes: an address has a scheme, the name of a context has none.
    pub fn parse(text: &str) -> Self {
        let engine = if text.contains("://") { Self::Address } else { Self::Context };
        engine(text.to_owned())
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Address(name) | Self::Context(name)) = self;
        f.write_str(name)
    }
}

/// An engine that is not the one in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Elsewhere {
    /// The engine.
    pub engine: Engine,
    /// The one in use.
    pub in_use: Engine,
}

impl fmt::Display for Elsewhere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = |engine: &Engine| match engine {
            Engine::Context(name) => format!("the Docker context `{}`", printable(name)),
            Engine::Address(address) => format!("the Docker engine at `{}`", printable(address)),
        };
        write!(f, "{} (in use is {})", named(&self.engine), named(&self.in_use))
    }
}

impl Serialize for Engine {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Engine {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self::parse(&text))
    }
}

/// What a stack left behind when the claim of its slot ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Left {
    /// The worktree whose stack it was.
    pub by: Holder,
    /// The git directory of that worktree, if it is a linked one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gitdir: Option<String>,
    /// The token of that worktree.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<Token>,
    /// Where on the disk that worktree is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// Where the directory above that worktree was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub above: Option<Place>,
    /// Where the repository of that worktree was, if it is a linked one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repository: Option<Place>,
    /// When its claim ended, in ISO 8601 with an offset.
    pub at: String,
    /// What there may be.
    pub remains: Remains,
    /// How often cleaning failed since. A failure within the pause after another one is not counted.
    #[serde(skip_serializing_if = "is_zero")]
    pub failures: u32,
    /// When it failed last, of those that are counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed_at: Option<Time>,
    /// Why it failed last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The volumes without a name of their own whose containers are being removed, or were. Docker does not
    /// know any more whose they are.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub volumes: BTreeSet<String>,
    /// Keys of others.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

/// The keys of [`Left`] that kinfra writes.
const LEFT_KEYS: [&str; 12] = [
    "by",
    "gitdir",
    "token",
    "place",
    "above",
    "repository",
    "at",
    "remains",
    "failures",
    "failed_at",
    "reason",
    "volumes",
];

impl Left {
    /// What a stack left behind. Cleaning was not tried yet.
    pub fn new(claim: &Claim, at: Time, remains: Remains) -> Self {
        let Mark { token, place, above, repository } = claim.mark;
        Self {
            by: claim.claimed_by.clone(),
            gitdir: claim.claimed_gitdir.clone(),
            token,
            place,
            above,
            repository,
            at: at.to_string(),
            remains,
            failures: 0,
            failed_at: None,
            reason: None,
            volumes: BTreeSet::new(),
            unknown: Map::new(),
        }
    }

    /// What the worktree is known by.
    pub fn mark(&self) -> Mark {
        let Self { token, place, above, repository, .. } = *self;
        Mark { token, place, above, repository }
    }

    /// Whether the pause after the last failure is over. A clock that went back ends it, too.
    pub fn is_due(&self, now: Time) -> bool {
        let pause =
            |failures: u32| PAUSE * 2_u32.saturating_pow(failures.saturating_sub(1).min(MOST_FAILURES));
        self.failed_at.is_none_or(|at| now < at || now.since(at) >= pause(self.failures))
    }

    /// The same after another failure, whose reason is this.
    #[must_use]
    pub fn failed(self, now: Time, reason: String) -> Self {
        let left = Self { reason: Some(reason), ..self };
        if !left.is_due(now) {
            return left;
        }
        Self { failures: (left.failures + 1).min(MOST_FAILURES), failed_at: Some(now), ..left }
    }

    /// Takes it out of an entry's key `left`.
    pub(super) fn take(mut object: Map<String, Value>, path: &str) -> Result<Self, Corrupt> {
        let path = format!("{path}.left");
        let by: String = required(&mut object, &path, "by")?;
        Ok(Self {
            by: by.into(),
            gitdir: optional(&mut object, &path, "gitdir")?,
            token: optional(&mut object, &path, "token")?,
            place: optional(&mut object, &path, "place")?,
            above: optional(&mut object, &path, "above")?,
            repository: optional(&mut object, &path, "repository")?,
            at: required(&mut object, &path, "at")?,
            remains: required(&mut object, &path, "remains")?,
            failures: optional(&mut object, &path, "failures")?.unwrap_or_default(),
            failed_at: optional(&mut object, &path, "failed_at")?,
            reason: optional(&mut object, &path, "reason")?,
            volumes: optional(&mut object, &path, "volumes")?.unwrap_or_default(),
            unknown: object,
        })
    }

    /// An unknown key that has the name of one that kinfra writes.
    pub(super) fn key_that_stands_twice(&self) -> Option<&String> {
        self.unknown.keys().find(|key| LEFT_KEYS.contains(&key.as_str()))
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// What there may be of a stack whose claim ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Remains {
    /// Anything. The volumes are to be kept for the worktree.
    Stack,
    /// Anything, and all of it goes.
    Everything,
    /// Docker showed volumes and nothing else. They are kept for the worktree.
    Data,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_count_only_if_minutes_lie_between_them() {
        let at = |minutes: i64| Time::from_unix_micros((1_000_000 + minutes * 60) * 1_000_000);
        let mut left = Left::new(&Claim::of(Holder::Unknown, None), at(0), Remains::Everything);
        let mut counted = Vec::new();
        for minute in 0..5 {
            left = left.failed(at(minute), format!("at {minute}"));
            counted.push(left.failures);
        }
        assert_eq!(counted, [1, 2, 2, 3, 3]);
        assert_eq!((left.reason.as_deref(), left.failed_at), (Some("at 4"), Some(at(3))));
        assert!(!left.is_due(at(4)) && left.is_due(at(7)) && left.is_due(at(2)), "the clock went back");
    }

    #[test]
    fn every_key_of_what_was_left_is_known() {
        let mut left = Left::new(&Claim::of(Holder::Unknown, None), Time::from_unix_micros(0), Remains::Data);
        left.unknown.insert("other".to_owned(), Value::Null);
        assert_eq!(left.key_that_stands_twice(), None);
        for key in LEFT_KEYS {
            left.unknown = Map::from_iter([(key.to_owned(), Value::Null)]);
            assert_eq!(left.key_that_stands_twice().map(String::as_str), Some(key));
        }
    }

    #[test]
    fn an_engine_is_read_as_it_is_written() {
        for (text, engine) in [
            ("unix:///run/user/1000/docker.sock", Engine::Address as fn(String) -> Engine),
            ("tcp://10.0.0.1:2376", Engine::Address),
            ("default", Engine::Context),
            ("desktop-linux", Engine::Context),
        ] {
            let engine = engine(text.to_owned());
            assert_eq!(Engine::parse(text), engine);
            assert_eq!(engine.to_string(), text);
        }
    }

    #[test]
    fn at_the_moment_of_a_failure_the_pause_begins() {
        let at = |seconds: i64| Time::from_unix_micros((1_000_000 + seconds) * 1_000_000);
        let left = Left::new(&Claim::of(Holder::Unknown, None), at(0), Remains::Everything);
        assert!(left.is_due(at(0)), "nothing failed");
        let left = left.failed(at(0), "busy".to_owned());
        for (seconds, is_due) in [(-1, true), (0, false), (59, false), (60, true)] {
            assert_eq!(left.is_due(at(seconds)), is_due, "{seconds}");
        }
    }
}
