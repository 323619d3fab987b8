//! The free slots that a request was looked at for, and what is wrong with each.

use std::collections::BTreeMap;

use anyhow::Result;

use super::fitness::Unfit;
use super::pick::{Fitness, Wanted};
use crate::host::root::Root;
use crate::ledger::{Ledger, Transaction};
use crate::registry::{ClaimId, Entry};
use crate::slot::SlotId;

/// The free slots that were looked at.
#[derive(Default)]
pub(super) struct Looked(BTreeMap<SlotId, Look>);

/// A look at a free slot.
pub(super) struct Look {
    /// What its entry said then.
    entry: Entry,
    /// What is wrong with it.
    pub(super) unfit: Option<Unfit>,
}

/// Where a free slot is looked at: in a root, and under its lock if a transaction has that.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) root: &'a Root,
    transaction: Option<&'a Transaction>,
}

impl<'a> Place<'a> {
    pub(super) fn of(root: &'a Root) -> Self {
        Self { root, transaction: None }
    }

    pub(super) fn under(transaction: &'a Transaction) -> Self {
        Self { root: transaction.locked().root(), transaction: Some(transaction) }
    }

    /// Whether a claim ended, as far as a server knows. Under the lock it is asked on the connection that has
    /// the lock: another one may have to wait for one that waits for the lock.
    pub(super) fn has_ended(self, claim: ClaimId, ledger: &Ledger) -> Result<bool> {
        match self.transaction {
            Some(transaction) => transaction.has_ended(claim),
            None => ledger.has_ended(claim),
        }
    }
}

impl Looked {
    /// Notes what is wrong with a slot.
    pub(super) fn note(&mut self, slot: SlotId, entry: &Entry, unfit: Option<Unfit>) {
        self.0.insert(slot, Look { entry: entry.clone(), unfit });
    }

    /// The look at a slot; `None` where its entry changed since.
    pub(super) fn of(&self, slot: SlotId, entry: &Entry) -> Option<&Look> {
        let is_same = |then: &Entry| {
            let Entry { provisioned, pending, started, claim: _, status: _, peak_memory: _, unknown: _ } =
                then;
            (provisioned, pending, started) == (&entry.provisioned, &entry.pending, &entry.started)
        };
        self.0.get(&slot).filter(|look| is_same(&look.entry))
    }

    /// Whether a slot was looked at and a request takes it.
    pub(super) fn accepts(&self, slot: SlotId, entry: &Entry, wanted: &Wanted) -> bool {
        self.fitness(slot, entry, wanted) == Fitness::Fit
    }

    pub(super) fn fitness(&self, slot: SlotId, entry: &Entry, wanted: &Wanted) -> Fitness {
        match self.of(slot, entry).map(|look| &look.unfit) {
            None => Fitness::Unknown,
            Some(None) => Fitness::Fit,
            Some(Some(unfit)) if unfit.is_accepted_by(slot, wanted) => Fitness::Fit,
            Some(Some(_)) => Fitness::Unfit,
        }
    }

    /// The slots that are not fit for use.
    pub(super) fn unfit(self) -> BTreeMap<SlotId, Unfit> {
        self.0.into_iter().filter_map(|(slot, look)| Some((slot, look.unfit?))).collect()
    }
}
