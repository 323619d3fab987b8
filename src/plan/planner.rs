//! Decides about every slot, then about the ports that slots take from each other.

use std::collections::{BTreeMap, BTreeSet};

use super::action::Action;
use super::blocked::Blocked;
use super::options::Options;
use super::planned::{Plan, SlotPlan};
use super::policy;
use crate::desired::Pool;
use crate::diff::Difference;
use crate::observe::Observed;
use crate::slot::SlotId;

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
