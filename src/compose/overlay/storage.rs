//! Volumes and networks: each slot has its own, except of what is shared.

use camino::Utf8Path;

use super::slot::Slot;
use super::yaml::Node;
use crate::address_block::AddressBlock;
use crate::compose::model::{Network, Volume};
use crate::compose::resource::{PerSlot, Resource};

/// The option of a network that names its interface on the machine.
const BRIDGE: &str = "com.docker.network.bridge.name";

/// Drivers that put containers on an interface of the machine, which one network has at a time.
const ON_AN_INTERFACE: [&str; 2] = ["macvlan", "ipvlan"];

/// What the slot says of a volume. `None` if it is external and stays so.
pub(super) fn volume(key: &str, volume: &Volume, is_written: bool, slot: &Slot<'_>) -> Option<Node> {
    let name = volume.name.as_deref().unwrap_or(key);
    let resource = Resource::Volume(name.to_owned());
    let mut entries = match standing(volume.external, name, &resource, slot) {
        Standing::Stays => return None,
        Standing::Shared(node) => return Some(node),
        Standing::Own(entries) => entries,
    };
    // Nothing writes to it: what is behind it can be behind the slot's own volume, too.
    if is_written && volume.plugin().is_some() {
        entries.extend([("driver", Node::Reset), ("driver_opts", Node::Reset)]);
    } else if is_written {
        entries.extend(device(volume, slot).map(|options| ("driver_opts", options)));
    }
    entries.push(("labels", slot.labels()));
    Some(Node::map(entries))
}

/// What the options of a volume with a device become. `None` if they stay.
fn device(volume: &Volume, slot: &Slot<'_>) -> Option<Node> {
    // What lies in the worktree is the slot's own already.
    let device = volume.device().filter(|device| !Utf8Path::new(device).starts_with(slot.worktree))?;
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
pub(super) fn network(
    key: &str,
    network: &Network,
    subnet: Option<AddressBlock>,
    slot: &Slot<'_>,
) -> Option<Node> {
    let mut entries = match of_network(key, network, slot) {
        Standing::Stays => return None,
        Standing::Shared(node) => return Some(node),
        Standing::Own(entries) => entries,
    };
    // Without a subnet of its own, Docker needs a pool of IPv6 addresses, which few machines have.
    if network.fixes_ipv6() {
        entries.push(("enable_ipv6", Node::Reset));
    }
    let is_fixed = !network.ipam.config.is_empty();
    let ipam = subnet.map(|subnet| if is_fixed { ipam(subnet).overriding() } else { ipam(subnet) });
    entries.extend(ipam.or(is_fixed.then_some(Node::Reset)).map(|ipam| ("ipam", ipam)));
    if interface_driver(network).is_some() {
        entries.extend([("driver", Node::Reset), ("driver_opts", Node::Reset)]);
    } else if network.driver_opts.contains_key(BRIDGE) {
        entries.push(("driver_opts", Node::map([(BRIDGE, Node::Reset)])));
    }
    entries.push(("labels", slot.labels()));
    Some(Node::map(entries))
}

/// The addresses of a network.
pub(super) fn ipam(subnet: AddressBlock) -> Node {
    let config = Node::map([("subnet", Node::text(subnet.to_string()))]);
    Node::map([("config", Node::List(vec![config]))])
}

/// What is to be said of a network, beside its names and addresses.
pub(super) fn notes(key: &str, network: &Network, slot: &Slot<'_>) -> Vec<String> {
    if !is_own_network(key, network, slot) {
        return Vec::new();
    }
    let bridge = interface_driver(network).map(|driver| {
        format!(
            "network `{key}` is a bridge in a slot: one `{driver}` has an interface of the machine to itself"
        )
    });
    let ipv4 = network.fixes_ipv6().then(|| {
        format!("network `{key}`: a slot has IPv4 only, because its fixed IPv6 subnet is the main stack's")
    });
    bridge.into_iter().chain(ipv4).collect()
}

/// Whether the slot has a network of its own in place of this.
pub(super) fn is_own_network(key: &str, network: &Network, slot: &Slot<'_>) -> bool {
    matches!(of_network(key, network, slot), Standing::Own(_))
}

fn of_network(key: &str, network: &Network, slot: &Slot<'_>) -> Standing {
    let name = network.name.as_deref().unwrap_or(key);
    standing(network.external, name, &Resource::Network(name.to_owned()), slot)
}

/// The network's driver, if it puts containers on an interface of the machine.
fn interface_driver(network: &Network) -> Option<&str> {
    network.driver.as_deref().filter(|driver| ON_AN_INTERFACE.contains(driver))
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
