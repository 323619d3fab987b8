//! A pool that a run has found: what declares it, where it is, and whether this user trusts it.

use anyhow::Result;
use camino::{Utf8Path, Utf8PathBuf};

use super::choice::PoolChoice;
use super::index::IndexEntry;
use super::kept_in::ledger_in;
use super::spec_file::{self, Declared};
use super::trust::Trust;
use crate::agent::LEASE;
use crate::claims::whereabouts::Following;
use crate::fault::Fault;
use crate::host::clock;
use crate::host::invocation::Invocation;
use crate::identifier::PortName;
use crate::ledger::{Age, Ledger, Snapshot};
use crate::registry::Registry;
use crate::time::{Span, Time};

/// A pool, for the verbs of a worktree.
#[derive(Debug)]
pub struct FoundPool {
    /// Its root.
    pub root: Utf8PathBuf,
    /// Its name.
    pub name: String,
    /// The prefix of its slots' variables. `None` if an older kinfra wrote the index.
    pub env_prefix: Option<String>,
    /// What declares it. For a pool from the index, that is the spec of its last apply, if it still exists.
    /// Another branch may be checked out here.
    pub declared: Option<Declared>,
    /// How the output names the spec.
    pub origin: String,
    /// Whether this user trusts it.
    pub trust: Trust,
    /// Where its registry is.
    ledger: Ledger,
    /// What the index says of it, if a search found it there. Otherwise the spec of this run declares it.
    pub(super) noted: Option<IndexEntry>,
    /// The registry, if the search has read it already.
    pub(super) seen: Option<Snapshot>,
    /// That only its last known state can be read, if that is so.
    age: Option<Age>,
    /// The time by the clock that judges its leases, when its registry was read.
    now: Option<Time>,
    /// The roots of other pools that have the worktree's claim, too, and a younger one.
    rivals: Vec<Utf8PathBuf>,
    /// Roots that did not answer. The worktree may hold a slot there.
    silent: Vec<Utf8PathBuf>,
}

impl FoundPool {
    /// The lease of a new claim for which none is asked: that of agents, if one calls.
    pub fn usual_lease(&self, invocation: &Invocation) -> Option<Span> {
        let of_agents = || self.declared.as_ref().map_or(LEASE, |declared| declared.spec.agent_lease);
        invocation.is_by_agent.then(of_agents)
    }

    pub(super) fn declared(declared: Declared, choice: &PoolChoice, invocation: &Invocation) -> Result<Self> {
        let root = declared.root(choice, invocation)?;
        let (name, env_prefix) = (declared.spec.name.clone(), Some(declared.spec.env_prefix.clone()));
        let origin = declared.origin.clone();
        let trust = Trust::of(&root, declared.path.as_deref(), choice, invocation);
        let ledger = ledger_in(&root, invocation)?;
        let (declared, noted, seen, age, now) = (Some(declared), None, None, None, None);
        let (rivals, silent) = (Vec::new(), Vec::new());
        Ok(Self {
            root,
            name,
            env_prefix,
            declared,
            origin,
            trust,
            ledger,
            noted,
            seen,
            age,
            now,
            rivals,
            silent,
        })
    }

    pub(super) fn indexed(
        entry: IndexEntry,
        (ledger, seen): (Ledger, Snapshot),
        invocation: &Invocation,
    ) -> Self {
        let root = entry.root().to_owned();
        let spec = entry.origin.spec.as_deref().map(Utf8Path::new);
        let declared = spec_file::read_again(spec, invocation).ok();
        // Another repository may be at its path now, as in another container. A spec that is gone says
        // nothing.
        let trust = Trust::by(&entry, declared.as_ref().and(spec));
        let origin = spec_file::origin(spec, invocation);
        let (name, env_prefix) = (entry.pool.clone(), entry.env_prefix.clone());
        let (noted, age, now, seen) = (Some(entry), seen.age(), Some(seen.now()), Some(seen));
        let (rivals, silent) = (Vec::new(), Vec::new());
        Self {
            root,
            name,
            env_prefix,
            declared,
            origin,
            trust,
            ledger,
            noted,
            seen,
            age,
            now,
            rivals,
            silent,
        }
    }

    /// The same, with the roots of other pools that have the worktree's claim, too.
    pub(super) fn with_rivals(self, rivals: Vec<Utf8PathBuf>) -> Self {
        Self { rivals, ..self }
    }

    /// The same, with what the search has read already, if it was of this pool, and the roots that did not
    /// answer.
    pub(super) fn knowing(self, seen: Vec<(Ledger, Snapshot)>, silent: Vec<Utf8PathBuf>) -> Self {
        match seen.into_iter().find(|(ledger, _)| ledger.root() == self.root) {
            Some((ledger, seen)) => {
                Self { age: seen.age(), now: Some(seen.now()), ledger, seen: Some(seen), silent, ..self }
            }
            None => Self { silent, ..self },
        }
    }

    /// Where its registry is kept.
    pub fn ledger(&self) -> Ledger {
        self.ledger.clone()
    }

    /// Its registry, read once for the search and for this. `None` if the pool was never applied.
    ///
    /// # Errors
    /// [`Fault`] when it cannot be trusted.
    pub fn look(&mut self, following: Following<'_>) -> Result<Option<Snapshot>> {
        if let Some(seen) = self.seen.take() {
            return Ok(Some(seen.following(following)));
        }
        self.knows_where()?;
        let seen = self.ledger.read(following)?;
        (self.age, self.now) = (seen.as_ref().and_then(Snapshot::age), seen.as_ref().map(Snapshot::now));
        Ok(seen)
    }

    /// Refuses a pool on a server where it cannot be read which server was applied: no file has its registry.
    fn knows_where(&self) -> Result<(), Fault> {
        let is_on_server = self.declared.as_ref().is_some_and(|declared| declared.spec.registry.is_some());
        match (&self.ledger, &self.trust) {
            (Ledger::File { .. }, Trust::Unknown(why)) if is_on_server => Err((**why).clone()),
            _ => Ok(()),
        }
    }

    /// [`FoundPool::look`] at a pool that must have been applied.
    ///
    /// # Errors
    /// [`Fault`] when it was not.
    pub fn applied(&mut self, following: Following<'_>) -> Result<Snapshot> {
        let seen = self.look(following)?.ok_or_else(|| self.missing())?;
        self.refuse_another(&seen.registry)?;
        Ok(seen)
    }

    /// Refuses a root that was applied as another pool than the one that the spec here declares.
    fn refuse_another(&self, registry: &Registry) -> Result<(), Fault> {
        let declared = self.declared.as_ref().filter(|_| self.noted.is_none());
        let is_named_so = |declared: &&Declared| {
            registry.applied_from.as_ref().is_none_or(|was| was.pool == declared.spec.name)
        };
        let declared = declared.filter(|declared| !is_named_so(declared));
        declared.map_or(Ok(()), |declared| registry.check_pool(&declared.applied_from(), &self.root))
    }

    /// The registry of a pool that was applied, and that this user trusts.
    ///
    /// # Errors
    /// [`Fault`] says that it was not, or how to trust it.
    pub fn usable(&self, seen: Option<Snapshot>) -> Result<Snapshot, Fault> {
        let seen = seen.ok_or_else(|| self.missing())?;
        self.refuse_another(&seen.registry)?;
        self.trusted()?;
        Ok(seen)
    }

    /// Refuses a pool that this user does not trust. One that is not there yet is another matter.
    ///
    /// # Errors
    /// [`Fault`] says how to trust it.
    pub fn trusted(&self) -> Result<(), Fault> {
        self.trust.needed(&self.root, &self.origin)
    }

    /// The pool, if this user trusts it or there is none in its root.
    ///
    /// # Errors
    /// [`Fault`] says how to trust it, or when the registry cannot be read.
    pub fn known(mut self) -> Result<Self> {
        if let Some(seen) = self.look(Following::NoHolder)? {
            self.seen = Some(self.usable(Some(seen))?);
        }
        Ok(self)
    }

    /// What is to be said of a pool that this user does not trust, or whose server does not answer, where it
    /// is only shown.
    pub fn doubt(&self) -> Option<String> {
        let age = self.age.as_ref().map(Age::warning);
        let note = self.trust.note(&self.root, &self.origin);
        (age.is_some() || note.is_some()).then(|| note.unwrap_or_default() + &age.unwrap_or_default())
    }

    /// [`FoundPool::doubt`] where its slots are shown. Of none of them, there is nothing to be trusted.
    pub fn doubt_of(&self, has_slots: bool) -> Option<String> {
        if has_slots { self.doubt() } else { self.age.as_ref().map(Age::warning) }
    }

    /// The time by the clock that judges its leases, as its registry was read last.
    pub fn now(&self) -> Time {
        self.now.unwrap_or_else(clock::now)
    }

    /// That its state is an old one, if it is.
    pub fn age(&self) -> Option<&Age> {
        self.age.as_ref()
    }

    /// When the state was seen, if it is an old one.
    pub fn seen_at(&self) -> Option<Time> {
        self.age.as_ref().map(|age| age.at)
    }

    /// The roots of other pools that have this worktree's claim, too, and a younger one.
    pub fn rivals(&self) -> &[Utf8PathBuf] {
        &self.rivals
    }

    /// The roots of other pools that did not answer, so that this one was taken.
    pub fn silent(&self) -> &[Utf8PathBuf] {
        &self.silent
    }

    /// The port that its slots are known by.
    pub fn primary_port(&self) -> Option<&PortName> {
        self.declared.as_ref()?.spec.primary_port()
    }

    /// Whether the embedded spec declares it.
    pub fn is_embedded(&self) -> bool {
        self.declared.as_ref().is_some_and(|declared| declared.path.is_none())
    }

    /// How the output names its spec, if there is none here and the repository has applied it before.
    pub fn of_repository(&self) -> Option<String> {
        self.declared.as_ref().filter(|declared| declared.is_of_repository).map(Declared::used)
    }

    /// The error for a pool that was never applied.
    pub fn missing(&self) -> Fault {
        let Self { root, origin, .. } = self;
        Fault::no_slot(format!("there is no pool of {origin} in `{root}` yet"))
            .advise("`kinfra apply` creates it")
    }
}
