//! The addresses of networks that an earlier start made: Compose leaves them as they are.

use std::fmt::Write as _;

use crate::address_block::AddressBlock;
use crate::claims::held::Held;
use crate::compose::model::Model;
use crate::fault::Fault;
use crate::host::engine::subnets;
use crate::shown::printable;
use crate::thing::{Kind, Thing};

/// The networks of a stack with their addresses, by their names on the engine.
type Networks = Vec<(String, AddressBlock)>;

/// Refuses a start whose networks are to have other addresses than they have, or addresses that a former
/// network of the stack still has. `there` is what is on the engine.
///
/// # Errors
/// [`Fault`] names the networks.
pub(super) fn refuse_changed(held: &Held, model: &Model, there: &[Thing]) -> Result<(), Fault> {
    let project = held.project();
    let networks = there.iter().filter(|thing| thing.kind == Kind::Network && thing.is_under(&project));
    let keys: Vec<&str> = networks.map(|thing| thing.key.as_str()).collect();
    if held.stack().subnet.is_none() || keys.is_empty() {
        return Ok(());
    }
    let there: Networks = subnets(held.engine(), &keys)
        .into_iter()
        .filter_map(|(name, subnet)| Some((name, AddressBlock::around(&subnet)?)))
        .collect();
    let wanted = planned(model);
    let mut said = String::new();
    for (name, block) in &there {
        let differs = |(other, wanted): &&(String, AddressBlock)| {
            if name == other { block != wanted } else { block.overlaps(*wanted) }
        };
        if let Some((other, wanted)) = wanted.iter().find(differs) {
            let (name, other) = (printable(name), printable(other));
            let _ = write!(said, "\n  - `{name}` has {block}, and `{other}` is to have {wanted}");
        }
    }
    if said.is_empty() {
        return Ok(());
    }
    let what = format!("slot {} is not started: the addresses of its networks changed{said}", held.slot);
    Err(Fault::refused(what).advise("`kinfra down` removes them and keeps the data; then start it again"))
}

/// The addresses that Compose would give to the networks.
fn planned(model: &Model) -> Networks {
    let own = model.networks.values().filter(|network| !network.external);
    let blocks = own.flat_map(|network| network.ipam.config.iter().map(move |config| (network, config)));
    blocks
        .filter_map(|(network, config)| {
            Some((network.name.clone()?, AddressBlock::around(config.subnet.as_deref()?)?))
        })
        .collect()
}
