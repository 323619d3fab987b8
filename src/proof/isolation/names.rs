//! The names that the engine has for what Compose files name.

use crate::compose::model::{Model, Service};

/// Networks that the engine itself has. None of them answers to the names of services.
const OF_THE_ENGINE: [&str; 3] = ["bridge", "host", "none"];

/// Whether the engine itself has a network.
pub(super) fn is_of_the_engine(network: &str) -> bool {
    OF_THE_ENGINE.contains(&network)
}

/// The name on the engine of a volume or network, and whether it is the same for each project.
pub(super) fn engine_name(project: &str, key: &str, name: Option<&str>, external: bool) -> (String, bool) {
    let own = format!("{project}_{key}");
    let named = name.or(external.then_some(key));
    let fixed = external || named.is_some_and(|name| name != own);
    (named.map_or(own, str::to_owned), fixed)
}

/// The name of a network on the engine, and whether it is the same for each project.
pub(super) fn network_name(model: &Model, key: &str) -> (String, bool) {
    let network = model.networks.get(key);
    let external = network.is_some_and(|network| network.external);
    engine_name(&model.name, key, network.and_then(|network| network.name.as_deref()), external)
}

/// Whether a service is on the machine's own network.
pub(super) fn is_on_host_network(model: &Model, service: &Service) -> bool {
    let named = service.networks.keys().any(|key| network_name(model, key).0 == "host");
    named || service.network_mode.as_deref() == Some("host")
}
