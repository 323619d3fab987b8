//! What settles a collision of two port formulas.

use std::cmp::Ordering;
use std::num::NonZeroU16;

use super::taken::{PORT_COUNT, TakenPorts};
use crate::port::{Port, PortFormula};

/// A change that settles a collision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// The smallest stride that passes the whole proof if both formulas get it and nothing else changes.
    Stride(NonZeroU16),
    /// If there is no such stride: the base for the second formula that is nearest to its own and meets no
    /// other formula.
    Base(Port),
}

/// The change that settles the collision of two formulas, named by their position. `None` if none does.
pub(super) fn remedy(formulas: &[PortFormula], slots: &[u16], first: usize, second: usize) -> Option<Remedy> {
    if formulas.len() * slots.len() > PORT_COUNT {
        return None;
    }
    let stride = smallest_stride(formulas, slots, first, second).map(Remedy::Stride);
    stride.or_else(|| nearest_base(formulas, slots, second).map(Remedy::Base))
}

fn smallest_stride(
    formulas: &[PortFormula],
    slots: &[u16],
    first: usize,
    second: usize,
) -> Option<NonZeroU16> {
    let mut taken = TakenPorts::none();
    let mut others = formulas.iter().enumerate().filter(|(index, _)| *index != first && *index != second);
    if !others.all(|(_, formula)| taken.take(*formula, slots)) {
        return None;
    }
    let (first, second, last) = (formulas.get(first)?.base, formulas.get(second)?.base, *slots.last()?);
    (1..=u16::MAX)
        .filter_map(NonZeroU16::new)
        .map(|stride| [first, second].map(|base| PortFormula { base, stride }))
        // Larger strides only go further out of range.
        .take_while(|pair| pair.iter().all(|formula| formula.port(last).is_some()))
        .find(|[first, second]| {
            taken.has_free(*first, slots)
                && taken.has_free(*second, slots)
                && are_apart(*first, *second, slots)
        })
        .map(|[first, _]| first.stride)
}

fn nearest_base(formulas: &[PortFormula], slots: &[u16], moved: usize) -> Option<Port> {
    let mut taken = TakenPorts::none();
    for (_, formula) in formulas.iter().enumerate().filter(|(index, _)| *index != moved) {
        // The others may collide among themselves. Their own remedies settle that.
        taken.take(*formula, slots);
    }
    taken.nearest_base(*formulas.get(moved)?, slots)
}

/// Whether two formulas never give the same port. Merges their two ascending lists of ports.
fn are_apart(first: PortFormula, second: PortFormula, slots: &[u16]) -> bool {
    let (mut ours, mut theirs) = (slots.iter().peekable(), slots.iter().peekable());
    while let (Some(&&our), Some(&&their)) = (ours.peek(), theirs.peek()) {
        match first.number(our).cmp(&second.number(their)) {
            Ordering::Less => ours.next(),
            Ordering::Greater => theirs.next(),
            Ordering::Equal => return false,
        };
    }
    true
}
