//! Subnets as ranges of addresses.

use std::net::IpAddr;

/// Whether a subnet is IPv6, and its first and last address. `None` if it is not in CIDR notation.
pub(super) fn range(subnet: &str) -> Option<(bool, u128, u128)> {
    let (address, prefix) = subnet.split_once('/')?;
    let (is_v6, number, bits) = match address.parse().ok()? {
        IpAddr::V4(address) => (false, u128::from(u32::from(address)), 32_u32),
        IpAddr::V6(address) => (true, u128::from(address), 128),
    };
    let host_bits = bits.checked_sub(prefix.parse().ok()?)?;
    // A shift by the whole width, for a prefix without host bits, has no result.
    let hosts = u128::MAX.checked_shr(128 - host_bits).unwrap_or(0);
    Some((is_v6, number & !hosts, number | hosts))
}

#[cfg(test)]
mod tests {
    use super::range;

    #[test]
    fn subnets_are_ranges() {
        assert_eq!(range("10.0.0.0/24"), Some((false, 0x0a00_0000, 0x0a00_00ff)));
        assert_eq!(range("10.0.0.77/24"), range("10.0.0.0/24"), "bits below the prefix do not count");
        assert_eq!(range("10.0.0.7/32"), Some((false, 0x0a00_0007, 0x0a00_0007)));
        assert_eq!(range("0.0.0.0/0"), Some((false, 0, u128::from(u32::MAX))));
        assert_eq!(range("::/0"), Some((true, 0, u128::MAX)));
        assert_eq!(range("fd00::1/128"), Some((true, 0xfd00 << 112 | 1, 0xfd00 << 112 | 1)));
        assert_eq!(range("fd00::/64"), Some((true, 0xfd00 << 112, 0xfd00 << 112 | u128::from(u64::MAX))));
        for text in ["", "10.0.0.0", "10.0.0.0/33", "::/129", "10.0.0/8", "10.0.0.0/-1", "net/8"] {
            assert_eq!(range(text), None, "{text:?} was taken");
        }
    }
}
