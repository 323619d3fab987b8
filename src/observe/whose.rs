//! Which slots something on the engine belongs to, by its labels.

use std::collections::{BTreeMap, BTreeSet};

use camino::Utf8Path;

use crate::desired::Pool;
use crate::host::fs::real;
use crate::host::labelled::Labels;
use crate::names::slot_of_project;
use crate::registry::Registry;
use crate::slot::SlotId;

/// A pool's slots, as labels name them.
pub struct Whose<'a> {
    name: &'a str,
    root: &'a Utf8Path,
    /// The registry's id, as its label has it.
    id: Option<String>,
    /// The slots by the projects that their stacks were started as.
    recorded: BTreeMap<&'a str, SlotId>,
}

impl<'a> Whose<'a> {
    /// The slots of a pool and its registry.
    pub fn new(pool: &'a Pool, registry: &'a Registry) -> Self {
        let started =
            registry.slots.iter().filter_map(|(slot, entry)| Some((*slot, entry.started.as_ref()?)));
        Self {
            name: &pool.name,
            root: &pool.root,
            id: registry.id.map(|id| id.to_string()),
            recorded: started.map(|(slot, started)| (started.project.as_str(), slot)).collect(),
        }
    }

    /// The slots that may be using something: it was started in the slot's directory, or kinfra's labels name
    /// the slot, or it has the name of the slot's project and no label of another registry.
    pub fn users(&self, labels: &Labels) -> BTreeSet<SlotId> {
        let Labels { project, working_dir, id, root, slot: _ } = labels;
        let is_foreign = match &self.id {
            Some(own) => !id.is_empty() && id != own,
            // A registry without its id cannot tell.
            None => false,
        };
        let is_ours = !id.is_empty() && self.id.as_ref().map_or(root == self.root, |own| own == id);
        let by_directory = self.slot_of_directory(Utf8Path::new(working_dir));
        let by_label = labelled_slot(labels).filter(|_| is_ours);
        let named = [self.recorded.get(project.as_str()).copied(), slot_of_project(self.name, project)];
        let by_name = named.into_iter().flatten().filter(|_| !is_foreign);
        by_directory.into_iter().chain(by_label).chain(by_name).collect()
    }

    /// The slot whose own something is beyond doubt, so that it may be removed: kinfra's labels name the
    /// slot, or there are none and a start of the slot's stack was recorded under the name of its project.
    pub fn owner(&self, labels: &Labels) -> Option<SlotId> {
        if labels.id.is_empty() {
            return self.recorded.get(labels.project.as_str()).copied();
        }
        labelled_slot(labels).filter(|_| self.id.as_ref() == Some(&labels.id))
    }

    /// The slot in whose directory, or below it, a directory is.
    fn slot_of_directory(&self, dir: &Utf8Path) -> Option<SlotId> {
        let below = |dir: &Utf8Path| {
            let name = dir.strip_prefix(self.root).ok()?.components().next()?;
            SlotId::of_directory(name.as_str())
        };
        // Compose names the directory as its shell did, through links.
        dir.is_absolute().then(|| below(dir).or_else(|| below(&real(dir))))?
    }
}

/// The slot that kinfra's label names.
fn labelled_slot(labels: &Labels) -> Option<SlotId> {
    labels.slot.parse().ok().and_then(SlotId::new)
}
