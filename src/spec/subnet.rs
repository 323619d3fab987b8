//! `subnet` of `[stack]`: the block of addresses that each slot has for its networks.

use super::invalid::Invalid;
use crate::address_block::AddressBlock;
use crate::fault::Fault;
use crate::proof::subnets;
use crate::slot::SlotId;
use crate::template::{self, Templates};

const NAME: &str = "subnet";

/// What a slot's block is made from: a template that uses the slot's id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubnetTemplate(String);

impl SubnetTemplate {
    /// Reads the template, and proves that each of these slots has a block of its own.
    pub(super) fn new(text: &str, slots: &[SlotId]) -> Result<Self, Invalid> {
        let template = Self(text.to_owned());
        let compiled = template.compiled()?;
        let blocks = slots.iter().map(|slot| Ok((*slot, block(&compiled, *slot)?)));
        let blocks: Vec<(SlotId, AddressBlock)> = blocks.collect::<Result<_, Invalid>>()?;
        subnets::prove(blocks).map_err(|[(one, block), (other, overlapping)]| {
            let message = if block == overlapping {
                format!("slots {one} and {other} both have the addresses {block}")
            } else {
                format!("slots {one} and {other} have addresses in common: {block} and {overlapping}")
            };
            Invalid::new(message, "use `slot.id`, such as in `10.213.{{ slot.id }}.0/24`")
        })?;
        Ok(template)
    }

    /// The block of a slot, declared or not.
    ///
    /// # Errors
    /// [`Fault`] if there is none for a slot that slots.toml does not declare.
    pub fn block(&self, slot: SlotId) -> Result<AddressBlock, Fault> {
        let block = self.compiled().and_then(|compiled| block(&compiled, slot));
        block.map_err(|invalid| {
            let what = format!("`subnet` of [stack] gives slot {slot} no addresses: {}", invalid.message);
            Fault { advice: invalid.help, ..Fault::refused(what) }
        })
    }

    fn compiled(&self) -> Result<Templates<'_>, Invalid> {
        let mut templates = Templates::new();
        templates.add(NAME, &self.0).map_err(|error| Invalid::from(error.message))?;
        Ok(templates)
    }
}

fn block(templates: &Templates<'_>, slot: SlotId) -> Result<AddressBlock, Invalid> {
    let cidr = templates.render(NAME, &template::slot_id(slot)).map_err(|error| match error.undefined {
        Some(_) => Invalid::new(error.message, "`subnet` can use `slot.id`, and nothing else"),
        None => Invalid::from(error.message),
    })?;
    let shown = cidr.escape_debug();
    let refused = |why: &str, help: &str| Invalid::new(format!("`{shown}` of slot {slot} {why}"), help);
    let Some(block) = AddressBlock::around(&cidr) else {
        return Err(refused(
            "is no block of IPv4 addresses",
            "write one such as `10.213.{{ slot.id }}.0/24`",
        ));
    };
    if block.to_string() != cidr {
        let help = format!("the block around it is {block}");
        return Err(refused("is an address in a block, not the block", &help));
    }
    if !block.is_private() {
        let help = "use a block in 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16";
        return Err(refused("is not for private networks", help));
    }
    if !block.has_room() {
        return Err(refused("has no room for a network", "the smallest block for one network is a /29"));
    }
    Ok(block)
}
