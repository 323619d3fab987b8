//! What plan and apply ask of the index of pools, and what apply notes in it.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use camino::{Utf8Path, Utf8PathBuf};

use crate::cli::PoolArgs;
use crate::commands::say;
use crate::fault::Fault;
use crate::host;
use crate::host::index::Index;
use crate::host::invocation::Invocation;
use crate::host::root::Root;
use crate::identifier::PortName;
use crate::observe::registry;
use crate::port::Port;
use crate::slot::SlotId;
use crate::which::index;
use crate::which::index::{Collision, Entry, Neighbour, Origin};
use crate::which::spec_file::{self as pool, Declared};

/// How a pool and its neighbours stand in the index.
pub(crate) struct Listing {
    index: Option<Index>,
    /// The pool as it is declared.
    entry: Entry,
    /// What the index is to say of it.
    note: Entry,
    /// Whether it does.
    is_noted: bool,
    /// What it says of the others that are there.
    others: Vec<Neighbour>,
    /// Its files whose pools are gone, each with the pool's root.
    gone: Vec<(String, Utf8PathBuf)>,
    /// What to tell whoever plans.
    pub(crate) notices: Vec<String>,
}

/// Looks up a pool and its neighbours, says what there is to know of them, and refuses one that cannot be beside them.
///
/// # Errors
/// [`Fault`] when the pool would use ports of others, or its spec declared another root before.
pub(crate) fn check(
    declared: &Declared,
    root: &Utf8Path,
    args: &PoolArgs,
    invocation: &Invocation,
) -> Result<Listing> {
    let listing = Listing::look(declared, root, args, invocation);
    for notice in &listing.notices {
        say(&format!("warning: {notice}\n"))?;
    }
    if let Some(why) = listing.second_root() {
        return Err(Fault::refused(why).into());
    }
    let collisions = listing.collisions();
    if collisions.is_empty() {
        return Ok(listing);
    }
    let shown =
        collisions.iter().map(|collision| format!("\n  {}\n      {}", collision.message(), collision.help()));
    let origin = &declared.origin;
    Err(Fault::refused(format!(
        "{origin} declares ports of other pools on this machine: give it these strides and bases, or change the other pool{}",
        shown.collect::<String>()
    ))
    .into())
}

impl Listing {
    /// Looks up a pool and its neighbours. What cannot be read is noticed, and does not stop anybody.
    pub(crate) fn look(
        declared: &Declared,
        root: &Utf8Path,
        args: &PoolArgs,
        invocation: &Invocation,
    ) -> Self {
        let root_is_declared = pool::named_root(args).is_none();
        let entry = Entry::new(root, root_is_declared, origin_of(declared), &declared.spec);
        let mut listing = Self {
            index: invocation.state.as_deref().map(Index::below),
            note: entry.clone(),
            entry,
            is_noted: false,
            others: Vec::new(),
            gone: Vec::new(),
            notices: Vec::new(),
        };
        match listing.index.as_ref().map(Index::files) {
            Some(Ok(files)) => {
                for (name, text) in files {
                    let entry = text
                        .and_then(|text| Entry::parse(&name, &text).map_err(|corrupt| corrupt.to_string()));
                    listing.take(name, entry);
                }
            }
            Some(Err(error)) => listing.notices.push(format!("other pools are not known: {error:#}")),
            None => listing.notices.push(
                "other pools are not known: neither HOME nor XDG_STATE_HOME is an absolute path".to_owned(),
            ),
        }
        listing
    }

    fn take(&mut self, name: String, entry: Result<Entry, String>) {
        let is_own = name == Entry::file_name(self.entry.root());
        match entry {
            Ok(entry) if is_own => self.compare(&entry),
            Ok(entry) => match registry_of(entry.root()) {
                Found::Gone => self.gone.push((name, entry.root().to_owned())),
                Found::Empty => {}
                Found::Holds(ports) => {
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

    /// Compares the pool with what it was when it was last applied.
    fn compare(&mut self, noted: &Entry) {
        if noted.origin != self.entry.origin
            && let Found::Holds(ports) = registry_of(noted.root())
        {
            let held: BTreeSet<SlotId> = ports.into_keys().collect();
            let surplus: BTreeSet<SlotId> = held.difference(&self.entry.slots).copied().collect();
            if !surplus.is_empty() {
                self.notices.push(format!(
                    "the pool was last applied from {}: slot(s) {} are not in {}",
                    noted.origin,
                    SlotId::list(&surplus),
                    self.entry.origin
                ));
                // While it has slots of another spec or branch, it is that one's.
                self.note.origin = noted.origin.clone();
            }
        }
        self.is_noted = *noted == self.note;
    }

    /// The ports that other pools have.
    pub(crate) fn collisions(&self) -> Vec<Collision<'_>> {
        index::collisions(&self.entry, &self.others)
    }

    /// What is wrong with a root that only the spec changed, if it did: the pool would be there twice.
    pub(crate) fn second_root(&self) -> Option<String> {
        let old = index::moved_from(&self.entry, &self.others).filter(|_| !self.has_registry())?;
        let (origin, old, new) = (&old.origin, old.root.escape_debug(), self.entry.root.escape_debug());
        Some(format!(
            "{origin} changed the pool's root, and the pool is still in `{old}`: take it along with \
             `mv '{old}' '{new}'` and apply again, stay with `--root '{old}'`, or remove it first with \
             `kinfra destroy --root '{old}'`"
        ))
    }

    fn has_registry(&self) -> bool {
        !matches!(registry_of(self.entry.root()), Found::Gone)
    }

    /// Whether the index does not say of a pool that is there what it is to say.
    pub(crate) fn is_stale(&self) -> bool {
        self.index.is_some() && !self.is_noted && self.has_registry()
    }

    /// Notes the pool in the index, if that does not say so yet, and drops what is gone.
    ///
    /// # Errors
    /// When it cannot be written: other projects would take the pool's ports.
    pub(crate) fn save(&self) -> Result<()> {
        let Some(index) = self.index.as_ref().filter(|_| !self.is_noted) else { return Ok(()) };
        let gone = self.gone.iter().filter(|(_, root)| is_gone(root)).map(|(name, _)| name.as_str());
        let gone: Vec<&str> = gone.collect();
        index.save(&Entry::file_name(self.entry.root()), &self.note.to_text()?, &gone).context(
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

/// The registry of a pool in the index.
enum Found {
    /// There is none.
    Gone,
    /// It has no slots, so no port is used.
    Empty,
    /// It is there, with these slots and their ports; none where it cannot be read.
    Holds(BTreeMap<SlotId, BTreeMap<PortName, Port>>),
}

fn registry_of(root: &Utf8Path) -> Found {
    let Ok(root) = Root::open(root) else { return Found::Holds(BTreeMap::new()) };
    match root.as_ref().map(registry) {
        None | Some(Ok((_, None))) => Found::Gone,
        Some(Ok((registry, Some(_)))) if registry.slots.is_empty() => Found::Empty,
        Some(Ok((registry, Some(_)))) => {
            let slots = registry.slots.into_iter();
            Found::Holds(slots.map(|(slot, entry)| (slot, entry.provisioned.ports)).collect())
        }
        Some(Err(_)) => Found::Holds(BTreeMap::new()),
    }
}

/// Whether a pool without a registry is no more: an apply notes its pool before it saves the first registry.
fn is_gone(root: &Utf8Path) -> bool {
    match Root::open(root) {
        Ok(Some(root)) => matches!(root.lock_holder(), Ok(None)),
        Ok(None) => true,
        Err(_) => false,
    }
}
