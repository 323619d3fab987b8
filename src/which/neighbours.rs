//! A pool among its neighbours in the index of pools: what plan and apply ask of it, and what apply notes in
//! it.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use camino::{Utf8Path, Utf8PathBuf};

use super::choice::PoolChoice;
use super::collisions::{self, Collision, Neighbour};
use super::index::{IndexEntry, Origin};
use super::spec_file::Declared;
use crate::claims::whereabouts::Following;
use crate::fault::Fault;
use crate::host;
use crate::host::index::Index;
use crate::host::invocation::Invocation;
use crate::host::root::Root;
use crate::identifier::PortName;
use crate::ledger::Ledger;
use crate::port::HostPort;
use crate::slot::SlotId;

/// A pool and its neighbours, as the index has them.
pub struct Neighbours {
    index: Option<Index>,
    /// The pool as it is declared.
    entry: IndexEntry,
    /// What the index is to say of it.
    note: IndexEntry,
    /// Whether it does.
    is_noted: bool,
    /// The other pools that are there.
    others: Vec<Neighbour>,
    /// Files of the index whose pools are gone, each with the pool's root.
    gone: Vec<(String, Utf8PathBuf)>,
    /// What a person should know.
    pub notices: Vec<String>,
}

impl Neighbours {
    /// Looks up a pool and its neighbours. An entry that cannot be read is a notice, and stops nothing.
    pub fn look(declared: &Declared, root: &Utf8Path, choice: &PoolChoice, invocation: &Invocation) -> Self {
        let root_is_declared = choice.root().is_none();
        let entry = IndexEntry::new(root, root_is_declared, origin_of(declared), &declared.spec);
        let mut neighbours = Self {
            index: invocation.state.as_deref().map(Index::below),
            note: entry.clone(),
            entry,
            is_noted: false,
            others: Vec::new(),
            gone: Vec::new(),
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
        neighbours
    }

    fn take(&mut self, name: String, entry: Result<IndexEntry, String>) {
        let is_own = name == IndexEntry::file_name(self.entry.root());
        match entry {
            Ok(entry) if is_own => self.compare(&entry),
            Ok(entry) => match registry_of(entry.root()) {
                Held::Gone => self.gone.push((name, entry.root().to_owned())),
                Held::Empty => {}
                Held::Slots(ports) => {
                    let held = ports.into_iter().flat_map(|(slot, ports)| {
                        ports.into_iter().map(move |(name, port)| (name, slot, port))
                    });
                    self.others.push(Neighbour { entry, held: held.collect() });
                }
            },
            // The next apply writes it anew.
            Err(_) if is_own => {}
            Err(why) => {
                let path = self.index.as_ref().map(|index| index.path().join(&name)).unwrap_or_default();
                self.notices.push(format!(
                    "`{path}` is ignored ({why}): remove it, and apply the pool it was of to have it noted again"
                ));
            }
        }
    }

    /// Refuses a pool that cannot be beside its neighbours.
    ///
    /// # Errors
    /// [`Fault`] when the pool would use ports of others, or its spec declared another root before.
    pub fn check(&self, origin: &str) -> Result<(), Fault> {
        if let Some(second_root) = self.second_root() {
            return Err(second_root);
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

    /// Compares the pool with what it was when it was last applied.
    fn compare(&mut self, noted: &IndexEntry) {
        if noted.origin != self.entry.origin
            && let Held::Slots(ports) = registry_of(noted.root())
        {
            let held: BTreeSet<SlotId> = ports.into_keys().collect();
            let surplus: BTreeSet<SlotId> = held.difference(&self.entry.slots).copied().collect();
            if !surplus.is_empty() {
                self.notices.push(format!(
                    "the pool was last applied from {}: slots {} are not in {}",
                    noted.origin,
                    SlotId::list(&surplus),
                    self.entry.origin
                ));
                // As long as it has slots of another spec or branch, the index names that one.
                self.note.origin = noted.origin.clone();
            }
        }
        self.is_noted = *noted == self.note;
    }

    /// The ports that other pools have.
    pub fn collisions(&self) -> Vec<Collision<'_>> {
        collisions::collisions(&self.entry, &self.others)
    }

    /// That the spec changed the pool's root, if it did: an apply would make the pool a second time.
    pub fn second_root(&self) -> Option<Fault> {
        let old = collisions::moved_from(&self.entry, &self.others).filter(|_| !self.has_registry())?;
        let (origin, old, new) = (&old.origin, old.root.escape_debug(), self.entry.root.escape_debug());
        let what = format!("{origin} changed the pool's root, and the pool is still in `{old}`");
        Some(Fault::refused(what).advise(format!(
            "take it along with `mv '{old}' '{new}'` and apply again, stay with `--root '{old}'`, or remove it first with \
             `kinfra destroy --root '{old}'`"
        )))
    }

    fn has_registry(&self) -> bool {
        !matches!(registry_of(self.entry.root()), Held::Gone)
    }

    /// Whether the index lacks what it is to say of a pool that `is_there`.
    pub fn is_stale(&self, is_there: bool) -> bool {
        self.index.is_some() && !self.is_noted && is_there
    }

    /// Notes the pool in the index, if it is not noted yet, and drops pools that are gone.
    ///
    /// # Errors
    /// When it cannot be written: other projects would take the pool's ports.
    pub fn save(&self) -> Result<()> {
        let Some(index) = self.index.as_ref().filter(|_| !self.is_noted) else { return Ok(()) };
        let gone = self.gone.iter().filter(|(_, root)| is_gone(root)).map(|(name, _)| name.as_str());
        let gone: Vec<&str> = gone.collect();
        index.save(&IndexEntry::file_name(self.entry.root()), &self.note.to_text()?, &gone).context(
            "the pool cannot be noted for the others on this machine, so nothing was applied: \
             mend that, or set XDG_STATE_HOME to a directory of yours",
        )
    }
}

/// What declares the pool, as the index has it.
fn origin_of(declared: &Declared) -> Origin {
    let path = declared.path.as_deref();
    let branch = path.and_then(Utf8Path::parent).and_then(host::git::branch_of);
    let spec = path.map(|path| host::fs::canonical(path).unwrap_or_else(|_| path.to_owned()).into_string());
    Origin { spec, branch }
}

/// What the registry of a pool in the index holds.
enum Held {
    /// There is none.
    Gone,
    /// It has no slots, so it uses no port.
    Empty,
    /// It has these slots and ports; none where it cannot be read.
    Slots(BTreeMap<SlotId, Vec<(PortName, HostPort)>>),
}

fn registry_of(root: &Utf8Path) -> Held {
    match Ledger::of(root).read(Following::Nobody) {
        Ok(None) => Held::Gone,
        Ok(Some(snapshot)) if snapshot.registry.slots.is_empty() => Held::Empty,
        Ok(Some(snapshot)) => {
            let slots = snapshot.registry.slots.into_iter();
            Held::Slots(
                slots
                    .map(|(slot, entry)| {
                        (
                            slot,
                            entry.provisioned.host_ports().map(|(name, port)| (name.clone(), port)).collect(),
                        )
                    })
                    .collect(),
            )
        }
        Err(_) => Held::Slots(BTreeMap::new()),
    }
}

/// Whether a pool without a registry is gone. An apply notes its pool before it saves the first registry:
/// then the lock is held.
fn is_gone(root: &Utf8Path) -> bool {
    match Root::open(root) {
        Ok(Some(root)) => matches!(root.lock_holder(), Ok(None)),
        Ok(None) => true,
        Err(_) => false,
    }
}
