//! The plan: its slots in their order. Decides about every slot, then about the ports that slots take from
//! each other.

use std::collections::{BTreeMap, BTreeSet};

use super::action::Action;
use super::blocked::Blocked;
use super::options::{Flag, Options};
use super::policy;
use super::slot_plan::SlotPlan;
use serde::{Deserialize, Serialize};

use crate::desired::Pool;
use crate::diff::Difference;
use crate::observe::{ImportState, Observed};
use crate::slot::SlotId;

/// The work on a pool, slot by slot in numeric order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The state of an old tool's registry, if it needs attention. A pending one is taken over.
    pub import: Option<ImportState>,
    /// Every slot that the spec or the registry names and the options select. One that is right has an empty
    /// plan.
    pub slots: BTreeMap<SlotId, SlotPlan>,
    /// The slots whose action only completes an earlier apply. That was approved then.
    pub begun: BTreeSet<SlotId>,
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
    block_taken_ports(&mut plan, pool, observed);
    plan
}

impl Plan {
    /// The actions, in slot order.
    pub fn actions(&self) -> impl Iterator<Item = (SlotId, &Action)> {
        self.slots.iter().filter_map(|(&slot, plan)| Some((slot, plan.action.as_ref()?)))
    }

    /// Whether an action changes or removes something that exists. Docker is asked first then.
    pub fn changes_what_is_there(&self) -> bool {
        self.actions().any(|(_, action)| action.changes_what_is_there())
    }

    /// Whether such an action does more than complete what was approved before.
    pub fn needs_approval(&self) -> bool {
        self.actions().any(|(slot, action)| action.changes_what_is_there() && !self.begun.contains(&slot))
    }

    /// Whether there is anything to do.
    pub fn has_work(&self) -> bool {
        self.takes_over() || self.actions().next().is_some()
    }

    /// Whether the plan takes over an old tool's registry.
    pub fn takes_over(&self) -> bool {
        matches!(self.import, Some(ImportState::Pending { .. }))
    }

    /// Whether a difference stays.
    pub fn is_blocked(&self) -> bool {
        self.slots.values().any(|slot| !slot.blocked.is_empty())
    }

    /// Whether all that was asked for is blocked.
    pub fn is_refused(&self, allowed: &BTreeSet<Flag>) -> bool {
        let mut blocked = self.slots.values().flat_map(|slot| &slot.blocked);
        !self.has_work() && blocked.any(|blocked| blocked.is_asked_for(allowed))
    }

    /// Whether the pool is as the spec says: nothing to do, nothing blocked.
    pub fn is_empty(&self) -> bool {
        !self.has_work() && !self.is_blocked()
    }

    /// Whether this plan does only what `shown` announced, and leaves out only what is done by now.
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

    /// What remains when these slots fail. Their entries stay, which blocks every slot that would take a port
    /// of theirs.
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
        block_taken_ports(&mut rest, pool, observed);
        rest
    }
}

/// Blocks each action whose port stays with another entry. A blocked slot keeps its own entry, which can
/// block others.
fn block_taken_ports(plan: &mut Plan, pool: &Pool, observed: &Observed) {
    loop {
        let taken = taken_ports(plan, pool, observed);
        if taken.is_empty() {
            return;
        }
        for (slot, blocked) in taken {
            plan.slots.insert(slot, SlotPlan { action: None, blocked: vec![blocked] });
        }
    }
}

/// The slots whose action would take a port that stays with another entry.
fn taken_ports(plan: &Plan, pool: &Pool, observed: &Observed) -> Vec<(SlotId, Blocked)> {
    let frees = |plan: &SlotPlan| plan.action.as_ref().is_some_and(Action::frees_ports);
    let mut held = BTreeMap::new();
    for (&slot, entry) in &observed.registry.slots {
        if !plan.slots.get(&slot).is_some_and(frees) {
            held.extend(entry.provisioned.host_ports().map(|(_, port)| (port, slot)));
        }
    }
    let taken = pool.slots.iter().filter_map(|(&slot, wanted)| {
        let action = plan.slots.get(&slot)?.action.as_ref().filter(|action| action.takes_ports())?;
        let conflict =
            wanted.host_ports().find_map(|(name, port)| Some((name, port.port, *held.get(&port)?)));
        let (name, port, holder) = conflict?;
        let flags = plan.slots.get(&holder).and_then(SlotPlan::flags);
        Some((slot, Blocked::PortTaken { name: name.clone(), port, holder, flags, kind: action.kind() }))
    });
    taken.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;
    use crate::file::RelPath;

    /// A plan for slot 1.
    fn of(takes_over: bool, action: Option<&Action>, blocked: &[Blocked]) -> Plan {
        let import = takes_over.then(|| ImportState::Pending {
            path: "/old/instances.json".into(),
            sha256: Digest::of(b""),
            slots: 1,
            claimed: 0,
            outside: Box::default(),
        });
        let slot = SlotId::parse_list("1").expect("a slot").into_iter();
        let slots = slot.map(|slot| (slot, SlotPlan { action: action.cloned(), blocked: blocked.to_vec() }));
        Plan { import, slots: slots.collect(), begun: BTreeSet::new() }
    }

    #[test]
    fn a_plan_is_within_what_was_shown_if_it_does_no_more() {
        let (create, adopt) = (Action::Create(vec![]), Action::Adopt);
        let (held, containers) = ([Blocked::Held("/w".to_owned())], [Blocked::Containers]);
        let empty = Plan { import: None, slots: BTreeMap::new(), begun: BTreeSet::new() };
        for (name, now, shown, is_within) in [
            ("the same", of(true, Some(&adopt), &[]), of(true, Some(&adopt), &[]), true),
            ("an import that was shown is done", of(false, None, &[]), of(true, None, &[]), true),
            ("an import that was not shown", of(true, None, &[]), of(false, None, &[]), false),
            ("an action that was shown is done", of(false, None, &[]), of(false, Some(&create), &[]), true),
            ("another action", of(false, Some(&create), &[]), of(false, Some(&adopt), &[]), false),
            ("an action that was not shown", of(false, Some(&create), &[]), empty.clone(), false),
            ("blocked since", of(false, None, &held), of(false, Some(&create), &[]), false),
            ("blocked as shown", of(false, None, &held), of(false, None, &held), true),
            ("blocked as shown, and done", of(false, None, &held), of(false, Some(&create), &held), true),
            ("not blocked any more", of(false, None, &[]), of(false, None, &containers), true),
            ("blocked in a slot that was not shown", of(false, None, &held), empty, true),
        ] {
            assert_eq!(now.is_within(&shown), is_within, "{name}");
        }
    }

    #[test]
    fn a_plan_says_what_there_is_to_do_and_to_approve() {
        let (create, adopt) = (Action::Create(vec![]), Action::Adopt);
        let update = Action::Update { fields: Vec::new(), files: BTreeMap::new() };
        let remove = Action::Remove { files: Vec::new(), stays: Vec::new() };
        let edited = [Blocked::Edited(RelPath::new("a").expect("a path"))];
        let held = [Blocked::Held("/w".to_owned())];
        let begun = Plan { begun: SlotId::parse_list("1").expect("a slot"), ..of(false, Some(&update), &[]) };
        // Whether it has work, changes what is there, needs approval, is blocked, is refused, is empty.
        let what = |plan: &Plan, allowed: &[Flag]| {
            let is_refused = plan.is_refused(&allowed.iter().copied().collect());
            let work = [plan.has_work(), plan.changes_what_is_there(), plan.needs_approval()];
            (work, [plan.is_blocked(), is_refused, plan.is_empty()])
        };
        let none = [false; 3];
        for (name, plan, allowed, expected) in [
            ("nothing", of(false, None, &[]), &[][..], (none, [false, false, true])),
            ("an import", of(true, None, &[]), &[], ([true, false, false], none)),
            ("a new slot", of(false, Some(&create), &[]), &[], ([true, false, false], none)),
            ("an adopted one", of(false, Some(&adopt), &[]), &[], ([true, false, false], none)),
            ("a change", of(false, Some(&update), &[]), &[], ([true, true, true], none)),
            ("a removal", of(false, Some(&remove), &[]), &[], ([true, true, true], none)),
            ("a change that was begun", begun, &[], ([true, true, false], none)),
            ("blocked", of(false, None, &edited), &[], (none, [true, false, false])),
            ("asked for", of(false, None, &edited), &[Flag::Overwrite], (none, [true, true, false])),
            ("not asked for", of(false, None, &held), &[Flag::Overwrite], (none, [true, false, false])),
            (
                "asked for, beside other work",
                of(true, None, &edited),
                &[Flag::Overwrite],
                ([true, false, false], [true, false, false]),
            ),
        ] {
            assert_eq!(what(&plan, allowed), expected, "{name}");
        }
    }
}
