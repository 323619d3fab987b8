//! Differences → [`Plan`]: what would be done, in which order, and what is refused and why.
//!
//! Planning is pure. What a plan says is what [`crate::apply`] does; there is no other way to change a pool.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::desired::Pool;
use crate::diff::{Difference, FieldChange};
use crate::file::{FileMode, Obstacle, RelPath};
use crate::identifier::PortName;
use crate::observe::{ImportState, Observed};
use crate::port::Port;
use crate::slot::SlotId;

mod policy;

/// What a plan may do, and to which slots.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Options {
    /// What is allowed beyond creating, adopting and restoring.
    pub allowed: BTreeSet<Flag>,
    /// These slots and no others; all where nothing is said.
    pub only: Option<BTreeSet<SlotId>>,
    /// Not these.
    pub exclude: BTreeSet<SlotId>,
}

impl Options {
    /// Whether a slot is one of them.
    pub fn selects(&self, slot: SlotId) -> bool {
        self.only.as_ref().is_none_or(|only| only.contains(&slot)) && !self.exclude.contains(&slot)
    }

    /// Whether slots were named.
    pub fn is_selective(&self) -> bool {
        self.only.is_some() || !self.exclude.is_empty()
    }
}

/// What there is to do, slot by slot in numeric order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// How it stands with the registry of an old tool, if it needs attention. One that is pending is taken over.
    pub import: Option<ImportState>,
    /// Every slot that the spec or the registry names and the options select, with nothing in it where all is right.
    pub slots: BTreeMap<SlotId, SlotPlan>,
    /// The slots in which an earlier apply was cut short and whose action only completes it: that was approved.
    pub begun: BTreeSet<SlotId>,
}

/// What there is to do for one slot.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SlotPlan {
    /// What `apply` does.
    pub action: Option<Action>,
    /// What it leaves as it is, and why.
    pub blocked: Vec<Blocked>,
}

/// One thing that `apply` does to a slot. The first three change no byte that is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Write these files, which are not there, and register the slot.
    Create(Vec<RelPath>),
    /// Register the slot: its files are there and right.
    Adopt,
    /// Write these files again, which are gone, as they were.
    Restore(Vec<RelPath>),
    /// Bring files and entry to what the spec says.
    Update {
        /// The fields of the entry that change.
        fields: Vec<FieldChange>,
        /// The files that change.
        files: BTreeMap<RelPath, FileChange>,
    },
    /// Take the slot away.
    Remove {
        /// The files that go.
        files: Vec<RelPath>,
        /// What stays, for kinfra did not write it: then the slot stays registered.
        stays: Vec<String>,
    },
}

/// What an update does to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileChange {
    /// Writes it where there is none.
    Write,
    /// Replaces what kinfra wrote.
    Replace,
    /// Replaces what kinfra did not write, of which a copy is kept.
    Overwrite,
    /// Gives it its permissions, in place of these.
    SetMode(FileMode),
    /// Removes it: kinfra wrote it, and the spec no longer has it.
    Remove,
    /// Leaves it, no longer kinfra's: it was edited by hand, and the spec no longer has it.
    Disown,
}

/// A difference that stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Blocked {
    /// A file of a slot that kinfra did not write is not as it should be.
    Foreign(RelPath),
    /// A field of the registry's entry would change.
    Field(FieldChange),
    /// A file is older than the spec.
    Outdated(RelPath),
    /// A file is not there, and would not be written as it was.
    Absent(RelPath),
    /// A file has the wrong permissions.
    WrongMode(RelPath, FileMode),
    /// A file is no longer in the spec.
    Dropped(RelPath),
    /// A file that is no longer in the spec was edited by hand: it would stay, as nobody's.
    Disowned(RelPath),
    /// A file was edited by hand.
    Edited(RelPath),
    /// Something else is in the place of a file or, without one, of the slot's directory.
    Obstructed(Option<RelPath>, Obstacle),
    /// The slot is no longer in the spec.
    Surplus {
        /// Whether somebody holds it: then it stays whatever the flags.
        held: bool,
    },
    /// The slot was removed, but for these, which kinfra did not write.
    Leftover(Vec<String>),
    /// Somebody holds the slot that would change.
    Held(String),
    /// The slot has containers: they run on its ports.
    Containers,
    /// Docker would not tell whether the slot has containers, and said this.
    ContainersUnknown(String),
    /// A port that the slot would take is held by an entry that stays.
    PortTaken {
        /// What the port is for.
        name: PortName,
        /// The port.
        port: Port,
        /// The slot that holds it.
        holder: SlotId,
        /// What would make the holder give it up, if anything would.
        flags: Option<BTreeSet<Flag>>,
        /// What the slot's own work would be counted as.
        kind: Kind,
    },
}

/// What allows a blocked difference to be acted on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Flag {
    /// `--update`
    Update,
    /// `--overwrite`
    Overwrite,
    /// `--prune`
    Prune,
    /// `--include-claimed`
    IncludeClaimed,
}

/// What kind of work a slot's plan is counted as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A slot comes.
    Add,
    /// A slot changes.
    Change,
    /// A slot goes.
    Destroy,
}

impl Action {
    /// What the action is counted as.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Create(_) | Self::Adopt => Kind::Add,
            Self::Restore(_) | Self::Update { .. } => Kind::Change,
            Self::Remove { .. } => Kind::Destroy,
        }
    }

    /// Whether the action changes or removes what is there. Such an action is approved first, and announced in the
    /// registry.
    pub fn changes_what_is_there(&self) -> bool {
        match self {
            Self::Create(_) | Self::Adopt | Self::Restore(_) => false,
            Self::Update { .. } | Self::Remove { .. } => true,
        }
    }

    /// Whether the slot's entry says the ports of the spec afterwards.
    fn takes_ports(&self) -> bool {
        match self {
            Self::Create(_) | Self::Adopt | Self::Update { .. } => true,
            Self::Restore(_) | Self::Remove { .. } => false,
        }
    }

    /// Whether the ports that the slot's entry says are free afterwards, but for those that it takes again.
    fn frees_ports(&self) -> bool {
        match self {
            Self::Create(_) | Self::Adopt | Self::Update { .. } => true,
            Self::Remove { files: _, stays } => stays.is_empty(),
            Self::Restore(_) => false,
        }
    }
}

impl Blocked {
    /// The flags that would allow it; `None` where no flag helps.
    fn flags(&self) -> Option<BTreeSet<Flag>> {
        let flag = match self {
            Self::Foreign(_) | Self::Edited(_) => Flag::Overwrite,
            Self::Field(_)
            | Self::Outdated(_)
            | Self::Absent(_)
            | Self::WrongMode(..)
            | Self::Dropped(_)
            | Self::Disowned(_) => Flag::Update,
            Self::Surplus { held: false } => Flag::Prune,
            Self::Held(_) => Flag::IncludeClaimed,
            Self::Surplus { held: true }
            | Self::Obstructed(..)
            | Self::Leftover(_)
            | Self::Containers
            | Self::ContainersUnknown(_) => return None,
            Self::PortTaken { flags, .. } => return flags.clone(),
        };
        Some(BTreeSet::from([flag]))
    }

    /// What it would be counted as.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Surplus { .. } | Self::Leftover(_) => Kind::Destroy,
            Self::PortTaken { kind, .. } => *kind,
            Self::Foreign(_)
            | Self::Field(_)
            | Self::Outdated(_)
            | Self::Absent(_)
            | Self::WrongMode(..)
            | Self::Dropped(_)
            | Self::Disowned(_)
            | Self::Edited(_)
            | Self::Held(_)
            | Self::Containers
            | Self::ContainersUnknown(_)
            | Self::Obstructed(..) => Kind::Change,
        }
    }
}

impl SlotPlan {
    /// The files whose text would change, if it may.
    pub fn changed_files(&self) -> BTreeSet<&RelPath> {
        let updated = match &self.action {
            Some(Action::Update { fields: _, files }) => files
                .iter()
                .filter(|(_, change)| matches!(change, FileChange::Replace | FileChange::Overwrite))
                .map(|(path, _)| path)
                .collect(),
            Some(Action::Create(_) | Action::Adopt | Action::Restore(_) | Action::Remove { .. }) | None => {
                Vec::new()
            }
        };
        let blocked = self.blocked.iter().filter_map(|blocked| match blocked {
            Blocked::Foreign(path) | Blocked::Outdated(path) | Blocked::Edited(path) => Some(path),
            Blocked::Field(_)
            | Blocked::Absent(_)
            | Blocked::WrongMode(..)
            | Blocked::Dropped(_)
            | Blocked::Disowned(_)
            | Blocked::Obstructed(..)
            | Blocked::Surplus { .. }
            | Blocked::Leftover(_)
            | Blocked::Held(_)
            | Blocked::Containers
            | Blocked::ContainersUnknown(_)
            | Blocked::PortTaken { .. } => None,
        });
        updated.into_iter().chain(blocked).collect()
    }

    /// The flags that would allow every blocked difference of the slot; `None` where one of them stays whatever the
    /// flags.
    pub fn flags(&self) -> Option<BTreeSet<Flag>> {
        let flags: Vec<_> = self.blocked.iter().map(Blocked::flags).collect::<Option<_>>()?;
        let mut flags: BTreeSet<Flag> = flags.into_iter().flatten().collect();
        if flags.contains(&Flag::Overwrite) {
            flags.remove(&Flag::Update);
        }
        Some(flags)
    }
}

impl Plan {
    /// What is to be done, slot by slot.
    pub fn actions(&self) -> impl Iterator<Item = (SlotId, &Action)> {
        self.slots.iter().filter_map(|(&slot, plan)| Some((slot, plan.action.as_ref()?)))
    }

    /// Whether something that is there changes or goes: then Docker is asked.
    pub fn changes_what_is_there(&self) -> bool {
        self.actions().any(|(_, action)| action.changes_what_is_there())
    }

    /// Whether something that is there changes or goes, and not only because that was approved and begun before.
    pub fn needs_approval(&self) -> bool {
        self.actions().any(|(slot, action)| action.changes_what_is_there() && !self.begun.contains(&slot))
    }

    /// Whether there is anything to do.
    pub fn has_work(&self) -> bool {
        self.takes_over() || self.actions().next().is_some()
    }

    /// Whether the registry of an old tool is taken over.
    pub fn takes_over(&self) -> bool {
        matches!(self.import, Some(ImportState::Pending { .. }))
    }

    /// Whether something stays that is not as the spec says.
    pub fn is_blocked(&self) -> bool {
        self.slots.values().any(|slot| !slot.blocked.is_empty())
    }

    /// Whether the pool is as the spec says: nothing to do, nothing blocked.
    pub fn is_empty(&self) -> bool {
        !self.has_work() && !self.is_blocked()
    }

    /// Whether this plan does nothing that `shown` did not announce, and leaves out nothing but what is done by now.
    pub fn is_within(&self, shown: &Self) -> bool {
        (shown.takes_over() || !self.takes_over())
            && self.slots.iter().all(|(slot, now)| {
                let shown = shown.slots.get(slot);
                let action = shown.and_then(|shown| shown.action.as_ref());
                let announced = |blocked| shown.is_some_and(|shown| shown.blocked.contains(blocked));
                match &now.action {
                    Some(now) => action == Some(now),
                    None => action.is_none() || now.blocked.iter().all(announced),
                }
            })
    }

    /// What remains when slots fail: their entries stay, which blocks whoever would take a port of theirs.
    #[must_use]
    pub fn without<'a>(
        &self,
        failed: impl IntoIterator<Item = &'a SlotId>,
        pool: &Pool,
        observed: &Observed,
    ) -> Self {
        let mut rest = self.clone();
        for slot in failed {
            rest.slots.insert(*slot, SlotPlan::default());
        }
        while block_taken_ports(&mut rest, pool, observed) {}
        rest
    }
}

/// Decides what to do about every difference.
pub fn plan(
    pool: &Pool,
    observed: &Observed,
    differences: &BTreeMap<SlotId, Difference>,
    options: &Options,
) -> Plan {
    let mut plan = Plan { import: observed.import.clone(), slots: BTreeMap::new(), begun: BTreeSet::new() };
    for (&slot, difference) in differences.iter().filter(|(slot, _)| options.selects(**slot)) {
        let decide = |allowed| policy::decide(slot, difference, &observed.containers, allowed);
        let decided = decide(&options.allowed);
        if difference.unfinished.is_some() && decided == decide(&BTreeSet::new()) {
            plan.begun.insert(slot);
        }
        plan.slots.insert(slot, decided);
    }
    while block_taken_ports(&mut plan, pool, observed) {}
    plan
}

/// Blocks each action whose port an entry that stays still holds. Says whether it blocked one: its own entry, if it has
/// one, then stays as well.
fn block_taken_ports(plan: &mut Plan, pool: &Pool, observed: &Observed) -> bool {
    let frees = |plan: &SlotPlan| plan.action.as_ref().is_some_and(Action::frees_ports);
    let takes = |plan: &SlotPlan| plan.action.as_ref().is_some_and(Action::takes_ports);
    let mut held = BTreeMap::new();
    for (&slot, entry) in &observed.registry.slots {
        if !plan.slots.get(&slot).is_some_and(frees) {
            held.extend(entry.provisioned.ports.values().map(|port| (*port, slot)));
        }
    }
    let mut taken = Vec::new();
    for (&slot, wanted) in &pool.slots {
        let conflict = wanted.ports.iter().find_map(|(name, port)| Some((name, port, *held.get(port)?)));
        let action = plan.slots.get(&slot).filter(|plan| takes(plan)).and_then(|plan| plan.action.as_ref());
        if let Some((name, port, holder)) = conflict
            && let Some(kind) = action.map(Action::kind)
        {
            let flags = plan.slots.get(&holder).and_then(SlotPlan::flags);
            taken.push((slot, Blocked::PortTaken { name: name.clone(), port: *port, holder, flags, kind }));
        }
    }
    let any = !taken.is_empty();
    for (slot, blocked) in taken {
        plan.slots.insert(slot, SlotPlan { action: None, blocked: vec![blocked] });
    }
    any
}
