//! The slot that an overlay is for.

use std::collections::BTreeMap;

use camino::Utf8Path;

use super::yaml::Node;
use crate::address_block::AddressBlock;
use crate::compose::resource::{PerSlot, Resource};
use crate::identifier::PortName;
use crate::names::{ID_LABEL, ROOT_LABEL, SLOT_LABEL};
use crate::port::Port;
use crate::slot::{SlotId, Workers};
use crate::spec::Spec;

/// The slot that an overlay is for.
#[derive(Debug, Clone, Copy)]
pub struct Slot<'a> {
    /// Its pool's name.
    pub pool: &'a str,
    /// Its id.
    pub id: SlotId,
    /// The tag of the images that the slot builds. Compose builds no image again whose tag there is: with the
    /// same tag, the next holder of the slot would run what the former one built.
    pub tag: &'a str,
    /// The random id of the registry that owns the slot.
    pub registry: &'a str,
    /// The pool's root.
    pub root: &'a Utf8Path,
    /// The worktree that holds the slot.
    pub worktree: &'a Utf8Path,
    /// Its ports, by name.
    pub ports: &'a BTreeMap<PortName, Port>,
    /// The pool's declaration: what its ports publish, and `[compose]`.
    pub spec: &'a Spec,
    /// How many containers its services have, by service.
    pub workers: &'a Workers,
    /// Further values of services' environments, by service; rendered.
    pub environment: &'a BTreeMap<String, BTreeMap<String, String>>,
    /// The block of addresses that its networks have parts of. Without it, Docker chooses.
    pub subnet: Option<AddressBlock>,
}

impl Slot<'_> {
    /// The labels of everything that the slot's stack makes.
    pub(super) fn labels(&self) -> Node {
        Node::map([
            (ID_LABEL, Node::text(self.registry)),
            ("kinfra.pool", Node::text(self.pool)),
            (ROOT_LABEL, Node::text(self.root.as_str())),
            (SLOT_LABEL, Node::text(self.id.to_string())),
        ])
    }

    /// Whether slots may use this together.
    pub(super) fn shares(&self, resource: &Resource) -> bool {
        self.spec.compose.as_ref().is_some_and(|compose| compose.shared.contains(resource))
    }

    /// What the slot has its own of, in place of this.
    pub(super) fn own(&self, resource: &Resource) -> Option<&PerSlot> {
        self.spec.compose.as_ref()?.per_slot.get(resource)
    }
}
