//! The subnets of a slot's networks: each has its own part of the slot's block of addresses.

use std::collections::BTreeMap;

use super::slot::Slot;
use super::storage::is_own_network;
use crate::address_block::AddressBlock;
use crate::compose::model::{Model, Network};
use crate::fault::Fault;

/// The parts of a slot's block, by the key of the network.
pub(super) type Subnets<'a> = BTreeMap<&'a str, AddressBlock>;

/// Gives each network that Compose makes for the slot its part, in the order of their names. Without a block,
/// none has one.
///
/// # Errors
/// [`Fault`] if the block is too small.
pub(super) fn of<'a>(model: &'a Model, slot: &Slot<'_>) -> Result<Subnets<'a>, Fault> {
    let Some(block) = slot.subnet else { return Ok(Subnets::new()) };
    let networks = model.networks.iter().filter(|(key, network)| has_part(key, network, slot));
    let names: Vec<&str> = networks.map(|(key, _)| key.as_str()).collect();
    let parts = block.divide(names.len()).map_err(|fault| Fault {
        what: format!("slot {} cannot have the networks `{}`: {}", slot.id, names.join("`, `"), fault.what),
        ..fault
    })?;
    Ok(names.into_iter().zip(parts).collect())
}

/// Whether Compose makes the network for the slot, and its addresses are kinfra's to choose. Those that a
/// pool's template fixes are not.
fn has_part(key: &str, network: &Network, slot: &Slot<'_>) -> bool {
    match slot.spec.compose {
        Some(_) => is_own_network(key, network, slot),
        None => !network.external && network.ipam.config.is_empty(),
    }
}
