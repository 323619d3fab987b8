//! A pool and its neighbours in the index of pools: what plan and apply read there, and what apply records.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Error, Result};
use camino::{Utf8Path, Utf8PathBuf};

use super::choice::PoolChoice;
use super::collisions::{self, Collision, Neighbour, Presence};
use super::embedded_pool::users;
use super::index::{IndexEntry, Origin};
use super::others::{Held, Seen, held_in, is_mounted, look, mount_of};
use super::spec_file::Declared;
use super::trust;
use super::unread::{self, Unread};
use super::whose::check_noted;
use crate::fault::{Exit, Fault, advice_of, exit_of};
use crate::host;
use crate::host::holder_mark::{can_have_token, ensure_project_mark, project_mark};
use crate::host::index::{Index, IndexFile};
use crate::host::invocation::Invocation;
use crate::host::lock::LockPolicy;
use crate::host::side_by_side::side_by_side;
use crate::ledger::glance;
use crate::shown::printable;
use crate::slot::SlotId;

/// A pool and its neighbours, as the index has them.
pub struct Neighbours {
    index: Option<Index>,
    /// How the output names the spec.
    spec: String,
    /// Its path.
    path: Option<Utf8PathBuf>,
    /// The pool's own entry, as the spec declares it.
    entry: IndexEntry,
    /// The entry that the index must have.
    note: IndexEntry,
    /// The entry that the index has.
    pub noted: Option<IndexEntry>,
    /// What of the index cannot be read and is about this pool: its entry, or all of it.
    unread: Option<Fault>,
    /// That a newer kinfra wrote its entry.
    newer: Option<Fault>,
    /// The other pools that exist.
    others: Vec<Neighbour>,
    /// Files of the index whose pools are gone.
    gone: Vec<String>,
    /// What the pool was last applied from, if that is not what declares it now.
    applied_from: Option<Origin>,
    /// That the root is another pool's.
    another: Option<Fault>,
    /// Notices for the user.
    pub notices: Vec<String>,
}

impl Neighbours {
    /// Looks up a pool and its neighbours. What cannot be read is a notice and stops nothing.
    pub fn look(declared: &Declared, root: &Utf8Path, choice: &PoolChoice, invocation: &Invocation) -> Self {
        let root_is_declared = choice.root().is_none();
        let mut entry = IndexEntry::new(root, root_is_declared, origin_of(declared), &declared.spec);
        entry.repositories = users(declared.path.is_none(), invocation);
        entry.mount = mount_of(root);
        trust::give(&mut entry, declared.path.as_deref(), project_mark);
        let index = invocation.state.as_deref().map(Index::below);
        entry.host = entry.registry.is_some().then(host::identity::host_of_pools);
        let mut neighbours = Self::of(index, declared.origin.clone(), entry);
        neighbours.path.clone_from(&declared.path);
        if neighbours.noted.as_ref().is_none_or(|noted| noted.pool != neighbours.entry.pool) {
            neighbours.another = check_noted(neighbours.noted.as_ref(), &declared.applied_from(), root).err();
        }
        if neighbours.taken_name().is_none() {
            let namesakes = neighbours.namesakes();
            neighbours.notices.extend(namesakes);
        }
        neighbours
    }

    fn of(index: Option<Index>, spec: String, entry: IndexEntry) -> Self {
        let mut neighbours = Self {
            index,
            spec,
            path: None,
            note: entry.clone(),
            entry,
            noted: None,
            unread: None,
            newer: None,
            others: Vec::new(),
            gone: Vec::new(),
            applied_from: None,
            another: None,
            notices: Vec::new(),
        };
        match neighbours.index.as_ref().map(Index::files) {
            Some(Ok(files)) => neighbours.read(files),
            Some(Err(fault)) => {
                let advice = fault.advice.as_deref().unwrap_or_default();
                neighbours.notices.push(format!("other pools are not known: {}: {advice}", fault.what));
                neighbours.unread = Some(fault);
            }
            None => neighbours.notices.push(
                "other pools are not known: neither HOME nor XDG_STATE_HOME is an absolute path".to_owned(),
            ),
        }
        neighbours
    }

    /// Reads the files of the index, and looks at each of the other pools.
    fn read(&mut self, files: Vec<IndexFile>) {
        let mut others = Vec::new();
        for (name, text) in files {
            let is_own = name == IndexEntry::file_name(self.entry.root());
            match unread::parse(&name, text) {
                Ok(entry) if is_own => {
                    self.compare(&entry);
                    self.noted = Some(entry);
                }
                Ok(entry) => others.push(entry),
                Err(unread) if is_own => {
                    self.unread = self.index.as_ref().map(|index| unread.fault(index, &name));
                    self.newer = self.unread.clone().filter(|_| unread.is_newer);
                }
                Err(Unread { why, is_newer }) => {
                    let path = self.index.as_ref().map(|index| index.path().join(&name)).unwrap_or_default();
                    let again = ": to record its pool again, remove the file and apply that pool";
                    let advice = if is_newer { ": upgrade kinfra" } else { again };
                    self.notices.push(format!("`{path}` is ignored ({why}){advice}"));
                }
            }
        }
        for (entry, seen) in side_by_side(others, look) {
            self.take(entry, seen);
        }
    }

    /// Takes in another pool. One that did not answer was not `seen`.
    fn take(&mut self, entry: IndexEntry, seen: Option<Seen>) {
        let (presence, ports) = match seen {
            Some(Seen::Unused) => return,
            Some(Seen::Gone) => return self.gone.push(IndexEntry::file_name(entry.root())),
            Some(Seen::Away) if self.was_in(entry.root()) => {
                return self.gone.push(IndexEntry::file_name(entry.root()));
            }
            Some(Seen::Away) => (Presence::Away, BTreeMap::new()),
            Some(Seen::Slots(ports)) => (Presence::There, ports),
            None => {
                let root = entry.root.escape_debug();
                self.notices.push(format!(
                    "the pool in `{root}` does not answer: it counts as {} declared it",
                    entry.origin
                ));
                (Presence::Silent, BTreeMap::new())
            }
        };
        let held = ports
            .into_iter()
            .flat_map(|(slot, ports)| ports.into_iter().map(move |(name, port)| (name, slot, port)));
        self.others.push(Neighbour { entry, held: held.collect(), presence });
    }

    /// Whether this pool was in another root before, with its disk or with the home that it is in.
    fn was_in(&self, root: &Utf8Path) -> bool {
        let seen = glance(self.entry.root()).ok().flatten();
        seen.is_some_and(|seen| {
            let mut slots = seen.slots.values();
            slots.any(|slot| Utf8Path::new(&slot.provisioned.infrastructure_path).starts_with(root))
        })
    }

    /// Refuses a pool that conflicts with its neighbours.
    ///
    /// # Errors
    /// [`Fault`] when the pool would use ports of others or begin with the name of one, its spec declared
    /// another root before, or a newer kinfra applied it.
    pub fn check(&self) -> Result<(), Fault> {
        if let Some(newer) = &self.newer {
            return Err(newer.clone());
        }
        if let Some(another) = self.another_pool() {
            return Err(another);
        }
        if let Some(disk_away) = self.disk_away() {
            return Err(disk_away);
        }
        if let Some(second_root) = self.second_root() {
            return Err(second_root);
        }
        if let Some(taken_name) = self.taken_name() {
            return Err(taken_name);
        }
        let collisions = self.collisions();
        if collisions.is_empty() {
            return Ok(());
        }
        let shown: Vec<String> = collisions
            .iter()
            .map(|collision| format!("\n  {}\n      {}", collision.message(), collision.help()))
            .collect();
        let away: BTreeSet<String> = collisions.iter().filter_map(|met| self.absence(met.other)).collect();
        let away: Vec<String> = away.into_iter().map(|away| format!("\n  {away}")).collect();
        Err(Fault::refused(format!(
            "{} declares ports of other pools on this machine{}{}",
            self.spec,
            shown.concat(),
            away.concat()
        ))
        .advise("give it these strides and bases, or change the other pool"))
    }

    /// The error for a pool whose disk is not mounted: an apply would make it a second time, where the disk
    /// belongs.
    pub fn disk_away(&self) -> Option<Fault> {
        let mount = self.noted.as_ref()?.mount.as_deref()?;
        if is_mounted(mount) || self.has_registry() {
            return None;
        }
        let (root, mount) = (self.entry.root.escape_debug(), mount.escape_debug());
        let what = format!("the pool in `{root}` is on the disk of `{mount}`, which is not mounted now");
        let file = self.index.as_ref()?.path().join(IndexEntry::file_name(self.entry.root()));
        Some(Fault::refused(what).advise(format!("mount it; or, if it is gone for good, remove `{file}`")))
    }

    /// The error for a root that was applied as another pool.
    pub fn another_pool(&self) -> Option<Fault> {
        self.another.clone()
    }

    /// What of the index cannot be read, as far as it is about this pool: its entry, or all of it. An apply
    /// writes its entry again, but not that of a newer kinfra.
    pub fn unread(&self) -> Option<&Fault> {
        self.unread.as_ref()
    }

    /// That another pool is not there, and how to forget it if it is gone for good.
    fn absence(&self, other: &IndexEntry) -> Option<String> {
        let neighbour = self.others.iter().find(|neighbour| neighbour.entry.root == other.root)?;
        let root = other.root.escape_debug();
        match neighbour.presence {
            Presence::There => None,
            Presence::Silent => Some(format!("the pool in `{root}` does not answer")),
            Presence::Away => {
                let file = self.index.as_ref()?.path().join(IndexEntry::file_name(other.root()));
                Some(format!(
                    "`{root}` is not there now, and keeps its ports: if it is gone for good, remove `{file}`"
                ))
            }
        }
    }

    /// What the pool was last applied from, if that is not what declares it now: "branch `next`".
    pub fn applied_from(&self) -> Option<String> {
        let before = self.applied_from.as_ref()?;
        let of_same = before.branch.as_ref().filter(|_| before.is_same_spec(&self.entry.origin));
        Some(of_same.map_or_else(|| before.to_string(), |branch| format!("branch `{}`", printable(branch))))
    }

    /// Compares the pool with its entry from the last apply.
    fn compare(&mut self, noted: &IndexEntry) {
        if noted.origin != self.entry.origin
            && let Held::Slots(ports) = held_in(noted.root())
        {
            let held: BTreeSet<SlotId> = ports.into_keys().collect();
            let surplus: BTreeSet<SlotId> = held.difference(&self.entry.slots).copied().collect();
            if surplus.is_empty() {
                self.applied_from = Some(noted.origin.clone());
            } else {
                self.notices.push(format!(
                    "the pool was last applied from {}: {} {} not in {}",
                    noted.origin,
                    SlotId::named(&surplus),
                    if surplus.len() == 1 { "is" } else { "are" },
                    self.entry.origin
                ));
                // While the pool has slots of another spec or branch, the index names that one.
                self.note.origin = noted.origin.clone();
            }
        }
        self.note.applied_by.clone_from(&noted.applied_by);
        // An older kinfra noted only the path of the project that applied it.
        if noted.applied_by.is_empty() {
            trust::give(&mut self.note, noted.origin.spec.as_deref().map(Utf8Path::new), project_mark);
        }
        self.entry.applied_by.iter().for_each(|project| self.note.note_project(*project));
        if noted.origin.is_same_spec(&self.note.origin) {
            self.note.repositories.extend(noted.repositories.iter().cloned());
        }
    }

    /// The ports that other pools have, too.
    pub fn collisions(&self) -> Vec<Collision<'_>> {
        collisions::collisions(&self.entry, &self.others)
    }

    /// The error for a spec that changed the pool's root. An apply would make the pool a second time.
    pub fn second_root(&self) -> Option<Fault> {
        let old = collisions::moved_from(&self.entry, &self.others).filter(|_| !self.has_registry())?;
        if let Some(absence) = self.absence(old) {
            let what = format!("{} changed the pool's root: {absence}", old.origin);
            return Some(Fault::refused(what).advise("bring it back, or stay with its root"));
        }
        let (origin, old, new) = (&old.origin, old.root.escape_debug(), self.entry.root.escape_debug());
        let what = format!("{origin} changed the pool's root, and the pool is still in `{old}`");
        Some(Fault::refused(what).advise(format!(
            "take it along with `mv '{old}' '{new}'` and apply again, stay with `--root '{old}'`, or remove it first with \
             `kinfra destroy --root '{old}'`"
        )))
    }

    /// The error for a pool that would get its first slots under the name of another. A second root of the
    /// same spec is made on purpose.
    pub fn taken_name(&self) -> Option<Fault> {
        let namesakes = collisions::namesakes(&self.entry, &self.others);
        let other = namesakes.into_iter().find(|other| !other.origin.is_same_spec(&self.entry.origin))?;
        if matches!(held_in(self.entry.root()), Held::Slots(_)) {
            return None;
        }
        let (name, root) = (self.entry.pool.escape_debug(), other.root.escape_debug());
        let what = format!(
            "the pool would have the name of another one on this machine: `{name}` in `{root}`, declared by {}. \
             Slots of both would be the same Compose projects and share their containers and volumes",
            other.origin
        );
        Some(Fault::refused(what).advise("give this pool another `name` in slots.toml"))
    }

    /// A sentence for each other pool that has the pool's name.
    pub fn namesakes(&self) -> Vec<String> {
        let namesakes = collisions::namesakes(&self.entry, &self.others).into_iter();
        let sentence = |other: &IndexEntry| {
            let (name, root) = (other.pool.escape_debug(), other.root.escape_debug());
            format!(
                "the pool in `{root}`, declared by {}, has the name `{name}`, too: slots of both are the same Compose \
                 projects, so give one of the pools another `name` while its stacks are down",
                other.origin
            )
        };
        namesakes.map(sentence).collect()
    }

    fn has_registry(&self) -> bool {
        !matches!(held_in(self.entry.root()), Held::Nothing)
    }

    fn is_noted(&self) -> bool {
        self.noted.as_ref() == Some(&self.note)
    }

    /// Whether the index lacks the right entry of a pool that exists (`is_there`), or its project a token.
    pub fn is_stale(&self, is_there: bool) -> bool {
        let project = self.path.as_deref().and_then(Utf8Path::parent);
        self.index.is_some() && is_there && (!self.is_noted() || project.is_some_and(can_have_token))
    }

    /// Records the pool in the index, if it is not recorded yet, and drops pools that are gone. A pool that
    /// begins, or that is recorded anew, is compared with its neighbours once more, under the index's lock:
    /// of two that begin at the same moment, one is refused.
    ///
    /// # Errors
    /// [`Fault`] as of [`Neighbours::check`], or when another process holds the lock. Also when it cannot be
    /// written: other projects could then take the pool's ports.
    pub fn note(&self, begins: bool, policy: &LockPolicy<'_>) -> Result<()> {
        let Some(index) = self.index.as_ref().filter(|_| begins || self.is_stale(true)) else {
            return Ok(());
        };
        let not_noted = |error| not_noted(error, self.unread());
        let _lock = index.lock(policy).map_err(not_noted)?;
        let mut entry = self.entry.clone();
        trust::give(&mut entry, self.path.as_deref(), ensure_project_mark);
        let now = Self::of(self.index.clone(), self.spec.clone(), entry);
        now.check()?;
        if now.is_noted() && now.gone.is_empty() {
            return Ok(());
        }
        let gone: Vec<&str> = now.gone.iter().map(String::as_str).collect();
        let name = IndexEntry::file_name(now.entry.root());
        index.save(&name, &now.note.to_text()?, &gone).map_err(not_noted)
    }
}

/// The error for a pool that cannot be recorded. One whose lock is held says enough.
fn not_noted(error: Error, unread: Option<&Fault>) -> Error {
    let exit = exit_of(&error);
    if matches!(exit, Exit::Locked | Exit::Interrupted) {
        return error;
    }
    let what = "the pool cannot be noted for the others on this machine, so nothing was applied";
    let fault = Fault { exit, ..Fault::failed(what) };
    let known = unread.and_then(|fault| fault.advice.as_deref()).or_else(|| advice_of(&error));
    let advice = known.unwrap_or("fix that, or set XDG_STATE_HOME to a directory of yours").to_owned();
    error.context(fault.advise(advice))
}

/// What declares the pool, as the index records it.
fn origin_of(declared: &Declared) -> Origin {
    let path = declared.path.as_deref();
    let branch = path.and_then(Utf8Path::parent).and_then(host::git::branch_of);
    let spec = path.map(|path| host::fs::canonical(path).unwrap_or_else(|_| path.to_owned()).into_string());
    Origin { spec, branch }
}
