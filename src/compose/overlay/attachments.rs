//! A service on its networks: its addresses are free ones, and the name of its container stays a host name.

use super::slot::Slot;
use super::storage;
use super::yaml::Node;
use crate::compose::model::{Attachment, Model, Service};

/// The service's `networks`, as far as they differ from the project's.
pub(super) fn of(name: &str, service: &Service, model: &Model, slot: &Slot<'_>) -> Option<Node> {
    // The name of the service is a host name anyway.
    let alias = service.container_name.as_ref().filter(|container| *container != name);
    let networks = service.networks.iter().filter_map(|(key, attachment)| {
        let mut entries = fixed(attachment);
        // In a network that others use too, the name is the main stack's.
        let is_own = || {
            let network = model.networks.get(key);
            network.is_some_and(|network| storage::is_own_network(key, network, slot))
        };
        let missing = alias.filter(|alias| !attachment.aliases.contains(alias) && is_own());
        entries.extend(missing.map(|alias| ("aliases", Node::List(vec![Node::text(alias)]))));
        (!entries.is_empty()).then(|| (key.clone(), Node::map(entries)))
    });
    let networks: Vec<(String, Node)> = networks.collect();
    (!networks.is_empty()).then_some(Node::Map(networks))
}

/// The fixed addresses of a service on a network, taken away.
fn fixed(attachment: &Attachment) -> Vec<(&'static str, Node)> {
    let addresses = [
        ("ipv4_address", &attachment.ipv4_address),
        ("ipv6_address", &attachment.ipv6_address),
        ("mac_address", &attachment.mac_address),
    ];
    let fixed = addresses.into_iter().filter(|(_, address)| address.is_some());
    fixed.map(|(key, _)| (key, Node::Reset)).collect()
}
