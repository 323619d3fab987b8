//! A pool and its neighbours in the index of pools: what plan and apply read there, and what apply records.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use camino::{Utf8Path, Utf8PathBuf};

use super::choice::PoolChoice;
use super::collisions::{self, Collision, Neighbour};
use super::embedded_pool::users;
use super::index::{IndexEntry, Origin};
use super::spec_file::Declared;
use crate::claims::whereabouts::Following;
use crate::fault::{Fault, exit_of};
use crate::host;
use crate::host::index::Index;
use crate::host::invocation::Invocation;
use crate::host::root::Root;
use crate::identifier::PortName;
use crate::ledger::Ledger;
use crate::port::HostPort;
use crate::registry::Entry;
use crate::shown::printable;
use crate::slot::SlotId;

/// A pool and its neighbours, as the index has them.
pub struct Neighbours {
    index: Option<Index>,
    /// The pool's own entry, as the spec declares it.
    entry: IndexEntry,
    /// The entry that the index must have.
    note: IndexEntry,
    /// Whether the index has it.
    is_noted: bool,
    /// The other pools that exist.
    others: Vec<Neighbour>,
    /// Files of the index whose pools are gone, each with the pool's root.
    gone: Vec<(String, Utf8PathBuf)>,
    /// What the pool was last applied from, if that is not what declares it now.
    applied_from: Option<Origin>,
    /// Notices for the user.
    pub notices: Vec<String>,
}

impl Neighbours {
    /// Looks up a pool and its neighbours. An unreadable entry is a notice and stops nothing.
    pub fn look(declared: &Declared, root: &Utf8Path, choice: &PoolChoice, invocation: &Invocation) -> Self {
        let root_is_declared = choice.root().is_none();
        let mut entry = IndexEntry::new(root, root_is_declared, origin_of(declared), &declared.spec);
        entry.repositories = users(declared.path.is_none(), invocation);
        let mut neighbours = Self {
            index: invocation.state.as_deref().map(Index::below),
            note: entry.clone(),
            entry,
            is_noted: false,
            others: Vec::new(),
            gone: Vec::new(),
            applied_from: None,
            notices: Vec::new(),
        };
        match neighbours.index.as_ref().map(Index::files) {
            Some(Ok(files)) => {
                for (name, text) in files {
                    let entry = text.and_then(|text| {
                        IndexEntry::parse(&name, &text).map_err(|corrupt| corrupt.to_string())
                    });
                    neighbours.take(name, entry);
                }
            }
            Some(Err(error)) => neighbours.notices.push(format!("other pools are not known: {error:#}")),
            None => neighbours.notices.push(
                "other pools are not known: neither HOME nor XDG_STATE_HOME is an absolute path".to_owned(),
            ),
        }
        if neighbours.taken_name().is_none() {
            let namesakes = neighbours.namesakes();
            neighbours.notices.extend(namesakes);
        }
        neighbours
    }

    fn take(&mut self, name: String, entry: Result<IndexEntry, String>) {
        let is_own = name == IndexEntry::file_name(self.entry.root());
        match entry {
            Ok(entry) if is_own => self.compare(&entry),
            Ok(entry) => match registry_of(entry.root()) {
                Seen::Gone => self.gone.push((name, entry.root().to_owned())),
                Seen::Empty => {}
                Seen::Slots(ports) => {
                    let held = ports.into_iter().flat_map(|(slot, ports)| {
                        ports.into_iter().map(move |(name, port)| (name, slot, port))
                    });
                    self.others.push(Neighbour { entry, held: held.collect() });
                }
            },
            // The next apply writes it again.
            Err(_) if is_own => {}
            Err(why) => {
                let path = self.index.as_ref().map(|index| index.path().join(&name)).unwrap_or_default();
                self.notices.push(format!(
                    "`{path}` is ignored ({why}): to record its pool again, remove the file and apply that pool"
                ));
            }
        }
    }

    /// Refuses a pool that conflicts with its neighbours.
    ///
    /// # Errors
    /// [`Fault`] when the pool would use ports of others or begin with the name of one, or its spec declared
    /// another root before.
    pub fn check(&self, origin: &str) -> Result<(), Fault> {
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
        Err(Fault::refused(format!(
            "{origin} declares ports of other pools on this machine{}",
            shown.concat()
        ))
        .advise("give it these strides and bases, or change the other pool"))
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
            && let Seen::Slots(ports) = registry_of(noted.root())
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
        if noted.origin.is_same_spec(&self.note.origin) {
            self.note.repositories.extend(noted.repositories.iter().cloned());
        }
        self.is_noted = *noted == self.note;
    }

    /// The ports that other pools have, too.
    pub fn collisions(&self) -> Vec<Collision<'_>> {
        collisions::collisions(&self.entry, &self.others)
    }

    /// The error for a spec that changed the pool's root. An apply would make the pool a second time.
    pub fn second_root(&self) -> Option<Fault> {
        let old = collisions::moved_from(&self.entry, &self.others).filter(|_| !self.has_registry())?;
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
        if matches!(registry_of(self.entry.root()), Seen::Slots(_)) {
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
        !matches!(registry_of(self.entry.root()), Seen::Gone)
    }

    /// Whether the index lacks the right entry of a pool that exists (`is_there`).
    pub fn is_stale(&self, is_there: bool) -> bool {
        self.index.is_some() && !self.is_noted && is_there
    }

    /// Records the pool in the index, if it is not recorded yet, and drops pools that are gone.
    ///
    /// # Errors
    /// When it cannot be written. Other projects could then take the pool's ports.
    pub fn save(&self) -> Result<()> {
        let Some(index) = self.index.as_ref().filter(|_| !self.is_noted) else { return Ok(()) };
        let gone = self.gone.iter().filter(|(_, root)| is_gone(root)).map(|(name, _)| name.as_str());
        let gone: Vec<&str> = gone.collect();
        let name = IndexEntry::file_name(self.entry.root());
        index.save(&name, &self.note.to_text()?, &gone).map_err(|error| {
            let what = "the pool cannot be noted for the others on this machine, so nothing was applied";
            let fault = Fault { exit: exit_of(&error), ..Fault::failed(what) };
            error.context(fault.advise("fix that, or set XDG_STATE_HOME to a directory of yours"))
        })
    }
}

/// What declares the pool, as the index records it.
fn origin_of(declared: &Declared) -> Origin {
    let path = declared.path.as_deref();
    let branch = path.and_then(Utf8Path::parent).and_then(host::git::branch_of);
    let spec = path.map(|path| host::fs::canonical(path).unwrap_or_else(|_| path.to_owned()).into_string());
    Origin { spec, branch }
}

/// What the registry of a pool in the index holds.
enum Seen {
    /// There is none.
    Gone,
    /// It has no slots, so the pool uses no port.
    Empty,
    /// It has these slots and ports. Empty if it cannot be read.
    Slots(BTreeMap<SlotId, Vec<(PortName, HostPort)>>),
}

fn registry_of(root: &Utf8Path) -> Seen {
    match Ledger::of(root).read(Following::NoHolder) {
        Ok(None) => Seen::Gone,
        Ok(Some(snapshot)) if snapshot.registry.slots.is_empty() => Seen::Empty,
        Ok(Some(snapshot)) => {
            let ports = |entry: &Entry| {
                entry.provisioned.host_ports().map(|(name, port)| (name.clone(), port)).collect()
            };
            let slots = snapshot.registry.slots.iter();
            Seen::Slots(slots.map(|(slot, entry)| (*slot, ports(entry))).collect())
        }
        Err(_) => Seen::Slots(BTreeMap::new()),
    }
}

/// Whether a pool without a registry is gone. An apply records its pool before it saves the first registry,
/// and holds the lock meanwhile.
fn is_gone(root: &Utf8Path) -> bool {
    match Root::open(root) {
        Ok(Some(root)) => matches!(root.lock_holder(), Ok(None)),
        Ok(None) => true,
        Err(_) => false,
    }
}
