//! Variables that both kinfra and the project use.

use std::collections::BTreeSet;

use crate::names::{ENV_FILE, KINFRA_SLOT, KINFRA_SLOT_DIR, SLOT_ID, port_variable, workers_variable};
use crate::spec::Spec;
use crate::stack::compose_files::inputs::Inputs;

/// The variables of the built-in env file that the project's files use, too: a slot's value would win. A
/// template for the env file sets what it likes.
pub(in crate::stack) fn clashes(spec: &Spec, inputs: &Inputs) -> Vec<String> {
    if spec.files.iter().any(|file| file.path.get_ref().as_str() == ENV_FILE) {
        return Vec::new();
    }
    let ports = spec.ports.iter().map(|(name, _)| port_variable(&spec.env_prefix, name.as_str()));
    let kinds = spec.profiles.iter().flat_map(|profile| profile.workers.keys());
    let workers = kinds.map(|kind| workers_variable(&spec.env_prefix, kind.as_str()));
    let own = [SLOT_ID, KINFRA_SLOT, KINFRA_SLOT_DIR].map(str::to_owned);
    let own: BTreeSet<String> = own.into_iter().chain(ports).chain(workers).collect();
    inputs.variables().filter(|name| own.contains(*name)).map(str::to_owned).collect()
}
