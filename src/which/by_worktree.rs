//! The pool of a worktree: the one in which it holds a slot, or else the one that the spec declares.

use std::sync::Arc;

use anyhow::{Error, Result};
use camino::{Utf8Path, Utf8PathBuf};

use super::choice::PoolChoice;
pub use super::found_pool::FoundPool;
use super::index::IndexEntry;
use super::kept_in::ledger_of;
use super::repository::{Project, entries};
use super::spec_file::{self, Declared};
use crate::claims::files::held_visibly;
use crate::claims::held_by::{Directory, held_by, with_id};
use crate::claims::whereabouts::{Following, look_at, noted, worktree_of};
use crate::fault::Fault;
use crate::host::invocation::Invocation;
use crate::host::side_by_side::side_by_side;
use crate::ledger::{Ledger, Snapshot, followed, glance};
use crate::registry::{ClaimId, Registry};
use crate::slot::SlotId;

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
            return FoundPool::declared(declared, self.choice, self.invocation);
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
                hit.found = Some(pool.with_rivals(rivals));
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

/// The result of a search in the index of pools.
#[derive(Default)]
struct Hit {
    /// The pool that was looked for.
    found: Option<FoundPool>,
    /// The registries of the others.
    seen: Vec<(Ledger, Snapshot)>,
    /// Why a pool cannot be read. It may be the one.
    unreadable: Option<Error>,
    /// The roots that did not answer. One may be that of the pool.
    silent: Vec<Utf8PathBuf>,
}

impl Hit {
    /// The pool that was found, or else the declared one. The embedded pool is declared everywhere, so it
    /// never replaces a pool that cannot be read.
    fn or_declared(
        self,
        declared: impl FnOnce() -> Result<Declared>,
        search: &Search<'_>,
    ) -> Result<FoundPool> {
        let Self { found, seen, unreadable, silent } = self;
        let unreadable = unreadable.or_else(|| silent.first().map(|root| no_answer(root).into()));
        if let Some(found) = found {
            return Ok(found);
        }
        let declared = declared()?;
        match unreadable {
            Some(error) if declared.path.is_none() => Err(error.context(
                "no slots.toml is here, and a pool that may have this worktree's claim cannot be read",
            )),
            _ => Ok(FoundPool::declared(declared, search.choice, search.invocation)?.knowing(seen, silent)),
        }
    }
}

fn no_answer(root: &Utf8Path) -> Fault {
    Fault::unreadable(format!("the pool in `{root}` does not answer"))
        .advise("is its disk there? If not, name the pool that you mean with --root")
}
