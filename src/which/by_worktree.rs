//! The pool of a worktree: the one in which it holds a slot, or else the one that the spec declares.

use std::sync::Arc;

use anyhow::Result;
use camino::{Utf8Path, Utf8PathBuf};

use super::choice::PoolChoice;
use super::hit::{Hit, no_answer};
use super::index::IndexEntry;
use super::repository::{Project, entries};
use super::server::{ledger_in, ledger_of};
use super::spec_file::{self, Declared};
use super::trust::Trust;
use crate::agent::LEASE;
use crate::claims::files::held_visibly;
use crate::claims::held_by::{Directory, held_by, with_id};
use crate::claims::whereabouts::{Following, look_at, noted, worktree_of};
use crate::fault::Fault;
use crate::host::invocation::Invocation;
use crate::host::side_by_side::side_by_side;
use crate::identifier::PortName;
use crate::ledger::{Ledger, Snapshot, followed, glance};
use crate::registry::{ClaimId, Registry};
use crate::slot::SlotId;
use crate::time::Span;

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
    seen: Option<Snapshot>,
    /// That only its last known state can be read, if that is so. A sentence.
    age: Option<String>,
    /// The roots of other pools that have the worktree's claim, too, and a younger one.
    rivals: Vec<Utf8PathBuf>,
    /// Roots that did not answer. The worktree may hold a slot there.
    silent: Vec<Utf8PathBuf>,
}

/// How a run finds its pool.
#[derive(Debug, Clone, Copy)]
pub struct Search<'a> {
    /// The spec and the root that were named. They come before the index of pools.
    pub choice: &'a PoolChoice,
    /// The facts of the run.
    pub invocation: &'a Invocation,
}

impl Search<'_> {
    /// The pool of a worktree: the one in which it holds a slot, on any branch, or else the one that the spec
    /// here declares.
    ///
    /// # Errors
    /// When the spec cannot be read, or its root cannot be used.
    pub fn of(&self, worktree: &Utf8Path) -> Result<FoundPool> {
        self.of_directory(&self.look_at(worktree)?)
    }

    /// [`Search::of`] a worktree that was looked at.
    ///
    /// # Errors
    /// As [`Search::of`].
    pub fn of_directory(&self, own: &Directory) -> Result<FoundPool> {
        self.holding(own).or_declared(|| spec_file::declared(self.choice, self.invocation), self)
    }

    /// A worktree as it is now, with the owner of this run.
    ///
    /// # Errors
    /// When it cannot be examined.
    pub fn look_at(&self, worktree: &Utf8Path) -> Result<Directory> {
        Ok(look_at(worktree)?.owned_by(self.invocation.owner.clone()))
    }

    /// [`Search::of`] a named worktree. The spec there comes before the one here.
    ///
    /// # Errors
    /// As [`Search::of`].
    pub fn of_named(&self, worktree: &Utf8Path) -> Result<FoundPool> {
        let declared = || {
            let there = Invocation { here: worktree.to_owned(), ..self.invocation.clone() };
            let is_chosen = self.choice.spec().is_some() || self.choice.is_embedded();
            let is_there = !is_chosen && spec_file::is_on_disk(self.choice, &there)?;
            spec_file::declared(self.choice, if is_there { &there } else { self.invocation })
        };
        self.holding(&self.look_at(worktree)?).or_declared(declared, self)
    }

    /// The pool that has the claim with this id, or else the pool of the worktree.
    ///
    /// # Errors
    /// As [`Search::of`]; or that a pool which may have the claim cannot be read.
    pub fn with_claim(&self, id: Option<ClaimId>, worktree: &Utf8Path) -> Result<FoundPool> {
        let Some(id) = id else { return self.of(worktree) };
        let has = |registry: &Registry| with_id(registry, id);
        let Hit { found, seen: _, unreadable, silent } =
            self.through_index(Following::Of(worktree), has, |registry, _| has(registry));
        if let Some(found) = found {
            return Ok(found);
        }
        let mut pool = self.of(worktree)?;
        let unreadable = unreadable.or_else(|| silent.first().map(|root| no_answer(root).into()));
        let Some(error) = unreadable else { return Ok(pool) };
        match pool.look(Following::Of(worktree)) {
            Ok(Some(snapshot)) if has(&snapshot.registry).is_some() => {
                pool.seen = Some(snapshot);
                Ok(pool)
            }
            // The unreadable pool may have the claim.
            Ok(_) | Err(_) => Err(error.context(format!("the claim {id} is in no pool that can be read"))),
        }
    }

    /// The pool for verbs that show or clean up: the one that the spec here declares. Without a spec here,
    /// the pool in which this worktree holds a slot comes before the repository's and the embedded one.
    ///
    /// # Errors
    /// When the spec cannot be read, or its root cannot be used.
    pub fn here(&self) -> Result<FoundPool> {
        let declared = spec_file::declared(self.choice, self.invocation)?;
        if declared.path.is_some() && !declared.is_of_repository {
            return FoundPool::declared(declared, self);
        }
        let own = self.look_at(&worktree_of(&self.invocation.here)?)?;
        self.holding(&own).or_declared(|| Ok(declared), self)
    }

    fn holding(&self, own: &Directory) -> Hit {
        let holds = |registry: &Registry| held_by(registry, &noted(registry, own));
        let shows =
            |registry: &Registry, root: &Utf8Path| held_visibly(registry, &noted(registry, own), root);
        self.through_index(Following::Of(&own.path), holds, shows)
    }

    /// Searches the registries of all pools in the index: first those that this project applied, then the
    /// others, side by side, of which `shows` wants more. A named spec or root needs no search.
    fn through_index(
        &self,
        following: Following<'_>,
        has: impl Fn(&Registry) -> Option<SlotId>,
        shows: impl Fn(&Registry, &Utf8Path) -> Option<SlotId>,
    ) -> Hit {
        let mut hit = Hit::default();
        if self.choice.is_named() {
            return hit;
        }
        let project = Project::of(&self.invocation.here);
        let (own, others): (Vec<_>, Vec<_>) =
            entries(self.invocation).into_iter().partition(|entry| project.has(entry));
        for entry in own {
            match self.read(&entry, following) {
                Ok((ledger, Some(snapshot))) if has(&snapshot.registry).is_some() => {
                    hit.found = Some(FoundPool::indexed(entry, (ledger, snapshot), self.invocation));
                    return hit;
                }
                Ok((ledger, Some(snapshot))) => hit.seen.push((ledger, snapshot)),
                Ok((_, None)) => {}
                Err(error) => hit.unreadable = Some(error),
            }
        }
        let mut having = Vec::new();
        for (entry, seen) in side_by_side(others, |entry| glance(entry.root())) {
            let since = |registry: &Arc<Registry>| {
                let registry = followed(registry, following).0;
                let slot = shows(&registry, entry.root())?;
                Some(registry.slots.get(&slot)?.claim.as_ref()?.claimed_at.clone())
            };
            match seen {
                None => hit.silent.push(entry.root().to_owned()),
                Some(Ok(registry)) => {
                    having.extend(registry.as_ref().and_then(since).map(|since| (since, entry)));
                }
                Some(Err(error)) => hit.unreadable = Some(error),
            }
        }
        self.oldest(having, following, hit)
    }

    /// The pool with the oldest of several claims, since none is of the project here. It knows of the others.
    fn oldest(
        &self,
        mut having: Vec<(Option<String>, IndexEntry)>,
        following: Following<'_>,
        mut hit: Hit,
    ) -> Hit {
        having.sort_by(|(one, _), (other, _)| (one.is_none(), one).cmp(&(other.is_none(), other)));
        let mut having = having.into_iter().map(|(_, entry)| entry);
        let Some(entry) = having.next() else { return hit };
        match self.read(&entry, following) {
            Ok((ledger, Some(snapshot))) => {
                let pool = FoundPool::indexed(entry, (ledger, snapshot), self.invocation);
                let rivals = having.map(|entry| entry.root().to_owned()).collect();
                hit.found = Some(FoundPool { rivals, ..pool });
            }
            Ok((_, None)) => {}
            Err(error) => hit.unreadable = Some(error),
        }
        hit
    }

    fn read(&self, entry: &IndexEntry, following: Following<'_>) -> Result<(Ledger, Option<Snapshot>)> {
        let ledger = ledger_of(entry, self.invocation)?;
        let seen = ledger.read(following)?;
        Ok((ledger, seen))
    }
}

impl FoundPool {
    /// The lease of a new claim for which none is asked: that of agents, if one calls.
    pub fn usual_lease(&self, invocation: &Invocation) -> Option<Span> {
        let of_agents = || self.declared.as_ref().map_or(LEASE, |declared| declared.spec.agent_lease);
        invocation.is_by_agent.then(of_agents)
    }

    pub(super) fn declared(declared: Declared, search: &Search<'_>) -> Result<Self> {
        let root = declared.root(search.choice, search.invocation)?;
        let (name, env_prefix) = (declared.spec.name.clone(), Some(declared.spec.env_prefix.clone()));
        let origin = declared.origin.clone();
        let trust = Trust::of(&root, declared.path.as_deref(), search.choice, search.invocation);
        let ledger = ledger_in(&root, search.invocation)?;
        let (declared, noted, seen, age) = (Some(declared), None, None, None);
        let (rivals, silent) = (Vec::new(), Vec::new());
        Ok(Self { root, name, env_prefix, declared, origin, trust, ledger, noted, seen, age, rivals, silent })
    }

    fn indexed(entry: IndexEntry, (ledger, seen): (Ledger, Snapshot), invocation: &Invocation) -> Self {
        let root = entry.root().to_owned();
        let spec = entry.origin.spec.as_deref().map(Utf8Path::new);
        let declared = spec_file::read_again(spec, invocation).ok();
        // Another repository may be at its path now, as in another container. A spec that is gone says
        // nothing.
        let trust = Trust::by(&entry, declared.as_ref().and(spec));
        let origin = spec_file::origin(spec, invocation);
        let (name, env_prefix) = (entry.pool.clone(), entry.env_prefix.clone());
        let (noted, age, seen) = (Some(entry), seen.age(), Some(seen));
        let (rivals, silent) = (Vec::new(), Vec::new());
        Self { root, name, env_prefix, declared, origin, trust, ledger, noted, seen, age, rivals, silent }
    }

    /// The same, with what the search has read already, if it was of this pool, and the roots that did not
    /// answer.
    pub(super) fn knowing(self, seen: Vec<(Ledger, Snapshot)>, silent: Vec<Utf8PathBuf>) -> Self {
        match seen.into_iter().find(|(ledger, _)| ledger.root() == self.root) {
            Some((ledger, seen)) => Self { age: seen.age(), ledger, seen: Some(seen), silent, ..self },
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
        match self.seen.take() {
            Some(seen) => Ok(Some(seen.following(following))),
            None => {
                let seen = self.ledger.read(following)?;
                self.age = seen.as_ref().and_then(Snapshot::age);
                Ok(seen)
            }
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
        let age = self.age.as_ref().map(|age| format!("warning: {age}\n"));
        let note = self.trust.note(&self.root, &self.origin);
        (age.is_some() || note.is_some()).then(|| note.unwrap_or_default() + &age.unwrap_or_default())
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
