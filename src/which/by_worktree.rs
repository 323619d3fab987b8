//! The pool of a worktree: the one in which it holds a slot, or else the one that the spec declares.

use anyhow::{Error, Result};
use camino::{Utf8Path, Utf8PathBuf};

use super::choice::PoolChoice;
use super::index::IndexEntry;
use super::repository::entries;
use super::spec_file::{self, Declared};
use super::trust::Trust;
use crate::claims::held_by::{held_by, with_id};
use crate::claims::whereabouts::{Following, look_at, noted, worktree_of};
use crate::fault::Fault;
use crate::host::index::Index;
use crate::host::invocation::Invocation;
use crate::identifier::PortName;
use crate::ledger::{Ledger, Snapshot};
use crate::registry::{ClaimId, Registry};
use crate::spec::StackSpec;

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
    /// The registry, if the search has read it already.
    seen: Option<Snapshot>,
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
        self.holding(worktree).or_declared(|| spec_file::declared(self.choice, self.invocation), self)
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
        self.holding(worktree).or_declared(declared, self)
    }

    /// The pool that has the claim with this id, or else the pool of the worktree.
    ///
    /// # Errors
    /// As [`Search::of`]; or that a pool which may have the claim cannot be read.
    pub fn with_claim(&self, id: Option<ClaimId>, worktree: &Utf8Path) -> Result<FoundPool> {
        let Some(id) = id else { return self.of(worktree) };
        let has = |registry: &Registry| with_id(registry, id).is_some();
        let Hit { found, seen: _, unreadable } = self.through_index(Following::Of(worktree), has);
        if let Some(found) = found {
            return Ok(found);
        }
        let mut pool = self.of(worktree)?;
        let Some(error) = unreadable else { return Ok(pool) };
        match pool.look(Following::Of(worktree)) {
            Ok(Some(snapshot)) if has(&snapshot.registry) => {
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
        self.holding(&worktree_of(&self.invocation.here)?).or_declared(|| Ok(declared), self)
    }

    /// How the stacks of a pool are started, checked and kept: by the slots.toml that it was last applied
    /// from, and not by the one of the branch here. A spec that was named is meant as it is. By nothing if
    /// the applied one cannot be read any more.
    pub fn stack_as_applied(&self, pool: &FoundPool) -> StackSpec {
        let of = |declared: Option<&Declared>| declared.map(|it| it.spec.stack.clone()).unwrap_or_default();
        let is_chosen = self.choice.spec().is_some() || self.choice.is_embedded();
        let mut entries = entries(self.invocation).into_iter();
        match entries.find(|entry| entry.root() == pool.root).filter(|_| !is_chosen) {
            Some(IndexEntry { origin, verify, .. }) => {
                let applied = origin.spec.as_deref().map(Utf8Path::new);
                let now = of(spec_file::read_again(applied, self.invocation).ok().as_ref());
                // What runs on this machine is what was applied: the file may have changed since.
                StackSpec { verify: verify.unwrap_or_else(|| now.verify.clone()), ..now }
            }
            None => of(pool.declared.as_ref()),
        }
    }

    fn holding(&self, worktree: &Utf8Path) -> Hit {
        let own = look_at(worktree);
        let holds = |registry: &Registry| held_by(registry, &noted(registry, &own)).is_some();
        self.through_index(Following::Of(worktree), holds)
    }

    /// Searches the registries of all pools in the index. A named spec or root needs no search.
    fn through_index(&self, following: Following<'_>, has: impl Fn(&Registry) -> bool) -> Hit {
        let state = self.invocation.state.as_deref().filter(|_| !self.choice.is_named());
        let mut hit = Hit::default();
        for (name, text) in state.and_then(|state| Index::below(state).files().ok()).into_iter().flatten() {
            // `plan` names an entry that cannot be read.
            let Some(entry) = text.ok().and_then(|text| IndexEntry::parse(&name, &text).ok()) else {
                continue;
            };
            match Ledger::of(entry.root()).read(following) {
                Ok(Some(snapshot)) if has(&snapshot.registry) => {
                    hit.found = Some(FoundPool::indexed(entry, snapshot, self.invocation));
                    return hit;
                }
                Ok(Some(snapshot)) => hit.seen.push(snapshot),
                Ok(None) => {}
                Err(error) => hit.unreadable = Some(error),
            }
        }
        hit
    }
}

impl FoundPool {
    fn declared(declared: Declared, search: &Search<'_>) -> Result<Self> {
        let root = declared.root(search.choice, search.invocation)?;
        let (name, env_prefix) = (declared.spec.name.clone(), Some(declared.spec.env_prefix.clone()));
        let origin = declared.origin.clone();
        let trust = Trust::of(&root, search.choice, search.invocation);
        Ok(Self { root, name, env_prefix, declared: Some(declared), origin, trust, seen: None })
    }

    fn indexed(entry: IndexEntry, seen: Snapshot, invocation: &Invocation) -> Self {
        let root = entry.root().to_owned();
        let IndexEntry { pool: name, env_prefix, origin, .. } = entry;
        let spec = origin.spec.as_deref().map(Utf8Path::new);
        let declared = spec_file::read_again(spec, invocation).ok();
        let origin = spec_file::origin(spec, invocation);
        Self { root, name, env_prefix, declared, origin, trust: Trust::Given, seen: Some(seen) }
    }

    /// Where its registry is kept.
    pub fn ledger(&self) -> Ledger {
        Ledger::of(&self.root)
    }

    /// Its registry, read once for the search and for this. `None` if the pool was never applied.
    ///
    /// # Errors
    /// [`Fault`] when it cannot be trusted.
    pub fn look(&mut self, following: Following<'_>) -> Result<Option<Snapshot>> {
        match self.seen.take() {
            Some(seen) => Ok(Some(seen.following(following))),
            None => self.ledger().read(following),
        }
    }

    /// [`FoundPool::look`] at a pool that must have been applied.
    ///
    /// # Errors
    /// [`Fault`] when it was not.
    pub fn applied(&mut self, following: Following<'_>) -> Result<Snapshot> {
        Ok(self.look(following)?.ok_or_else(|| self.missing())?)
    }

    /// The registry of a pool that was applied, and that this user trusts.
    ///
    /// # Errors
    /// [`Fault`] says that it was not, or how to trust it.
    pub fn usable(&self, seen: Option<Snapshot>) -> Result<Snapshot, Fault> {
        let seen = seen.ok_or_else(|| self.missing())?;
        self.trusted().map(|()| seen)
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
        if self.trust == Trust::NotGiven {
            let seen = self.look(Following::NoHolder)?;
            seen.map_or(Ok(()), |_| self.trusted())?;
        }
        Ok(self)
    }

    /// What is to be said of a pool that this user does not trust, where it is only shown.
    pub fn doubt(&self) -> Option<String> {
        self.trust.note(&self.root, &self.origin)
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

/// The result of a search in the index of pools.
#[derive(Default)]
struct Hit {
    /// The pool that was looked for.
    found: Option<FoundPool>,
    /// The registries of the others.
    seen: Vec<Snapshot>,
    /// Why a pool cannot be read. It may be the one.
    unreadable: Option<Error>,
}

impl Hit {
    /// The pool that was found, or else the declared one. The embedded pool is declared everywhere, so it
    /// never replaces a pool that cannot be read.
    fn or_declared(
        self,
        declared: impl FnOnce() -> Result<Declared>,
        search: &Search<'_>,
    ) -> Result<FoundPool> {
        let Self { found, seen, unreadable } = self;
        if let Some(found) = found {
            return Ok(found);
        }
        let declared = declared()?;
        match unreadable {
            Some(error) if declared.path.is_none() => Err(error.context(
                "no slots.toml is here, and a pool that may have this worktree's claim cannot be read",
            )),
            _ => {
                let pool = FoundPool::declared(declared, search)?;
                let seen = seen.into_iter().find(|snapshot| snapshot.root.path() == pool.root);
                Ok(FoundPool { seen, ..pool })
            }
        }
    }
}
