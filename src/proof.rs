//! The port proof: that no two services of a pool ever meet on one port, decided before anything is written.
//!
//! Every port of every slot is put into a table of all ports there are. The main stack, slot 0, is part of it. A table
//! of 65,536 places bounds the work whatever the spec says: a pool either fits into it or collides.

use std::collections::BTreeSet;
use std::num::NonZeroU16;

use crate::slot::{Port, PortFormula, SlotId};

/// Something that keeps a set of formulas from being used for a set of slots. Formulas are named by their position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Flaw {
    /// Two formulas give one port.
    Collision {
        /// The formula declared first, and its slot; 0 is the main stack.
        first: (usize, u16),
        /// The formula declared later, and its slot.
        second: (usize, u16),
        /// The port that both give.
        port: Port,
        /// What would settle it.
        remedy: Option<Remedy>,
    },
    /// A formula leaves the range of ports.
    OutOfRange {
        /// The formula.
        formula: usize,
        /// The first slot it gives no port for.
        slot: SlotId,
        /// What it gives instead.
        number: u32,
    },
}

/// What would settle a collision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// The smallest stride that, given to both formulas and nothing else changed, passes the whole proof.
    Stride(NonZeroU16),
    /// Where there is no such stride: the base nearest to the second formula's that meets no other formula.
    Base(Port),
}

/// How many collisions get a remedy of their own; settling these settles most of the rest.
const REMEDIES: usize = 20;

/// Proves that `formulas` give every slot of `slots`, and slot 0, ports in range and all different.
///
/// # Errors
/// Every flaw: each pair of formulas that meet, at the first slot where they do, and each formula that leaves the range.
pub fn prove(formulas: &[PortFormula], slots: &BTreeSet<SlotId>) -> Result<(), Vec<Flaw>> {
    let slots: Vec<u16> = std::iter::once(0).chain(slots.iter().map(|slot| slot.get())).collect();
    let mut flaws = Vec::new();
    let mut table = Table::new();
    let mut met = BTreeSet::new();
    let mut left = BTreeSet::new();
    let mut uses = 0_usize;
    for &slot in &slots {
        // More uses than ports: some have met by now, and the rest would say nothing new.
        if uses > usize::from(Port::MAX) && !flaws.is_empty() {
            break;
        }
        uses += formulas.len();
        for (index, formula) in formulas.iter().enumerate() {
            match (formula.port(slot), SlotId::new(slot)) {
                (Some(port), _) => {
                    if let Some(other) = table.enter(port, (index, slot)) {
                        let (first, second) =
                            if other.0 < index { (other, (index, slot)) } else { ((index, slot), other) };
                        if met.insert((first.0, second.0)) {
                            flaws.push(Flaw::Collision { first, second, port, remedy: None });
                        }
                    }
                }
                (None, Some(slot)) if left.insert(index) => {
                    flaws.push(Flaw::OutOfRange { formula: index, slot, number: formula.number(slot.get()) });
                }
                (None, _) => {}
            }
        }
    }
    if flaws.is_empty() {
        return Ok(());
    }
    for flaw in flaws.iter_mut().take(REMEDIES) {
        if let Flaw::Collision { first, second, remedy, .. } = flaw {
            *remedy = remedy_for(formulas, &slots, first.0, second.0);
        }
    }
    Err(flaws)
}

fn remedy_for(formulas: &[PortFormula], slots: &[u16], first: usize, second: usize) -> Option<Remedy> {
    let stride = smallest_stride(formulas, slots, first, second).map(Remedy::Stride);
    stride.or_else(|| nearest_base(formulas, slots, second).map(Remedy::Base))
}

fn smallest_stride(
    formulas: &[PortFormula],
    slots: &[u16],
    first: usize,
    second: usize,
) -> Option<NonZeroU16> {
    let mut table = Table::new();
    let others = formulas.iter().enumerate().filter(|(index, _)| *index != first && *index != second);
    for (index, formula) in others {
        if !table.enter_all(*formula, slots, index) {
            return None;
        }
    }
    let (first_base, second_base) = (formulas.get(first)?.base, formulas.get(second)?.base);
    (1..=u16::MAX)
        .filter_map(NonZeroU16::new)
        .map_while(|stride| {
            let pair = [first_base, second_base].map(|base| PortFormula { base, stride });
            let last = slots.last().copied()?;
            // A larger stride only leads further out of the range.
            pair.iter().all(|formula| formula.port(last).is_some()).then_some((stride, pair))
        })
        .find(|(_, pair)| table.has_room_for(pair, slots))
        .map(|(stride, _)| stride)
}

fn nearest_base(formulas: &[PortFormula], slots: &[u16], moved: usize) -> Option<Port> {
    let mut table = Table::new();
    for (index, formula) in formulas.iter().enumerate().filter(|(index, _)| *index != moved) {
        // The others may be flawed among themselves; that is for their own remedies.
        table.enter_all(*formula, slots, index);
    }
    let PortFormula { base, stride } = *formulas.get(moved)?;
    let nearest_first = (1..=u16::MAX).flat_map(|distance| {
        [base.get().checked_add(distance), base.get().checked_sub(distance)]
            .into_iter()
            .flatten()
            .filter_map(Port::new)
    });
    nearest_first
        .map(|base| PortFormula { base, stride })
        .find(|formula| table.has_room_for(&[*formula], slots))
        .map(|formula| formula.base)
}

/// Who uses each port, by formula and slot.
struct Table(Vec<Option<(usize, u16)>>);

impl Table {
    fn new() -> Self {
        Self(vec![None; usize::from(Port::MAX) + 1])
    }

    /// Puts a user on a port; returns the user that is there already, who stays.
    fn enter(&mut self, port: Port, user: (usize, u16)) -> Option<(usize, u16)> {
        let place = self.0.get_mut(usize::from(port.get()))?;
        if place.is_none() {
            *place = Some(user);
            return None;
        }
        *place
    }

    /// Puts a formula on all its ports; says whether each was a port and free.
    fn enter_all(&mut self, formula: PortFormula, slots: &[u16], index: usize) -> bool {
        let mut free = true;
        for &slot in slots {
            free &= formula.port(slot).is_some_and(|port| self.enter(port, (index, slot)).is_none());
        }
        free
    }

    fn is_free(&self, port: Port) -> bool {
        self.0.get(usize::from(port.get())).is_some_and(Option::is_none)
    }

    /// Whether formulas could be put on all their ports: in range, free, and apart from each other.
    fn has_room_for(&self, formulas: &[PortFormula], slots: &[u16]) -> bool {
        let in_range =
            slots.last().is_none_or(|&last| formulas.iter().all(|formula| formula.port(last).is_some()));
        in_range
            && formulas.iter().all(|formula| {
                slots.iter().all(|&slot| formula.port(slot).is_some_and(|port| self.is_free(port)))
            })
            && apart(formulas, slots)
    }
}

/// Whether formulas never give the same port: merges their two ascending runs of ports.
fn apart(formulas: &[PortFormula], slots: &[u16]) -> bool {
    let [first, second] = formulas else {
        return true;
    };
    let (mut ours, mut theirs) = (slots.iter().peekable(), slots.iter().peekable());
    while let (Some(&&our), Some(&&their)) = (ours.peek(), theirs.peek()) {
        match first.number(our).cmp(&second.number(their)) {
            std::cmp::Ordering::Less => ours.next(),
            std::cmp::Ordering::Greater => theirs.next(),
            std::cmp::Ordering::Equal => return false,
        };
    }
    true
}
