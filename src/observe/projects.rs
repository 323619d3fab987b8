//! The slot under the name of whose Compose project something is: one look-up for each thing, however many
//! slots there are. Pure.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::registry::Registry;
use crate::slot::SlotId;
use crate::thing::Thing;

/// Compose projects, each with its slot.
#[derive(Debug, Clone, Default)]
pub struct Projects<'a>(HashMap<Cow<'a, str>, SlotId>);

impl<'a> Projects<'a> {
    /// Of two slots with one project, the smaller one counts.
    pub fn new<N: Into<Cow<'a, str>>>(projects: impl IntoIterator<Item = (SlotId, N)>) -> Self {
        let mut slots = HashMap::new();
        for (slot, project) in projects {
            let first = slots.entry(project.into()).or_insert(slot);
            *first = slot.min(*first);
        }
        Self(slots)
    }

    /// The projects that slots were last started as.
    pub fn started(registry: &'a Registry) -> Self {
        let slots = registry.slots.iter();
        Self::new(slots.filter_map(|(slot, entry)| Some((*slot, entry.started.as_ref()?.project.as_str()))))
    }

    /// The slot under the name of whose project something is.
    pub fn slot(&self, thing: &Thing) -> Option<SlotId> {
        thing.projects().filter_map(|project| self.0.get(project).copied()).min()
    }
}
