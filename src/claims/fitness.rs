//! Which free slots are fit for use, for whoever claims one. Each is looked at once.

use std::cell::RefCell;
use std::collections::BTreeMap;

use anyhow::{Error, Result};

use crate::claims::files;
use crate::claims::lease::Wish;
use crate::file::RelPath;
use crate::host::root::Root;
use crate::observe::{Unfit, unfit};
use crate::registry::{Entry, Registry};
use crate::slot::SlotId;

/// What was seen of the slots of a pool.
pub(crate) struct Fitness<'a> {
    root: &'a Root,
    registry: &'a Registry,
    /// The files that a claim would write into a slot's directory.
    claim_files: Vec<&'a RelPath>,
    seen: RefCell<BTreeMap<SlotId, Option<Unfit>>>,
    /// What kept a slot from being looked at.
    trouble: RefCell<Option<Error>>,
}

impl<'a> Fitness<'a> {
    pub(crate) fn new(root: &'a Root, registry: &'a Registry, claim_files: Vec<&'a RelPath>) -> Self {
        let (seen, trouble) = (RefCell::default(), RefCell::default());
        Self { root, registry, claim_files, seen, trouble }
    }

    /// What keeps a slot from being used, if anything does.
    pub(crate) fn unfit(&self, slot: SlotId) -> Option<Unfit> {
        let look = || match self.registry.slots.get(&slot) {
            Some(entry) => self.look(slot, entry),
            None => Ok(None),
        };
        let mut seen = self.seen.borrow_mut();
        let seen = seen
            .entry(slot)
            .or_insert_with(|| look().unwrap_or_else(|error| self.trouble.replace(Some(error)).and(None)));
        seen.clone()
    }

    fn look(&self, slot: SlotId, entry: &Entry) -> Result<Option<Unfit>> {
        if let Some(unfit) = unfit(self.root, slot, entry)? {
            return Ok(Some(unfit));
        }
        let path = files::obstructed(self.root, slot, self.claim_files.iter().copied())?;
        Ok(path.map(Unfit::Obstructed))
    }

    /// Whether a slot is fit for whoever has this wish: whoever names a slot may have edited it.
    pub(crate) fn is_fit(&self, slot: SlotId, wish: &Wish) -> bool {
        match self.unfit(slot) {
            None => true,
            Some(Unfit::Edited(_)) => *wish == Wish::Slot(slot),
            Some(
                Unfit::Unfinished
                | Unfit::Foreign
                | Unfit::Lacks(_)
                | Unfit::Busy { .. }
                | Unfit::Obstructed(_),
            ) => false,
        }
    }

    /// Fails if a slot could not be looked at: that says nothing about the slot.
    pub(crate) fn check(&self) -> Result<()> {
        self.trouble.take().map_or(Ok(()), Err)
    }

    /// What is wrong with the slots that were looked at.
    pub(crate) fn passed_over(self) -> BTreeMap<SlotId, Unfit> {
        self.seen.into_inner().into_iter().filter_map(|(slot, unfit)| Some((slot, unfit?))).collect()
    }
}
