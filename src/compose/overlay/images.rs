//! Images that services build: each slot has its own tag of them, wherever they are used.

use std::collections::BTreeMap;

use super::slot::Slot;
use super::slug::slug;
use super::yaml::Node;
use crate::compose::model::{Build, Model, Service};
use crate::compose::resource::{Resource, full_image};
use crate::names::project;

/// The images that the services of a model build.
pub(super) struct Images {
    /// The slot's tags, by the full name of the image.
    tags: BTreeMap<String, String>,
    /// The full names of those that slots may use together.
    shared: Vec<String>,
    /// The name that Compose gives the image of a service that names none, without the service.
    unnamed: String,
}

impl Images {
    /// The slot's tags for what the services of a model build. One image has one tag, whatever the number of
    /// services that build it: the first of them gives it its name.
    pub(super) fn of(model: &Model, slot: &Slot<'_>) -> Self {
        let compose = slot.spec.compose.iter();
        let shared = compose.flat_map(|compose| &compose.shared).filter_map(|resource| match resource {
            Resource::Image(name) => Some(full_image(name)),
            Resource::Volume(_) | Resource::Network(_) | Resource::Mount(_) | Resource::Device(_) => None,
        });
        let mut images =
            Self { tags: BTreeMap::new(), shared: shared.collect(), unnamed: format!("{}-", model.name) };
        let built = model.built_images();
        // Names go before further tags: what a service is called by decides.
        for (service, image) in &built {
            images.add(image, service, slot);
        }
        for service in built.keys() {
            let build = model.services.get(*service).and_then(|service| service.build.as_ref());
            for tag in build.iter().flat_map(|build| &build.tags) {
                images.add(tag, service, slot);
            }
        }
        images
    }

    fn add(&mut self, image: &str, service: &str, slot: &Slot<'_>) {
        let image = full_image(image);
        if !self.shared.contains(&image) {
            let tag = || format!("{}-{}:{}", project(slot.pool, slot.id), slug(service, '-'), slot.tag);
            self.tags.entry(image).or_insert_with(tag);
        }
    }

    /// The slot's tag of the image that a service builds or runs, if some service builds it.
    pub(super) fn tag(&self, name: &str, service: &Service) -> Option<&str> {
        let own = || service.build.as_ref().map(|_| format!("{}{name}", self.unnamed));
        let image = service.image.clone().or_else(own)?;
        self.tags.get(&full_image(&image)).map(String::as_str)
    }

    /// What the further names of a built image become: those that are shared stay.
    pub(super) fn further_names(&self, build: &Build) -> Option<Node> {
        let (shared, own): (Vec<&String>, Vec<&String>) =
            build.tags.iter().partition(|tag| self.shared.contains(&full_image(tag)));
        match (own.is_empty(), shared.is_empty()) {
            (true, _) => None,
            (false, true) => Some(Node::Reset),
            (false, false) => Some(Node::List(shared.into_iter().map(Node::text).collect()).overriding()),
        }
    }

    /// What of a build still names an image that is built under the slot's tag.
    pub(super) fn not_moved(&self, name: &str, build: &Build) -> Vec<String> {
        let image = |context: &String| context.strip_prefix("docker-image://").map(str::to_owned);
        let contexts = build.additional_contexts.iter().filter_map(|(key, value)| Some((key, image(value)?)));
        let moved = contexts.filter(|(_, image)| self.tags.contains_key(&full_image(image)));
        let note = |(key, image)| {
            format!(
                "`{name}` is built from the image `{image}` (additional context `{key}`), which is not moved to the slot"
            )
        };
        moved.map(note).collect()
    }
}
