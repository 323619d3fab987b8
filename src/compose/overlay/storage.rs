//! Volumes and networks: each slot has its own, except of what is shared.

use super::slot::Slot;
use super::yaml::Node;
use crate::compose::model::{Network, Volume};
use crate::compose::resource::{PerSlot, Resource};

/// The option of a network that names its interface on the machine.
const BRIDGE: &str = "com.docker.network.bridge.name";

/// What the slot says of a volume. `None` if it is external and stays so.
pub(super) fn volume(key: &str, volume: &Volume, slot: &Slot<'_>) -> Option<Node> {
    let name = volume.name.as_deref().unwrap_or(key);
    let resource = Resource::Volume(name.to_owned());
    let mut entries = match standing(volume.external, name, &resource, slot) {
        Standing::Stays => return None,
        Standing::Shared(node) => return Some(node),
        Standing::Own(entries) => entries,
    };
    if let Some(options) = device(volume, slot) {
        entries.push(("driver_opts", options));
    }
    entries.push(("labels", slot.labels()));
    Some(Node::map(entries))
}

/// What the options of a volume with a device become. `None` if they stay.
fn device(volume: &Volume, slot: &Slot<'_>) -> Option<Node> {
    let device = volume.device()?;
    let resource = Resource::Device(device.into());
    if slot.shares(&resource) {
        return None;
    }
    Some(match slot.own(&resource) {
        Some(PerSlot::Worktree(dir)) => {
            let dir = slot.worktree.join(dir);
            let options = [("type", "none"), ("o", "bind"), ("device", dir.as_str())];
            Node::map(options.map(|(key, value)| (key, Node::text(value)))).overriding()
        }
        Some(PerSlot::Volume | PerSlot::Own) | None => Node::Reset,
    })
}

/// What the slot says of a network. `None` if it is external and stays so.
pub(super) fn network(key: &str, network: &Network, slot: &Slot<'_>) -> Option<Node> {
    let name = network.name.as_deref().unwrap_or(key);
    let resource = Resource::Network(name.to_owned());
    let mut entries = match standing(network.external, name, &resource, slot) {
        Standing::Stays => return None,
        Standing::Shared(node) => return Some(node),
        Standing::Own(entries) => entries,
    };
    if !network.ipam.config.is_empty() {
        entries.push(("ipam", Node::Reset));
    }
    if network.driver_opts.contains_key(BRIDGE) {
        entries.push(("driver_opts", Node::map([(BRIDGE, Node::Reset)])));
    }
    entries.push(("labels", slot.labels()));
    Some(Node::map(entries))
}

/// Whose a volume or network is.
enum Standing {
    /// It is external, and the slot says nothing of it.
    Stays,
    /// Slots use it together.
    Shared(Node),
    /// It is the slot's own. Holds what makes it so.
    Own(Vec<(&'static str, Node)>),
}

fn standing(external: bool, name: &str, resource: &Resource, slot: &Slot<'_>) -> Standing {
    if slot.shares(resource) {
        let external = [("external", Node::True), ("name", Node::text(name))];
        return Standing::Shared(Node::map(external).overriding());
    }
    match (external, slot.own(resource)) {
        (true, Some(PerSlot::Own)) => Standing::Own(vec![("external", Node::Reset), ("name", Node::Reset)]),
        (true, Some(PerSlot::Volume | PerSlot::Worktree(_)) | None) => Standing::Stays,
        // A name may be fixed and look like the one that Compose would give, so it always goes.
        (false, _) => Standing::Own(vec![("name", Node::Reset)]),
    }
}
