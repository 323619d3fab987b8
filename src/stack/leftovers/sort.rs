//! Whose something on an engine is: a slot's that a worktree holds, a free slot's, that of a slot or of a
//! pool that is gone, or another pool's. kinfra's labels decide. Pure.

use std::collections::BTreeMap;
use std::fmt;

use camino::{Utf8Path, Utf8PathBuf};

use crate::fault::Fault;
use crate::names::slot_of_project;
use crate::observe::projects::Projects;
use crate::registry::{Condition, Engine, Holder, Left, Registry, Remains};
use crate::shown::{printable, size};
use crate::slot::SlotId;
use crate::thing::{Kind, Labels, Thing};

#[cfg(test)]
#[path = "sort_tests.rs"]
mod tests;

/// What kinfra's stacks have on all engines that were asked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Leftovers {
    /// What each has. A free slot that is not clean is there, too, if nothing of it was found.
    pub groups: BTreeMap<Owner, Group>,
    /// The engines that did not answer, and what they said.
    pub silent: BTreeMap<Engine, String>,
}

/// Whose things are.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owner {
    /// A slot of this pool that a worktree holds.
    Held(SlotId),
    /// A slot of this pool that no worktree holds.
    Free(SlotId),
    /// A slot that this pool does not have any more.
    SlotGone(SlotId),
    /// A slot of a pool that was in this root, and is not there any more.
    PoolGone(Utf8PathBuf, SlotId),
    /// The pool in this root, which is there.
    Another(Utf8PathBuf),
    /// It is not known whether the pool in this root is there, and why.
    Unknown(Utf8PathBuf, String),
}

/// The things of one owner.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Group {
    /// The holder of the slot, if a worktree holds it.
    pub holder: Option<Holder>,
    /// What is known of the stack that was left in the slot.
    pub left: Option<Left>,
    /// The things.
    pub things: Vec<Tied>,
}

/// A thing on its engine.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tied {
    /// The engine that has it.
    pub engine: Engine,
    /// What it is.
    pub thing: Thing,
    /// How it is tied to its owner.
    pub tie: Tie,
}

/// What ties a thing to its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tie {
    /// kinfra's labels.
    Labels,
    /// kinfra's labels, but it is an image with another name: a person may use it.
    NamedByAPerson,
    /// The name of a slot's project, and no label of kinfra's.
    ProjectOnly,
}

/// What became of a pool whose labels something has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PoolState {
    /// It is there, in this root.
    There(Utf8PathBuf),
    /// It is gone.
    Gone,
    /// It is not known, and why.
    Unknown(String),
}

/// A pool as something names it: the engine that has it, and the root and the id on its labels.
pub(super) type PoolKey = (Engine, String, String);

/// The pool that something names by its labels.
pub(super) fn pool_key(engine: &Engine, labels: &Labels) -> PoolKey {
    (engine.clone(), labels.root.clone(), labels.id.clone())
}

/// What whose things are is decided by.
pub(super) struct Facts<'a> {
    /// The root of this pool.
    pub(super) root: &'a Utf8Path,
    /// The name of this pool.
    pub(super) pool: &'a str,
    /// Its registry, if it has one.
    pub(super) registry: Option<&'a Registry>,
    /// What its slots were last started as.
    pub(super) started: Projects<'a>,
    /// What became of the other pools that labels name.
    pub(super) pools: &'a BTreeMap<PoolKey, PoolState>,
}

impl Owner {
    /// Whether what has kinfra's labels has no holder, so that it may be removed.
    pub fn has_no_holder(&self) -> bool {
        match self {
            Self::Free(_) | Self::SlotGone(_) | Self::PoolGone(..) => true,
            Self::Held(_) | Self::Another(_) | Self::Unknown(..) => false,
        }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Held(slot) | Self::Free(slot) => write!(f, "slot {slot}"),
            Self::SlotGone(slot) => write!(f, "slot {slot}, which the pool does not have any more"),
            Self::PoolGone(root, slot) => {
                write!(f, "slot {slot} of a pool that is gone, in `{}`", printable(root.as_str()))
            }
            Self::Another(root) => write!(f, "the pool in `{}`", printable(root.as_str())),
            Self::Unknown(root, why) => {
                write!(f, "a pool in `{}`: {}", printable(root.as_str()), printable(why))
            }
        }
    }
}

impl Tied {
    /// What tells it from every other thing, whatever else is known of it.
    pub(super) fn key(&self) -> (&Engine, Kind, &str) {
        (&self.engine, self.thing.kind, &self.thing.key)
    }
}

impl Leftovers {
    /// Whose these things are. What is none of kinfra's is left out.
    pub(super) fn sort(there: &BTreeMap<Engine, Vec<Thing>>, facts: &Facts<'_>) -> Self {
        let mut groups: BTreeMap<Owner, Group> = BTreeMap::new();
        for (slot, entry) in facts.registry.iter().flat_map(|registry| &registry.slots) {
            if matches!(entry.condition(), Condition::Clean | Condition::Held) {
                continue;
            }
            let left = entry.started.as_ref().and_then(|started| started.left.clone());
            groups.insert(Owner::Free(*slot), Group { left, ..Group::default() });
        }
        let things =
            there.iter().flat_map(|(engine, things)| things.iter().map(move |thing| (engine, thing)));
        for (engine, thing) in things {
            let Some((owner, tie)) = facts.owner(engine, thing) else { continue };
            let group = groups.entry(owner.clone()).or_default();
            if let Owner::Held(slot) = owner {
                group.holder = facts.holder(slot).cloned();
            }
            group.things.push(Tied { engine: engine.clone(), thing: thing.clone(), tie });
        }
        Self { groups, silent: BTreeMap::new() }
    }

    /// What has kinfra's labels and no holder.
    pub fn removable(&self) -> impl Iterator<Item = (&Owner, &Tied)> {
        let free = self.groups.iter().filter(|(owner, _)| owner.has_no_holder());
        let things = free.flat_map(|(owner, group)| group.things.iter().map(move |thing| (owner, thing)));
        things.filter(|(_, thing)| thing.tie == Tie::Labels)
    }

    /// Whether there is nothing to remove, and no slot to clean.
    pub fn is_clean(&self) -> bool {
        self.removable().next().is_none() && self.not_clean().next().is_none()
    }

    /// The error for engines that did not answer.
    pub fn unanswered(&self) -> Option<Fault> {
        let said = self.silent.iter().map(|(engine, said)| format!("`{engine}` ({said})"));
        let said: Vec<String> = said.collect();
        let what = format!("Docker does not say what is left behind on {}", said.join(", "));
        (!said.is_empty()).then(|| Fault::docker(what).advise("start it, and run again"))
    }

    /// The free slots that are not clean, as the registry says.
    pub fn not_clean(&self) -> impl Iterator<Item = SlotId> {
        let free = self.groups.keys();
        free.filter_map(|owner| if let Owner::Free(slot) = owner { Some(*slot) } else { None })
    }

    /// What only has the name of a slot's project, or labels and the name that a person gave it.
    pub fn named(&self) -> impl Iterator<Item = (&Owner, &Tied)> {
        let things = self
            .groups
            .iter()
            .flat_map(|(owner, group)| group.things.iter().map(move |thing| (owner, thing)));
        things.filter(|(owner, thing)| owner.has_no_holder() && thing.tie != Tie::Labels)
    }
}

impl Group {
    /// Whether it is only what was kept for the worktree that had the slot.
    pub fn is_kept_data(&self) -> bool {
        self.left.as_ref().is_some_and(|left| left.remains == Remains::Data)
            && self.things.iter().all(|tied| tied.thing.kind == Kind::Volume)
    }

    /// What there is with kinfra's labels, in words: how many of each kind, with sizes; volumes by name.
    pub fn labelled(&self) -> String {
        words(&self.things.iter().filter(|tied| tied.tie == Tie::Labels).collect::<Vec<_>>())
    }

    /// All there is, in words.
    pub fn all(&self) -> String {
        words(&self.things.iter().collect::<Vec<_>>())
    }
}

/// Things in words.
fn words(things: &[&Tied]) -> String {
    let sized = |word: String, things: &[&Thing]| {
        let bytes: Option<u64> = things.iter().map(|thing| thing.bytes).sum();
        bytes.map_or_else(|| word.clone(), |bytes| format!("{word} ({})", size(bytes)))
    };
    let of = |kind: Kind| {
        things.iter().map(|tied| &tied.thing).filter(|thing| thing.kind == kind).collect::<Vec<_>>()
    };
    let counted = |kind: Kind, what: &str, things: &[&Thing]| {
        let plural = if things.len() == 1 { "" } else { "s" };
        let word = format!("{} {what}{}{plural}", things.len(), kind.word());
        (!things.is_empty()).then(|| sized(word, things))
    };
    let is_dangling = |thing: &&Thing| thing.key.starts_with("sha256:");
    let (dangling, tagged): (Vec<&Thing>, Vec<&Thing>) = of(Kind::Image).into_iter().partition(is_dangling);
    let volumes = of(Kind::Volume).into_iter();
    let volumes = volumes.map(|volume| sized(format!("volume {}", printable(&volume.name)), &[volume]));
    let counts = [
        counted(Kind::Container, "", &of(Kind::Container)),
        counted(Kind::Network, "", &of(Kind::Network)),
        counted(Kind::Image, "", &tagged),
        counted(Kind::Image, "untagged ", &dangling),
    ];
    let all: Vec<String> = counts.into_iter().flatten().chain(volumes).collect();
    if all.is_empty() { "nothing".to_owned() } else { all.join(", ") }
}

impl Facts<'_> {
    /// Whose something is, and what ties it to that. `None` if it is none of kinfra's.
    fn owner(&self, engine: &Engine, thing: &Thing) -> Option<(Owner, Tie)> {
        let labels = &thing.labels;
        if labels.id.is_empty() {
            return Some((self.of_slot(self.slot_by_name(thing)?), Tie::ProjectOnly));
        }
        let tie = if thing.has_own_name() { Tie::Labels } else { Tie::NamedByAPerson };
        let root = Utf8PathBuf::from(&labels.root);
        let Some(slot) = labels.slot.parse().ok().and_then(SlotId::new) else {
            return Some((Owner::Unknown(root, "its labels name no slot".to_owned()), tie));
        };
        let ours = self.registry.and_then(|registry| registry.id);
        if ours.is_some_and(|id| id.to_string() == labels.id) {
            return Some((self.of_slot(slot), tie));
        }
        // The registry may have lost its id, and got another.
        let held = [Some(slot).filter(|_| root == self.root), self.slot_by_name(thing)];
        let held = held.into_iter().flatten().find(|slot| self.holder(*slot).is_some());
        let owner = held.map(Owner::Held);
        let owner = owner.unwrap_or_else(|| match self.pools.get(&pool_key(engine, labels)) {
            Some(PoolState::There(at)) => Owner::Another(at.clone()),
            Some(PoolState::Gone) => Owner::PoolGone(root, slot),
            Some(PoolState::Unknown(why)) => Owner::Unknown(root, why.clone()),
            None => Owner::Unknown(root, "it was not looked for".to_owned()),
        });
        Some((owner, tie))
    }

    fn of_slot(&self, slot: SlotId) -> Owner {
        let entry = self.registry.and_then(|registry| registry.slots.get(&slot));
        match entry.map(|entry| &entry.claim) {
            Some(Some(_)) => Owner::Held(slot),
            Some(None) => Owner::Free(slot),
            None => Owner::SlotGone(slot),
        }
    }

    /// The slot under the name of whose project something is.
    fn slot_by_name(&self, thing: &Thing) -> Option<SlotId> {
        let of_volume = || thing.name.split_once('_').map_or("", |(project, _)| project);
        let project = match (thing.labels.project.as_str(), thing.kind) {
            ("", Kind::Volume | Kind::Network) => of_volume(),
            (labelled, _) => labelled,
        };
        self.started.slot(thing).or_else(|| slot_of_project(self.pool, project))
    }

    fn holder(&self, slot: SlotId) -> Option<&Holder> {
        Some(&self.registry?.slots.get(&slot)?.claim.as_ref()?.claimed_by)
    }
}
