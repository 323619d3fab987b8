//! Ports in a row.

use std::num::NonZeroU16;

use crate::port::{Port, PortFormula};

/// The formulas of several ports in a row: each base is one above the base before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortRange {
    /// The formula of the first port.
    pub first: PortFormula,
    /// How many ports there are; at least 1.
    pub count: u16,
}

impl From<PortFormula> for PortRange {
    fn from(first: PortFormula) -> Self {
        Self { first, count: 1 }
    }
}

impl PortRange {
    /// The formula of each port, in order. `None` for each that has no base.
    pub fn formulas(self) -> impl Iterator<Item = Option<PortFormula>> {
        (0..self.count).map(move |offset| {
            let base = self.first.base.get().checked_add(offset).and_then(Port::new)?;
            Some(PortFormula { base, ..self.first })
        })
    }

    /// The number of the last port for a slot. It may be too large for a port.
    pub fn last_number(self, slot: u16) -> u32 {
        self.first.number(slot) + u32::from(self.count.saturating_sub(1))
    }

    pub(super) fn is_in_range(self, slot: u16) -> bool {
        self.last_number(slot) <= u32::from(Port::MAX)
    }

    pub(super) fn with_stride(self, stride: NonZeroU16) -> Self {
        Self { first: PortFormula { stride, ..self.first }, ..self }
    }

    /// Whether no two slots have the same port of this range. `slots` ascend.
    pub(super) fn is_apart_from_itself(self, slots: &[u16]) -> bool {
        let is_apart = |pair: &[u16]| match pair {
            [slot, next] => self.last_number(*slot) < self.first.number(*next),
            _ => true,
        };
        slots.windows(2).all(is_apart)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::port::Protocol;
    use crate::proof::ports::{Flaw, Remedy, prove};
    use crate::slot::SlotId;

    const TCP: Protocol = Protocol::Tcp;
    const UDP: Protocol = Protocol::Udp;

    fn range(base: u16, stride: u16, count: u16, protocol: Protocol) -> PortRange {
        let (base, stride) = (Port::new(base).unwrap(), NonZeroU16::new(stride).unwrap());
        PortRange { first: PortFormula { base, stride, protocol }, count }
    }

    fn flaws(ranges: &[PortRange], slots: &[u16]) -> Vec<Flaw> {
        let slots = slots.iter().map(|slot| SlotId::new(*slot).unwrap()).collect();
        prove(ranges, &slots).err().unwrap_or_default()
    }

    #[test]
    fn tcp_and_udp_ports_of_one_number_are_two() {
        assert_eq!(flaws(&[range(5300, 1, 1, TCP), range(5300, 1, 1, UDP)], &[1, 2]), []);
        assert_eq!(flaws(&[range(5300, 1, 1, UDP), range(5300, 1, 1, UDP)], &[1, 2]).len(), 1);
        // A remedy minds only the ports of its own protocol: stride 2 is free again.
        let ranges = [range(4317, 1, 1, TCP), range(4318, 1, 1, TCP), range(4319, 1, 1, UDP)];
        let [Flaw::Collision { remedy, .. }] = flaws(&ranges, &[1, 2])[..] else { panic!("one collision") };
        assert_eq!(remedy, NonZeroU16::new(2).map(Remedy::Stride));
    }

    #[test]
    fn a_range_that_is_wider_than_its_stride_meets_itself() {
        let flaw = Flaw::Collision {
            first: (0, 0),
            second: (0, 1),
            port: Port::new(8001).unwrap(),
            remedy: NonZeroU16::new(4).map(Remedy::Stride),
        };
        assert_eq!(flaws(&[range(8000, 1, 4, TCP)], &[1, 2]), [flaw]);
        assert_eq!(flaws(&[range(8000, 4, 4, TCP)], &[1, 2]), []);
        // Another range is in the way of strides 4 and 5.
        let ranges = [range(8000, 3, 4, TCP), range(8007, 1, 1, TCP)];
        let [Flaw::Collision { first: (0, _), second: (0, _), remedy, .. }, ..] = flaws(&ranges, &[1])[..]
        else {
            panic!("the first meets itself")
        };
        assert_eq!(remedy, NonZeroU16::new(9).map(Remedy::Stride));
        // Slots that are far enough apart need no stride.
        assert_eq!(flaws(&[range(8000, 1, 4, TCP)], &[4, 8]), []);
    }

    #[test]
    fn a_range_that_leaves_the_range_of_ports_is_reported_with_its_last_port() {
        let left = Flaw::OutOfRange { formula: 0, slot: SlotId::new(1).unwrap(), number: 65537 };
        assert_eq!(flaws(&[range(65530, 4, 4, TCP)], &[1, 2]), [left]);
        assert_eq!(flaws(&[range(65524, 4, 4, TCP)], &[1, 2]), []);
    }

    /// Whether all ports are in range and no two the same: each is compared with each.
    fn is_valid(ranges: &[PortRange], slots: &[u16]) -> bool {
        let mut ports = Vec::new();
        for range in ranges {
            for slot in [0].iter().chain(slots) {
                let first = range.first.number(*slot);
                ports
                    .extend((first..first + u32::from(range.count)).map(|port| (port, range.first.protocol)));
            }
        }
        let is_new = |(index, port): (usize, &(u32, Protocol))| !ports[..index].contains(port);
        ports.iter().all(|(port, _)| *port <= 65535) && ports.iter().enumerate().all(is_new)
    }

    #[test]
    fn ranges_get_the_answers_of_brute_force() {
        let all: Vec<PortRange> = [(8000, 1, 1), (8002, 3, 3), (8004, 2, 4), (65_525, 4, 4), (65_527, 1, 2)]
            .into_iter()
            .flat_map(|(base, stride, count)| [TCP, UDP].map(|of| range(base, stride, count, of)))
            .collect();
        for first in &all {
            for second in &all {
                for slots in [&[1][..], &[1, 2], &[2, 5]] {
                    let ranges = [*first, *second];
                    let flaws = flaws(&ranges, slots);
                    assert_eq!(
                        flaws.is_empty(),
                        is_valid(&ranges, slots),
                        "{ranges:?} on {slots:?}: {flaws:?}"
                    );
                    for flaw in flaws {
                        let Flaw::Collision { first, second, remedy, .. } = flaw else { continue };
                        let with_stride = |stride: NonZeroU16| {
                            let mut ranges = ranges;
                            for index in [first.0, second.0] {
                                ranges[index] = ranges[index].with_stride(stride);
                            }
                            is_valid(&ranges, slots)
                        };
                        let smallest =
                            (1..100).filter_map(NonZeroU16::new).find(|stride| with_stride(*stride));
                        match (smallest, remedy) {
                            (Some(stride), remedy) => assert_eq!(remedy, Some(Remedy::Stride(stride))),
                            (None, Some(Remedy::Base(base))) => {
                                let mut moved = ranges;
                                moved[second.0].first.base = base;
                                assert!(is_valid(&[moved[second.0]], slots), "{moved:?} on {slots:?}");
                                let met = flaws_between(&moved, slots);
                                assert!(!met, "{moved:?} on {slots:?}");
                            }
                            (None, remedy) => assert_eq!(remedy, None, "{ranges:?} on {slots:?}"),
                        }
                    }
                }
            }
        }
    }

    /// Whether the first two ranges meet each other.
    fn flaws_between(ranges: &[PortRange], slots: &[u16]) -> bool {
        let is_between = |flaw: &Flaw| matches!(flaw, Flaw::Collision { first: (0, _), second: (1, _), .. });
        flaws(ranges, slots).iter().any(is_between)
    }
}
