use std::num::NonZeroU16;

use super::*;
use crate::port::PortFormula;

fn range(base: u16, stride: u16, count: u16, protocol: Protocol) -> PortRange {
    let (base, stride) = (Port::new(base).unwrap(), NonZeroU16::new(stride).unwrap());
    PortRange { first: PortFormula { base, stride, protocol }, count }
}

fn tcp(base: u16, stride: u16, count: u16) -> PortRange {
    range(base, stride, count, Protocol::Tcp)
}

#[test]
fn a_range_is_taken_once_and_only_where_all_of_it_is_ports() {
    let mut taken = TakenPorts::none();
    assert!(taken.has_free(tcp(8000, 10, 2), &[0, 1]));
    assert!(taken.take(tcp(8000, 10, 2), &[0, 1]));
    for (base, is_free) in
        [(7999, false), (7998, true), (8001, false), (8002, true), (8009, false), (8012, true)]
    {
        assert_eq!(taken.has_free(tcp(base, 10, 2), &[0]), is_free, "{base}");
        assert_eq!(taken.clone().take(tcp(base, 10, 2), &[0]), is_free, "{base}");
    }
    // Two of its numbers are taken, and the one between them is not.
    assert!(!taken.clone().take(tcp(8001, 1, 10), &[0]), "the first and the last");
    assert!(!taken.clone().take(tcp(8001, 1, 3), &[0]), "the first");
    assert!(!taken.clone().take(tcp(7998, 1, 3), &[0]), "the last");
    let udp = range(8000, 10, 2, Protocol::Udp);
    assert!(taken.has_free(udp, &[0, 1]) && taken.take(udp, &[0, 1]) && !taken.has_free(udp, &[0]));
    assert!(!taken.take(tcp(65_535, 1, 1), &[0, 1]), "slot 1 has no port");
    assert!(!taken.has_free(tcp(65_535, 1, 1), &[0, 1]));
    let one = HostPort { port: Port::new(9000).unwrap(), protocol: Protocol::Tcp };
    assert!(taken.take_port(one) && !taken.take_port(one));
}

/// The nearest base by looking at each.
fn nearest(taken: &TakenPorts, range: PortRange, slots: &[u16]) -> Option<Port> {
    let own = range.first.base.get();
    let at = |base: Option<u16>| {
        let range = PortRange { first: PortFormula { base: Port::new(base?)?, ..range.first }, ..range };
        taken.has_free(range, slots).then_some(range.first.base)
    };
    let both = |distance: u16| [own.checked_add(distance), own.checked_sub(distance)];
    (1..=u16::MAX).flat_map(both).find_map(at)
}

#[test]
fn the_nearest_base_is_free_in_every_slot() {
    let mut taken = TakenPorts::none();
    for range in [tcp(8000, 1, 4), tcp(8010, 3, 1), tcp(8100, 10, 2), tcp(65_000, 1, 500), tcp(1024, 1, 40)] {
        taken.take(range, &[0, 1, 2, 3, 9]);
    }
    for slots in [&[0][..], &[0, 1], &[0, 1, 2, 5], &[0, 3, 4, 9]] {
        for (base, stride, count) in [
            (8000, 1, 1),
            (8000, 1, 4),
            (8003, 3, 1),
            (8010, 5, 2),
            (8100, 10, 2),
            (65_400, 40, 1),
            (1030, 7, 3),
        ] {
            let range = tcp(base, stride, count);
            let found = taken.nearest_base(range, slots);
            assert_eq!(
                found,
                nearest(&taken, range, slots),
                "{base} + {stride} × {slots:?}, {count} of them"
            );
        }
    }
    let mut full = TakenPorts::none();
    full.take(tcp(1024, 1, 64_512), &[0]);
    assert_eq!(full.nearest_base(tcp(8000, 1, 1), &[0]), None);
    assert_eq!(full.nearest_base(range(8000, 1, 1, Protocol::Udp), &[0]), Port::new(8001));
}
