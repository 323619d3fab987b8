//! Blocks of IPv4 addresses, and their division into the subnets of networks.

use std::fmt;
use std::net::Ipv4Addr;

use crate::fault::Fault;

/// The longest prefix of a network's subnet: it leaves room for a gateway and five containers.
const LONGEST_PREFIX: u8 = 29;

/// A block of IPv4 addresses, such as `10.213.5.0/24`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AddressBlock {
    first: u32,
    prefix: u8,
}

impl AddressBlock {
    /// Reads CIDR notation. Where bits are set below the prefix, the block is the one around that address.
    /// `None` if it is no IPv4 block.
    pub fn around(cidr: &str) -> Option<Self> {
        let (address, prefix) = cidr.split_once('/')?;
        let address: Ipv4Addr = address.parse().ok()?;
        let prefix: u8 = prefix.parse().ok().filter(|prefix| *prefix <= 32)?;
        let block = Self { first: u32::from(address), prefix };
        Some(Self { first: block.first & !block.hosts(), prefix })
    }

    /// Whether all of its addresses are for private use.
    pub fn is_private(self) -> bool {
        // No block has parts of two private ranges and is not all of the addresses between them.
        [self.first, self.last()].into_iter().all(|address| Ipv4Addr::from_bits(address).is_private())
    }

    /// Whether it has room for a network at all.
    pub fn has_room(self) -> bool {
        self.prefix <= LONGEST_PREFIX
    }

    /// Whether some address is in both.
    pub fn overlaps(self, other: Self) -> bool {
        self.first <= other.last() && other.first <= self.last()
    }

    /// Divides it evenly into `count` parts, in order: as many as the next power of two.
    ///
    /// # Errors
    /// [`Fault`] if the parts are too small for networks, with the size that would do.
    pub fn divide(self, count: usize) -> Result<impl Iterator<Item = Self>, Fault> {
        let bits = count.max(1).next_power_of_two().trailing_zeros();
        let prefix = u32::from(self.prefix).saturating_add(bits);
        let prefix = u8::try_from(prefix).ok().filter(|prefix| *prefix <= LONGEST_PREFIX);
        let prefix = prefix.ok_or_else(|| {
            let needed = u32::from(LONGEST_PREFIX).saturating_sub(bits);
            Fault::refused(format!("{self} is too small for {count} networks"))
                .advise(format!("give each slot at least a /{needed} in `subnet` of [stack]"))
        })?;
        let size = 1_u32.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
        let part = move |number: u32| Self { first: self.first | number.wrapping_mul(size), prefix };
        Ok((0..).map(part).take(count))
    }

    fn last(self) -> u32 {
        self.first | self.hosts()
    }

    /// The bits below the prefix.
    fn hosts(self) -> u32 {
        u32::MAX.checked_shr(self.prefix.into()).unwrap_or(0)
    }
}

impl fmt::Display for AddressBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", Ipv4Addr::from_bits(self.first), self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(cidr: &str) -> AddressBlock {
        AddressBlock::around(cidr).unwrap()
    }

    #[test]
    fn blocks_are_read_as_cidr_notation() {
        for (text, shown) in [
            ("10.213.5.0/24", "10.213.5.0/24"),
            ("10.213.5.7/24", "10.213.5.0/24"),
            ("0.0.0.0/0", "0.0.0.0/0"),
        ] {
            assert_eq!(block(text).to_string(), shown);
        }
        for text in [
            "",
            "10.0.0.0",
            "10.0.0.0/33",
            "10.0.0/8",
            "10.0.0.0/-1",
            "10.0.0.0/",
            "fd00::/64",
            "10.1.300.0/24",
        ] {
            assert_eq!(AddressBlock::around(text), None, "{text:?} was taken");
        }
    }

    #[test]
    fn private_blocks_are_those_for_private_use() {
        for text in ["10.0.0.0/8", "172.16.0.0/12", "172.31.255.0/24", "192.168.0.0/16"] {
            assert!(block(text).is_private(), "{text}");
        }
        for text in
            ["0.0.0.0/0", "10.0.0.0/7", "172.16.0.0/11", "172.32.0.0/16", "192.168.0.0/15", "8.8.8.0/24"]
        {
            assert!(!block(text).is_private(), "{text}");
        }
    }

    #[test]
    fn a_block_is_divided_into_as_many_parts_as_a_power_of_two() {
        let parts = |cidr, count| -> Vec<String> {
            block(cidr).divide(count).unwrap().map(|part| part.to_string()).collect()
        };
        assert_eq!(parts("10.213.5.0/24", 1), ["10.213.5.0/24"]);
        assert_eq!(parts("10.213.5.0/24", 3), ["10.213.5.0/26", "10.213.5.64/26", "10.213.5.128/26"]);
        assert_eq!(parts("10.213.5.0/28", 2), ["10.213.5.0/29", "10.213.5.8/29"]);
        assert_eq!(parts("10.213.5.0/24", 0), [""; 0]);
    }

    #[test]
    fn a_block_that_is_too_small_says_how_large_it_must_be() {
        let fault = block("10.213.5.0/28").divide(3).err().unwrap();
        assert_eq!(fault.what, "10.213.5.0/28 is too small for 3 networks");
        assert_eq!(fault.advice.unwrap(), "give each slot at least a /27 in `subnet` of [stack]");
        assert!(block("10.213.5.0/27").divide(4).is_ok());
    }
}
