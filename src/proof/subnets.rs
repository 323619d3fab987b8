//! The proof that no two slots of a pool have an address in common.

use crate::address_block::AddressBlock;
use crate::slot::SlotId;

/// Two slots whose blocks overlap: the one whose block starts first, and the next one.
pub type Overlap = [(SlotId, AddressBlock); 2];

/// Proves that the blocks of slots are apart, or finds two that are not.
///
/// # Errors
/// Two slots with an address in common.
pub fn prove(blocks: impl IntoIterator<Item = (SlotId, AddressBlock)>) -> Result<(), Overlap> {
    let mut blocks: Vec<(SlotId, AddressBlock)> = blocks.into_iter().collect();
    // Of two blocks that overlap, one is in the other. So if any two do, two neighbours do.
    blocks.sort_by_key(|(slot, block)| (*block, *slot));
    let mut pairs = blocks.windows(2).filter_map(|pair| Overlap::try_from(pair).ok());
    pairs.find(|[(_, one), (_, other)]| one.overlaps(*other)).map_or(Ok(()), Err)
}
