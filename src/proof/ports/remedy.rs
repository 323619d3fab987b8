//! What settles a collision of two port formulas.

use std::num::NonZeroU16;

use super::range::PortRange;
use super::taken::{PORT_COUNT, TakenPorts};
use crate::port::Port;

/// A change that settles a collision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// The smallest stride that passes the whole proof if both formulas get it and nothing else changes.
    Stride(NonZeroU16),
    /// If there is no such stride: the base for the second formula that is nearest to its own and meets no
    /// other formula.
    Base(Port),
}

/// The change that settles the collision of two formulas, named by their position. Both are the same one if a
/// range collides with itself. `None` if none does.
pub(super) fn remedy(ranges: &[PortRange], slots: &[u16], first: usize, second: usize) -> Option<Remedy> {
    let protocol = ranges.get(first)?.first.protocol;
    let of_protocol = ranges.iter().filter(|range| range.first.protocol == protocol);
    let ports: usize = of_protocol.map(|range| usize::from(range.count)).sum();
    if ports * slots.len() > PORT_COUNT {
        return None;
    }
    let stride = smallest_stride(ranges, slots, first, second).map(Remedy::Stride);
    if first == second {
        return stride;
    }
    stride.or_else(|| nearest_base(ranges, slots, second).map(Remedy::Base))
}

fn smallest_stride(ranges: &[PortRange], slots: &[u16], first: usize, second: usize) -> Option<NonZeroU16> {
    let mut taken = TakenPorts::none();
    let mut others = ranges.iter().enumerate().filter(|(index, _)| *index != first && *index != second);
    if !others.all(|(_, range)| taken.take(*range, slots)) {
        return None;
    }
    let (is_one, last) = (first == second, *slots.last()?);
    let (first, second) = (*ranges.get(first)?, *ranges.get(second)?);
    (1..=u16::MAX)
        .filter_map(NonZeroU16::new)
        .map(|stride| [first, second].map(|range| range.with_stride(stride)))
        // Larger strides only go further out of range.
        .take_while(|pair| pair.iter().all(|range| range.is_in_range(last)))
        .find(|[first, second]| {
            let fits = |range: &PortRange| taken.has_free(*range, slots) && range.is_apart_from_itself(slots);
            fits(first) && (is_one || (fits(second) && are_apart(*first, *second, slots)))
        })
        .map(|[range, _]| range.first.stride)
}

fn nearest_base(ranges: &[PortRange], slots: &[u16], moved: usize) -> Option<Port> {
    let range = *ranges.get(moved)?;
    if !range.is_apart_from_itself(slots) {
        return None;
    }
    let mut taken = TakenPorts::none();
    for (_, range) in ranges.iter().enumerate().filter(|(index, _)| *index != moved) {
        // The others may collide among themselves. Their own remedies settle that.
        taken.take(*range, slots);
    }
    taken.nearest_base(range, slots)
}

/// Whether two ranges never give the same port. Merges their two ascending lists of ports.
fn are_apart(first: PortRange, second: PortRange, slots: &[u16]) -> bool {
    let (mut ours, mut theirs) = (slots.iter().peekable(), slots.iter().peekable());
    while let (Some(&&our), Some(&&their)) = (ours.peek(), theirs.peek()) {
        let is_below = first.last_number(our) < second.first.number(their);
        let is_above = second.last_number(their) < first.first.number(our);
        match (is_below, is_above) {
            (true, _) => ours.next(),
            (_, true) => theirs.next(),
            (false, false) => return false,
        };
    }
    true
}
