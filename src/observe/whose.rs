//! Whose something on an engine is, by its labels. The one rule of it: for what a slot uses, for what is
//! removed with it, and for what stands in the way of its start.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use camino::Utf8Path;

use super::projects::Projects;
use crate::host::fs::{is_directory, real};
use crate::names::slot_of_project;
use crate::registry::{Entry, Holder, Registry, RegistryId};
use crate::slot::SlotId;
use crate::thing::{Kind, Labels, Thing};

/// A pool's slots, as labels name them.
#[derive(Debug, Clone)]
pub struct Whose<'a> {
    root: &'a Utf8Path,
    registry: &'a Registry,
    /// What their stacks were started as.
    started: Arc<Projects<'a>>,
    id: Option<RegistryId>,
    /// Whether only what has kinfra's labels is a slot's own.
    needs_labels: bool,
}

/// What there is of a slot's stack.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Parted {
    /// The slot's own.
    pub own: Vec<Thing>,
    /// What has the name of its project, and is another's.
    pub others: Vec<Thing>,
}

impl Parted {
    /// What does not say whose it is goes with the containers of its name: if they are another's, so is it.
    fn without_doubt(mut self) -> Self {
        let is_labelled = |thing: &Thing| !thing.labels.id.is_empty();
        let is_taken = self.others.iter().any(|thing| thing.kind == Kind::Container && !is_labelled(thing));
        let is_certain = |thing: &Thing| !is_taken || thing.kind == Kind::Container || is_labelled(thing);
        let (own, doubtful): (Vec<Thing>, Vec<Thing>) = self.own.into_iter().partition(is_certain);
        self.others.extend(doubtful);
        Self { own, others: self.others }
    }
}

impl<'a> Whose<'a> {
    /// The slots of a registry in this root. The id is what kinfra's label has; `None` if it has none yet.
    pub fn new(root: &'a Utf8Path, registry: &'a Registry, id: Option<RegistryId>) -> Self {
        let started = Arc::new(Projects::started(registry));
        Self { root, registry, started, id, needs_labels: false }
    }

    /// The same, but nothing without kinfra's labels is a slot's own.
    #[must_use]
    pub fn by_labels_only(self) -> Self {
        Self { needs_labels: true, ..self }
    }

    /// Whether a worktree holds a slot.
    pub fn is_held(&self, slot: SlotId) -> bool {
        self.registry.slots.get(&slot).is_some_and(|entry| entry.claim.is_some())
    }

    /// The slot whose own something is beyond doubt, so that it may be removed. kinfra's labels decide. What
    /// has none is of the slot in whose directory it was started; else of the slot whose stack was started
    /// under its project's name, unless it was started outside of the slot and of its worktree.
    pub fn owner(&self, thing: &Thing) -> Option<SlotId> {
        let labels = &thing.labels;
        let slot = if labels.id.is_empty() && self.needs_labels {
            None
        } else if labels.id.is_empty() {
            self.slot_of_directory(labels).or_else(|| {
                let (slot, entry) = self.recorded(thing)?;
                (labels.working_dir.is_empty() || is_of_holder(labels, entry)).then_some(slot)
            })
        } else {
            labelled_slot(labels).filter(|_| self.is_ours(labels))
        };
        slot.filter(|_| thing.has_own_name())
    }

    /// The slots that may be using something: its own, and those that share the name of its project with it.
    /// A container that was started in another directory than the slot's is another project's.
    pub fn users(&self, thing: &Thing, pool: &str) -> BTreeSet<SlotId> {
        let labels = &thing.labels;
        let by_name = || {
            // A registry without its id cannot tell that a label is another's.
            let is_foreign = !labels.id.is_empty() && self.id.is_some() && !self.is_ours(labels);
            let is_elsewhere = is_directory(Utf8Path::new(&labels.working_dir));
            let slot = self.recorded(thing).map(|(slot, _)| slot);
            let slot = slot.or_else(|| slot_of_project(pool, &labels.project));
            slot.filter(|_| !is_foreign && !is_elsewhere)
        };
        let own = self.owner(thing).or_else(|| labelled_slot(labels).filter(|_| self.is_in_root(labels)));
        let own = [own, self.slot_of_directory(labels)].into_iter().flatten().collect::<BTreeSet<_>>();
        if own.is_empty() { by_name().into_iter().collect() } else { own }
    }

    /// Of these things, those of a slot's stack. A volume or network without kinfra's label does not say who
    /// made it: if a container under the name is another's, so is it.
    pub fn part(&self, slot: SlotId, project: &str, things: Vec<Thing>) -> Parted {
        let is_own = |thing: &Thing| self.owner(thing) == Some(slot);
        let ours = things.into_iter().filter(|thing| is_own(thing) || thing.is_under(project));
        let (own, others) = ours.partition(is_own);
        Parted { own, others }.without_doubt()
    }

    /// Of these things, those of each slot's stack, as [`Self::part`] has them of one. Slots without any are
    /// left out. Each thing is looked at once, however many slots there are.
    pub fn parts(&self, things: &[Thing], project: impl Fn(SlotId) -> String) -> BTreeMap<SlotId, Parted> {
        let mut parts: BTreeMap<SlotId, Parted> = BTreeMap::new();
        let owners: Vec<Option<SlotId>> = things.iter().map(|thing| self.owner(thing)).collect();
        for (thing, owner) in things.iter().zip(&owners) {
            if let Some(owner) = owner {
                parts.entry(*owner).or_default().own.push(thing.clone());
            }
        }
        let projects = Projects::new(parts.keys().map(|slot| (*slot, project(*slot))));
        for (thing, owner) in things.iter().zip(owners) {
            let named = projects.slot(thing).filter(|named| Some(*named) != owner);
            if let Some(part) = named.and_then(|named| parts.get_mut(&named)) {
                part.others.push(thing.clone());
            }
        }
        parts.into_iter().map(|(slot, parted)| (slot, parted.without_doubt())).collect()
    }

    fn is_ours(&self, labels: &Labels) -> bool {
        self.id.is_some_and(|id| id.to_string() == labels.id)
    }

    /// Whether kinfra's labels name this root, for a registry that has lost its id.
    fn is_in_root(&self, labels: &Labels) -> bool {
        self.id.is_none() && !labels.id.is_empty() && labels.root == self.root.as_str()
    }

    /// The slot whose stack was started under the name of something's project.
    fn recorded(&self, thing: &Thing) -> Option<(SlotId, &Entry)> {
        let slot = self.started.slot(thing)?;
        Some((slot, self.registry.slots.get(&slot)?.as_ref()))
    }

    /// The slot in whose directory, or below it, something was started.
    fn slot_of_directory(&self, labels: &Labels) -> Option<SlotId> {
        let dir = Utf8Path::new(&labels.working_dir);
        let below = |dir: &Utf8Path| {
            let name = dir.strip_prefix(self.root).ok()?.components().next()?;
            SlotId::of_directory(name.as_str())
        };
        // Compose names the directory as its shell did, through links.
        dir.is_absolute().then(|| below(dir).or_else(|| below(&real(dir))))?
    }
}

/// Whether something was started in the worktree that holds a slot, or that last held it.
fn is_of_holder(labels: &Labels, entry: &Entry) -> bool {
    let left = entry.started.as_ref().and_then(|started| started.left.as_ref()).map(|left| &left.by);
    let holders = entry.claim.as_ref().map(|claim| &claim.claimed_by).into_iter().chain(left);
    let dir = real(Utf8Path::new(&labels.working_dir));
    holders.filter_map(Holder::directory).any(|holder| dir.starts_with(real(holder)))
}

/// The slot that kinfra's label names.
fn labelled_slot(labels: &Labels) -> Option<SlotId> {
    labels.slot.parse().ok().and_then(SlotId::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    const REGISTRY: &str = r#"{"version": 2, "id": "00000000000000000000000000000001", "slots": {"3": {
        "slot_id": 3, "infrastructure_path": "/pool/slot-3", "profile": "light", "workers": {},
        "ports": {}, "claimed_by": "/src/search", "claimed_at": "2026-03-01T09:22:10+00:00",
        "status": "stopped", "started_at": "2026-03-01T09:23:10+00:00", "started_as": "shop-slot-3"}}}"#;
    const ID: &str = "00000000000000000000000000000001";

    fn thing(kind: Kind, name: &str, project: &str, working_dir: &str, id: &str) -> Thing {
        let slot = if id.is_empty() { "" } else { "3" };
        let [project, working_dir, id, slot] = [project, working_dir, id, slot].map(str::to_owned);
        let labels = Labels { project, working_dir, id, root: String::new(), slot };
        Thing { kind, key: name.to_owned(), name: name.to_owned(), labels, bytes: None }
    }

    fn container(project: &str, working_dir: &str, id: &str) -> Thing {
        thing(Kind::Container, "c", project, working_dir, id)
    }

    fn volume(name: &str, project: &str, id: &str) -> Thing {
        thing(Kind::Volume, name, project, "", id)
    }

    fn of_slot_3(things: &[Thing]) -> (usize, usize) {
        let registry = Registry::parse(REGISTRY).unwrap();
        let whose = Whose::new(Utf8Path::new("/pool"), &registry, registry.id);
        let parted = whose.part(SlotId::new(3).unwrap(), "shop-slot-3", things.to_vec());
        (parted.own.len(), parted.others.len())
    }

    #[test]
    fn a_slot_s_own_is_known_by_labels_directory_and_noted_name() {
        for (thing, expected) in [
            (container("shop-slot-3", "/elsewhere", ID), (1, 0)),
            (container("renamed", "/elsewhere", ID), (1, 0)),
            (container("shop-slot-3", "/src/search", "ff"), (0, 1)),
            (container("shop-slot-3", "/src/search/deploy", ""), (1, 0)),
            (container("shop-slot-3", "", ""), (1, 0)),
            (container("anything", "/pool/slot-3", ""), (1, 0)),
            // An unrelated project of that name.
            (container("shop-slot-3", "/src/other", ""), (0, 1)),
            (container("other", "/src/other", ""), (0, 0)),
            (volume("shop-slot-3_data", "shop-slot-3", ""), (1, 0)),
            // Made by hand, under the name by which Compose would use it.
            (volume("shop-slot-3_data", "", ""), (1, 0)),
            (volume("shop-slot-33_data", "", ""), (0, 0)),
            (volume("shop-slot-3_data", "shop-slot-3", "ff"), (0, 1)),
        ] {
            assert_eq!(of_slot_3(std::slice::from_ref(&thing)), expected, "{thing:?}");
        }
    }

    #[test]
    fn what_does_not_say_whose_it_is_goes_with_the_containers_of_its_name() {
        let theirs = container("shop-slot-3", "/src/other", "");
        let data = volume("shop-slot-3_data", "shop-slot-3", "");
        let labelled = volume("shop-slot-3_pg", "shop-slot-3", ID);
        assert_eq!(of_slot_3(&[theirs, data, labelled]), (1, 2));
    }

    #[test]
    fn an_image_is_the_slot_s_by_its_label_and_its_own_name() {
        for (tag, expected) in [
            ("shop-slot-3-web:one", (1, 0)),
            ("sha256:aa", (1, 0)),
            // A person named it, or made it from a slot's.
            ("shop:dev", (0, 1)),
        ] {
            let image = thing(Kind::Image, tag, "shop-slot-3", "", ID);
            assert_eq!(of_slot_3(&[image]), expected, "{tag}");
        }
    }
}
