//! Differences → [`Plan`]: what would be done, in which order, and what is refused and why.
//!
//! Planning is pure. What a plan says is what [`crate::apply`] does; there is no other way to change a pool.

use std::collections::{BTreeMap, BTreeSet};

use crate::desired::Pool;
use crate::diff::{Difference, FieldChange, FileDifference, Standing};
use crate::observe::{ImportState, Observed};
use crate::slot::{FileMode, Obstacle, Port, PortName, RelPath, SlotId};

/// What there is to do, slot by slot in numeric order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// How it stands with the registry of an old tool, if it needs attention. One that is pending is taken over.
    pub import: Option<ImportState>,
    /// Every slot that the spec or the registry names, with nothing in it where all is right.
    pub slots: BTreeMap<SlotId, SlotPlan>,
}

/// What there is to do for one slot.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SlotPlan {
    /// What `apply` does.
    pub action: Option<Action>,
    /// What it leaves as it is, and why.
    pub blocked: Vec<Blocked>,
}

/// One thing that `apply` does to a slot. None of them changes a byte that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Write these files, which are not there, and register the slot.
    Create(Vec<RelPath>),
    /// Register the slot: its files are there and right.
    Adopt,
    /// Write these files again, which are gone, as they were.
    Restore(Vec<RelPath>),
}

/// A difference that stays.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// A file was edited by hand.
    Edited(RelPath),
    /// Something else is in the place of a file or, without one, of the slot's directory.
    Obstructed(Option<RelPath>, Obstacle),
    /// The slot is no longer in the spec.
    Surplus {
        /// Whether somebody holds it: then it stays whatever the flags.
        held: bool,
    },
    /// Somebody holds the slot that would change.
    Held(String),
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
    },
}

/// What allows a blocked difference to be acted on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
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
            Self::Restore(_) => Kind::Change,
        }
    }

    /// Whether the action writes the slot's entry.
    fn registers(&self) -> bool {
        match self {
            Self::Create(_) | Self::Adopt => true,
            Self::Restore(_) => false,
        }
    }
}

impl Blocked {
    /// The flags that would allow it; `None` where no flag helps.
    fn flags(&self) -> Option<BTreeSet<Flag>> {
        let flag = match self {
            Self::Foreign(_) | Self::Edited(_) => Flag::Overwrite,
            Self::Field(_) | Self::Outdated(_) | Self::Absent(_) | Self::WrongMode(..) | Self::Dropped(_) => {
                Flag::Update
            }
            Self::Surplus { held: false } => Flag::Prune,
            Self::Held(_) => Flag::IncludeClaimed,
            Self::Surplus { held: true } | Self::Obstructed(..) => return None,
            Self::PortTaken { flags, .. } => return flags.clone(),
        };
        Some(BTreeSet::from([flag]))
    }

    /// What it would be counted as.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Surplus { .. } => Kind::Destroy,
            Self::PortTaken { .. } => Kind::Add,
            Self::Foreign(_)
            | Self::Field(_)
            | Self::Outdated(_)
            | Self::Absent(_)
            | Self::WrongMode(..)
            | Self::Dropped(_)
            | Self::Edited(_)
            | Self::Held(_)
            | Self::Obstructed(..) => Kind::Change,
        }
    }
}

impl SlotPlan {
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

    /// Whether there is anything to do.
    pub fn has_work(&self) -> bool {
        self.takes_over() || self.actions().next().is_some()
    }

    /// Whether the registry of an old tool is taken over.
    pub fn takes_over(&self) -> bool {
        matches!(self.import, Some(ImportState::Pending { .. }))
    }

    /// Whether the pool is as the spec says: nothing to do, nothing blocked.
    pub fn is_empty(&self) -> bool {
        !self.takes_over() && self.slots.values().all(|plan| plan.action.is_none() && plan.blocked.is_empty())
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
pub fn plan(pool: &Pool, observed: &Observed, differences: &BTreeMap<SlotId, Difference>) -> Plan {
    let slots = differences.iter().map(|(&slot, difference)| (slot, plan_slot(difference))).collect();
    let mut plan = Plan { import: observed.import.clone(), slots };
    while block_taken_ports(&mut plan, pool, observed) {}
    plan
}

fn plan_slot(difference: &Difference) -> SlotPlan {
    let Difference { standing, obstacle, files, claimed_by } = difference;
    if let Some(obstacle) = obstacle {
        return SlotPlan { action: None, blocked: vec![Blocked::Obstructed(None, *obstacle)] };
    }
    let mut plan = match standing {
        Standing::Unregistered | Standing::Imported => take_whole(files),
        Standing::Registered(fields) => keep_or_restore(fields, files),
        Standing::Surplus => {
            SlotPlan { action: None, blocked: vec![Blocked::Surplus { held: claimed_by.is_some() }] }
        }
    };
    if let Some(holder) = claimed_by.as_ref().filter(|_| !plan.blocked.is_empty()) {
        plan.blocked.push(Blocked::Held(holder.clone()));
    }
    plan
}

/// A slot whose files kinfra did not write is taken as a whole or not at all.
fn take_whole(files: &BTreeMap<RelPath, FileDifference>) -> SlotPlan {
    let (mut missing, mut blocked) = (Vec::new(), Vec::new());
    for (path, difference) in files {
        match difference {
            FileDifference::Same => {}
            FileDifference::Lost | FileDifference::Absent => missing.push(path.clone()),
            FileDifference::Blocked(obstacle) => {
                blocked.push(Blocked::Obstructed(Some(path.clone()), *obstacle));
            }
            FileDifference::Outdated
            | FileDifference::WrongMode(_)
            | FileDifference::Dropped
            | FileDifference::Edited => blocked.push(Blocked::Foreign(path.clone())),
        }
    }
    let action = match (blocked.is_empty(), missing.is_empty()) {
        (false, _) => None,
        (true, true) => Some(Action::Adopt),
        (true, false) => Some(Action::Create(missing)),
    };
    SlotPlan { action, blocked }
}

/// A slot of kinfra's own gets back what it lost; whatever should change stays as it is.
fn keep_or_restore(fields: &[FieldChange], files: &BTreeMap<RelPath, FileDifference>) -> SlotPlan {
    let mut lost = Vec::new();
    let mut blocked: Vec<Blocked> = fields.iter().cloned().map(Blocked::Field).collect();
    for (path, difference) in files {
        let path = path.clone();
        match difference {
            FileDifference::Same => {}
            FileDifference::Lost => lost.push(path),
            FileDifference::Absent => blocked.push(Blocked::Absent(path)),
            FileDifference::Outdated => blocked.push(Blocked::Outdated(path)),
            FileDifference::WrongMode(mode) => blocked.push(Blocked::WrongMode(path, *mode)),
            FileDifference::Dropped => blocked.push(Blocked::Dropped(path)),
            FileDifference::Edited => blocked.push(Blocked::Edited(path)),
            FileDifference::Blocked(obstacle) => blocked.push(Blocked::Obstructed(Some(path), *obstacle)),
        }
    }
    let action = (!lost.is_empty()).then_some(Action::Restore(lost));
    SlotPlan { action, blocked }
}

/// Blocks each action whose port an entry that stays still holds. Says whether it blocked one: its own entry, if it has
/// one, then stays as well.
fn block_taken_ports(plan: &mut Plan, pool: &Pool, observed: &Observed) -> bool {
    let registers = |plan: &SlotPlan| plan.action.as_ref().is_some_and(Action::registers);
    let mut held = BTreeMap::new();
    for (&slot, entry) in &observed.registry.slots {
        if !plan.slots.get(&slot).is_some_and(registers) {
            held.extend(entry.provisioned.ports.values().map(|port| (*port, slot)));
        }
    }
    let mut taken = Vec::new();
    for (&slot, wanted) in &pool.slots {
        let conflict = wanted.ports.iter().find_map(|(name, port)| Some((name, port, *held.get(port)?)));
        if let Some((name, port, holder)) = conflict
            && plan.slots.get(&slot).is_some_and(registers)
        {
            let flags = plan.slots.get(&holder).and_then(SlotPlan::flags);
            taken.push((slot, Blocked::PortTaken { name: name.clone(), port: *port, holder, flags }));
        }
    }
    let any = !taken.is_empty();
    for (slot, blocked) in taken {
        plan.slots.insert(slot, SlotPlan { action: None, blocked: vec![blocked] });
    }
    any
}
